"""A world of its own for each demo."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.world import World
from devcluster.binaries import BINARIES, CONTROL_PLANE, ensure
from devcluster.binaries.progress import Progress


@pytest.fixture(scope="session")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all of a control plane's binaries, as KUBEBUILDER_ASSETS wants it."""
    folder = tmp_path_factory.mktemp("binaries")
    for name, path in ensure([BINARIES[name] for name in CONTROL_PLANE], progress=Progress()).items():
        (folder / name).symlink_to(path)
    return folder


@pytest.fixture
def world(tmp_path: Path, binaries: Path) -> Iterator[World]:
    """Return a world that is empty now, and must be empty at the end."""
    world = World(tmp_path, binaries)
    yield world
    try:
        world.until("all processes to end", lambda: not world.processes(), seconds=20)
    except TimeoutError:
        for pid in world.processes():
            psutil.Process(pid).kill()
        raise
