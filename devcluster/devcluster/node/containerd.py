"""containerd: its configuration, and the images that it keeps from one node to the next."""

import json
from pathlib import Path
from typing import Any, Final

from devcluster.node import pause
from devcluster.node.archives import names_in
from devcluster.node.namespaces import Namespaces
from devcluster.processes import StartError

SOCKET: Final = "/run/containerd/containerd.sock"
_NAMESPACE: Final = "k8s.io"  # where the kubelet looks for images
_ID: Final = "sha256:"
_DISABLED: Final = (
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.differ.v1.erofs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
)


def configuration(folder: Path, root: Path) -> str:
    """Return its configuration, as TOML.

    Parameters
    ----------
    folder
        For what goes with the node.
    root
        For what stays: images.
    """
    return f"""version = 4
root = '{root}'
state = '/run/containerd'
disabled_plugins = {list(_DISABLED)}

[grpc]
  address = '{SOCKET}'

[plugins.'io.containerd.internal.v1.opt']
  path = '{folder / "opt"}'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause.IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true  # root may lack CAP_SYS_RESOURCE

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '{folder / "cni"}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


class ImageStore:
    """Images in containerd, and which archive they came from.

    Parameters
    ----------
    ctr
        The program.
    notes
        A file beside the images.
    """

    def __init__(self, namespaces: Namespaces, ctr: Path, notes: Path) -> None:
        self._namespaces = namespaces
        self._ctr = ctr
        self._notes = notes

    def answers(self) -> bool:
        """Return whether containerd works."""
        return self._run("version")[0]

    def load(self, archive: Path) -> bool:
        """Import an archive, unless all of its images are here as it has them; return whether it was read.

        Raises
        ------
        StartError
            When it is no archive of images, or containerd refuses it.
        """
        stamp, notes = _stamp(archive), self._read_notes()
        digests = self._digests()
        noted = notes.get(stamp)
        if noted and all(digests.get(name) == digest for name, digest in noted.items()):
            return False
        names = names_in(archive)
        done, said = self._run("images", "import", "-", stdin=archive)
        digests = self._digests()
        if not done or not all(name in digests for name in names):
            raise StartError(f"containerd does not import {archive}: {said}")
        replaced = nameless(digests)
        if replaced:
            self._run("images", "remove", "--sync", *replaced)  # what is used is kept, and goes the next time
        notes[stamp] = {name: digests[name] for name in names}
        self._notes.write_text(json.dumps(still_true(notes, digests), indent=1), encoding="utf-8")
        return True

    def _digests(self) -> dict[str, str]:
        done, said = self._run("images", "list")
        if not done:
            raise StartError(f"containerd does not list its images: {said}")
        return read_list(said)

    def _read_notes(self) -> dict[str, dict[str, str]]:
        try:
            found: dict[str, dict[str, str]] = json.loads(self._notes.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def _run(self, *arguments: str, stdin: Path | None = None) -> tuple[bool, str]:
        command = (str(self._ctr), f"--address={SOCKET}", f"--namespace={_NAMESPACE}", *arguments)
        done = self._namespaces.run(*command, stdin=stdin)
        return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stderr).strip()


def read_list(table: str) -> dict[str, str]:
    """Return the digest of every image in what ``ctr images list`` prints: name, type, digest, and more."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[0]: row[2] for row in rows}


def nameless(digests: dict[str, str]) -> list[str]:
    """Return the ids of images that no name means any more: CRI holds each by its id, too, and so for ever."""
    named = {digest for name, digest in digests.items() if not name.startswith(_ID)}
    return sorted(name for name, digest in digests.items() if name.startswith(_ID) and digest not in named)


def still_true(notes: dict[str, dict[str, str]], digests: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the notes of archives whose images are all here."""
    return {
        stamp: noted
        for stamp, noted in notes.items()
        if all(digests.get(name) == digest for name, digest in noted.items())
    }


def _stamp(archive: Path) -> str:
    """Return what changes when an archive does, without reading it."""
    try:
        found: Any = archive.stat()
    except OSError as error:
        raise StartError(f"{archive} cannot be read: {error.strerror}") from error
    return f"{archive.resolve()} {found.st_size} {found.st_mtime_ns}"
