"""What demo and tests do with a cluster, whichever it is: kubectl, kubeconfigs, and processes that end with it."""

import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from devcluster.processes import Leash, Process, StartError


class Cluster:
    """A cluster and a folder for what belongs to it; a context manager that leaves neither process nor file behind.

    Parameters
    ----------
    folder
        A folder that does not exist before and after.
    kubectl_path
        Which kubectl.
    kubectl_flags
        What makes it speak to this cluster as its administrator.
    """

    def __init__(self, folder: Path, kubectl_path: Path, kubectl_flags: Sequence[str]) -> None:
        self.folder = folder
        self.kubectl_path = kubectl_path
        self._kubectl_flags = tuple(kubectl_flags)
        self._leash: Leash | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make the folder.

        Raises
        ------
        StartError
            When it cannot be made.
        """
        self._leash = Leash(self.folder)

    def stop(self) -> None:
        """End what was started, and remove the folder."""
        if self._leash is not None:
            self._leash.close()
            self._leash = None

    def keep(self, path: Path) -> None:
        """Let everything go on without this process, until the one that a file names gets SIGTERM.

        Raises
        ------
        StartError
            When the file cannot be written, or another keeps it.
        """
        if self._leash is not None:
            self._leash.keep(path)
            self._leash = None

    def check(self) -> None:
        """Raise when something that it needs has ended.

        Raises
        ------
        StartError
            Naming it, with the end of its log.
        """

    def run(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Process:
        """Start a process that ends with this cluster; its log is ``<folder>/<name>.log``.

        Raises
        ------
        StartError
            When this cluster is stopped.
        """
        if self._leash is None:
            raise StartError(f"{name} cannot start: the cluster is stopped")
        return Process(name, command, self.folder, self._leash, environment, cwd)

    def hold_cgroup(self, folder: Path) -> None:
        """Have a control group removed at the end, once the processes in it have ended with this cluster.

        Raises
        ------
        StartError
            When this cluster is stopped.
        """
        if self._leash is None:
            raise StartError(f"{folder} cannot be held: the cluster is stopped")
        self._leash.hold_cgroup(folder)

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        timeout_seconds: float = 60,
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl, as the administrator unless another kubeconfig is named, and return what it prints.

        Raises
        ------
        subprocess.CalledProcessError
            When it fails and ``check`` is set; without, its errors are returned too.
        """
        flags = self._kubectl_flags if kubeconfig is None else (f"--kubeconfig={kubeconfig}",)
        command = (str(self.kubectl_path), *flags, *arguments)
        done = subprocess.run(  # noqa: S603
            command,
            input=stdin,
            text=True,
            check=False,
            timeout=timeout_seconds,
            capture_output=True,
            env={**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl-cache")},  # it goes with the rest
        )
        if check and done.returncode != 0:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr.strip())
            raise error
        return done.stdout if check else done.stdout + done.stderr

    def get(self, *arguments: str) -> Any:
        """Return what ``kubectl get`` finds, as JSON; None where the object is not there."""
        said = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(said) if said.strip() else None

    def apply(self, *manifests: Mapping[str, Any], manager: str = "kubectl") -> str:
        """Apply manifests server-side."""
        text = yaml.safe_dump_all(manifests)
        return self.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=text)

    def kubeconfig_for_service_account(self, namespace: str, name: str, *, seconds: int = 7200) -> Path:
        """Write a kubeconfig with a token of a ServiceAccount, and with nothing else.

        Waits for the account: a namespace's own, ``default``, comes a moment after the namespace.
        """
        self.kubectl("wait", "--for=create", f"serviceaccount/{name}", f"--namespace={namespace}", "--timeout=30s")
        token = self.kubectl("create", "token", name, f"--namespace={namespace}", f"--duration={seconds}s").strip()
        shown = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        path = self.folder / f"{namespace}-{name}.kubeconfig"
        return write_kubeconfig(path, shown["clusters"][0]["cluster"], token)


def new_folder() -> Path:
    """Return the name of a folder that is not there, for a :class:`Cluster`."""
    return Path(tempfile.gettempdir()) / f"mistral-operator-{secrets.token_hex(4)}"


def write_kubeconfig(path: Path, cluster: Mapping[str, Any], token: str) -> Path:
    """Write a kubeconfig that reaches a cluster with a token, for nobody else to read."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": dict(cluster)}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "user"}}],
        "current-context": "local",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path
