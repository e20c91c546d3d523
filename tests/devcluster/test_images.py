"""An archive of an image is used for as long as it is what would be built."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devcluster.node.images import IMAGES, Image
from unit.dockerfiles import makefile

BASE = "base"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Return an image of a folder with one source file."""
    (tmp_path / ".dockerignore").write_text("# all but\n*\n!package\n!LICENSE\n**/__pycache__\n")
    for name in ("package/module.py", "LICENSE", "Dockerfile", "other.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return Image("name:tag", "image", "NAME", tmp_path / "Dockerfile", tmp_path, 1.0)


def write(image: Image, name: str) -> None:
    """Change a file, or make it."""
    path = image.context / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")


def move(image: Image) -> None:
    """Give a module another name."""
    (image.context / "package/module.py").rename(image.context / "package/moved.py")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: write(image, "package/module.py"), id="a source"),
        pytest.param(lambda image: write(image, "package/new/module.py"), id="a new source"),
        pytest.param(lambda image: write(image, "LICENSE"), id="a file that is named itself"),
        pytest.param(lambda image: write(image, "Dockerfile"), id="the Dockerfile"),
        pytest.param(move, id="a name"),
    ],
)
def test_what_rebuilds(image: Image, change: Callable[[Image], None]) -> None:
    """Whatever Docker would see."""
    (image.context / "package" / "new").mkdir()
    before = image.digest(BASE)
    change(image)
    assert image.digest(BASE) != before


@pytest.mark.parametrize("name", ["other.py", "package/__pycache__/module.pyc"])
def test_what_does_not(image: Image, name: str) -> None:
    """What .dockerignore keeps out."""
    (image.context / "package" / "__pycache__").mkdir()
    before = image.digest(BASE)
    write(image, name)
    assert image.digest(BASE) == before


def test_another_base_rebuilds(image: Image) -> None:
    """As do other certificates, which are in it."""
    assert image.digest("another") != image.digest(BASE)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.target)
def test_they_are_called_what_the_makefile_calls_them(image: Image) -> None:
    """So that one built by hand is the same."""
    assert image.tag == makefile(image.variable)
