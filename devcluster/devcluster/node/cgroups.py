"""The node's own control groups, under which all of its pods are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_MOUNTS: Final = Path("/proc/self/mounts")
_CPUSET: Final = ("cpuset.cpus", "cpuset.mems")


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
    """Make a group in every hierarchy, in which groups with limits can be made."""
    for hierarchy in found:
        folder = hierarchy.top / name
        if hierarchy.version == 2:
            _delegate(hierarchy.top)
            folder.mkdir()
            _delegate(folder)
            continue
        folder.mkdir()
        for setting in _CPUSET:  # empty in a new group, and nothing runs in one without
            if (folder / setting).exists():
                (folder / setting).write_text((hierarchy.top / setting).read_text())
        accounting = folder / "memory.use_hierarchy"
        if accounting.exists() and accounting.read_text().strip() != "1":
            accounting.write_text("1")


def _delegate(folder: Path) -> None:
    """Let the groups in a group of version 2 have all limits that it can have itself."""
    controllers = (folder / "cgroup.controllers").read_text().split()
    if controllers:
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
