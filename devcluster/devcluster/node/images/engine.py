"""A Docker engine that runs for as long as images are built, and that the rest of the machine does not notice."""

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from devcluster.cluster import new_folder
from devcluster.node import cgroups
from devcluster.node.images.catalogue import ROOT
from devcluster.node.images.errors import ImagesError
from devcluster.processes import Leash, Process, StartError
from devcluster.waiting import wait_until

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_KEPT_HOURS: Final = 7 * 24
_PASSED_ON: Final = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
                     "https_proxy", "no_proxy")  # fmt: skip
# shims leave their sockets in a folder that containerd does not let us choose
_OWN_SHIMS: Final = 'mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd && exec "$@"'


class DockerEngine:
    """dockerd in mount and process namespaces of its own, without a network; a context manager.

    Builds use the host's network. Its images stay in the data root, so that the next build takes up what is there.

    Parameters
    ----------
    data_root
        Where images are kept.
    """

    def __init__(self, data_root: Path) -> None:
        self._data_root = data_root
        self.folder = new_folder()
        self.leash: Leash
        self._dockerd: Process

    def __enter__(self) -> Self:
        self.leash = Leash(self.folder)
        try:
            self._start()
        except BaseException:
            self.leash.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stop()
        finally:
            self.leash.close()

    def has(self, tag: str) -> bool:
        """Return whether there is an image of that name."""
        return self._ask("image", "inspect", tag).returncode == 0

    def load_root(self, archive: Path, tag: str, environment: tuple[str, ...]) -> None:
        """Make a file system an image."""
        changes = (f"--change=ENV {variable}" for variable in environment)
        self._run("docker-import", "docker", "import", *changes, str(archive), tag)

    def make(self, target: str, *variables: str) -> None:
        """Build an image by its target in the Makefile.

        Raises
        ------
        ImagesError
            When the build fails, with the end of its log.
        """
        passed_on = (f"--build-arg {name}" for name in _PASSED_ON if name in os.environ)
        arguments = f"BUILD_ARGS=--network host {' '.join(passed_on)}"
        self._run(f"make-{target}", "make", "--no-print-directory", target, *variables, arguments)

    def save(self, tag: str, archive: Path) -> None:
        """Write an image to an archive."""
        self._run("docker-save", "docker", "save", f"--output={archive}", tag)

    def tidy(self) -> None:
        """Remove what old builds have left; what young ones have is taken up by the next."""
        self._ask("image", "prune", "--force", f"--filter=until={_KEPT_HOURS}h")

    @property
    def _environment(self) -> dict[str, str]:
        # every Docker has the builder without BuildKit
        return {**os.environ, "DOCKER_HOST": f"unix://{self.folder}/docker.sock", "DOCKER_BUILDKIT": "0"}

    def _start(self) -> None:
        for cgroup in cgroups.folders(self.folder.name, cgroups.here()):
            self.leash.hold_cgroup(cgroup)
        config = self.folder / "daemon.json"
        config.write_text("{}")  # in place of the machine's own
        self._data_root.mkdir(parents=True, exist_ok=True)
        alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", _OWN_SHIMS, "sh")
        flags = (
            f"--config-file={config}", f"--data-root={self._data_root}", f"--exec-root={self.folder / 'exec'}",
            f"--pidfile={self.folder / 'docker.pid'}", f"--host=unix://{self.folder}/docker.sock",
            "--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{self.folder.name}", "--bridge=none",
            "--iptables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false",
        )  # fmt: skip
        self._dockerd = Process("dockerd", (*alone, "dockerd", *flags), self.folder, self.leash)
        try:
            wait_until("dockerd to answer", self._answers, seconds=_START_SECONDS)
        except (StartError, TimeoutError) as error:
            raise ImagesError(f"dockerd does not start: {error}\n{self._dockerd.end_of_log()}") from error

    def _answers(self) -> bool:
        self._dockerd.check()
        return self._ask("version").returncode == 0

    def _stop(self) -> None:
        """End it with time to write down its images; unshare itself does not pass signals on."""
        children = Path(f"/proc/{self._dockerd.pid}/task/{self._dockerd.pid}/children")
        for child in children.read_text().split() if children.exists() else ():
            os.kill(int(child), signal.SIGTERM)
        wait_until("dockerd to end", lambda: self._dockerd.exit_code is not None, seconds=_STOP_SECONDS)
        self._dockerd.end()

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ("docker", *arguments)
        return subprocess.run(  # noqa: S603
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=120
        )

    def _run(self, name: str, *command: str) -> None:
        process = Process(name, command, self.folder, self.leash, self._environment, cwd=ROOT)
        if process.wait() != 0:
            raise ImagesError(f"{' '.join(command[:3])} failed:\n{process.end_of_log(40)}")
