"""The node's own control groups, under which all of its pods are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from devcluster.processes import StartError

_MOUNTS: Final = Path("/proc/self/mounts")
_CPUSET: Final = ("cpuset.cpus", "cpuset.mems")
_LIMITS: Final = ("cpu", "cpuset", "hugetlb", "memory", "pids")  # what the kubelet sets, in version 2's words


class Hierarchy(NamedTuple):
    """Where control groups of one kind are."""

    top: Path
    version: int  # 1 or 2


def hierarchies(mounts: str) -> list[Hierarchy]:
    """Return what ``/proc/self/mounts`` says of control groups, each place once."""
    found: dict[Path, Hierarchy] = {}
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            found[Path(place)] = Hierarchy(Path(place), 2 if kind == "cgroup2" else 1)
    return list(found.values())


def here() -> list[Hierarchy]:
    """Return this machine's."""
    return hierarchies(_MOUNTS.read_text(encoding="utf-8"))


def folders(name: str, found: Sequence[Hierarchy]) -> list[Path]:
    """Return the folders of a group."""
    return [hierarchy.top / name for hierarchy in found]


def make(name: str, found: Sequence[Hierarchy]) -> None:
    """Make a group in every hierarchy, in which groups with limits can be made.

    Raises
    ------
    StartError
        When that is not allowed.
    """
    for hierarchy in found:
        try:
            (hierarchy.top / name).mkdir()
            if hierarchy.version == 2:
                _delegate(hierarchy.top, name)
            else:
                _prepare(hierarchy.top, name)
        except OSError as error:
            raise StartError(
                f"the node's control group cannot be made: {error.filename}: {error.strerror}. "
                "In a container, it must be a privileged one with the machine's own control groups."
            ) from error


def _prepare(top: Path, name: str) -> None:
    """Give a group of version 1 what it does not inherit, and nothing runs without."""
    for setting in _CPUSET:
        if (top / setting).exists():
            (top / name / setting).write_text((top / setting).read_text())
    accounting = top / name / "memory.use_hierarchy"
    if accounting.exists() and accounting.read_text().strip() != "1":
        accounting.write_text("1")


def _delegate(top: Path, name: str) -> None:
    """Let the groups in a group of version 2 have limits."""
    here = set((top / "cgroup.controllers").read_text().split())
    words = " ".join(f"+{limit}" for limit in _LIMITS if limit in here)
    if words:
        for folder in (top, top / name):
            (folder / "cgroup.subtree_control").write_text(words)
