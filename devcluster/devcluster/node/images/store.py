"""Finds each image's archive in the cache, or builds it."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devcluster.binaries.progress import Progress
from devcluster.binaries.store import cache_folder
from devcluster.node.images import debian
from devcluster.node.images.catalogue import Image
from devcluster.node.images.engine import DockerEngine
from devcluster.node.images.errors import ImagesError
from devcluster.node.packages import check_machine, ensure_packages
from devcluster.processes import Leash, StartError

_GIB: Final = 2**30
# vLLM's image is in the engine, in its archive, and in a node packed and unpacked; a kubelet without space runs nothing
_FIRST_GIB: Final = 30
_AGAIN_GIB: Final = 15
_ENGINE: Final = "docker"
_PROGRAMS: Final = {"debootstrap": "debootstrap", "dockerd": "docker.io"}
_COMMAND: Final = {"docker": "docker-cli"}  # brought along by docker.io before Debian 13


def ensure_images(
    images: Sequence[Image], *, progress: Progress, environment: Mapping[str, str] = os.environ
) -> dict[Image, Path]:
    """Return the archive of every image, as ``docker save`` writes it, having built those that are missing or old.

    Raises
    ------
    ImagesError
        When one cannot be built.
    NodeUnavailable
        When this machine is not Linux, this process not root's, or a Debian package cannot be installed.
    """
    cache, base = _cache(environment), debian.digest()
    archives = _archives(images, cache, base)
    if _are_there(archives):
        return archives
    with _alone(cache, progress):
        missing = {image: archive for image, archive in archives.items() if not archive.is_file()}
        if missing:
            check_machine()
            _check_room(cache)
            ensure_packages(_PROGRAMS, progress)
            ensure_packages(_COMMAND, progress)
            try:
                _build(missing, cache, f"mistral-operator-base:{base}", progress)
            except StartError as error:
                raise ImagesError(str(error)) from error
    return archives


def _build(missing: Mapping[Image, Path], cache: Path, base: str, progress: Progress) -> None:
    half_done = cache / "half-done"  # on the cache's disk: a /tmp in memory has neither room nor device files
    with Leash(half_done) as leash, DockerEngine(cache / _ENGINE) as engine:
        if not engine.has(base):
            progress.say("Installing Debian as the images' base: about 1.5 min")
            engine.load_root(debian.install(half_done, leash), base, debian.ENVIRONMENT)
        for image, archive in missing.items():
            progress.say(f"Building {image.tag}, until it changes: up to {image.minutes:g} min on two cores")
            engine.make(image.target, f"{image.variable}={image.tag}", f"BASE={base}")
            for old in archive.parent.glob(f"{image.target}-{'[0-9a-f]' * 16}.tar"):
                old.unlink()
            engine.save(image.tag, half_done / archive.name)
            (half_done / archive.name).rename(archive)
        engine.tidy()


def check_room(images: Sequence[Image], *, environment: Mapping[str, str] = os.environ) -> None:
    """Raise where images are missing and the disk has no room to build them.

    Raises
    ------
    ImagesError
        Saying how much there is, and how much is needed.
    """
    cache = _cache(environment)
    if not _are_there(_archives(images, cache, debian.digest())):
        cache.mkdir(parents=True, exist_ok=True)
        _check_room(cache)


def _cache(environment: Mapping[str, str]) -> Path:
    return cache_folder(environment) / "images"


def _archives(images: Sequence[Image], cache: Path, base: str) -> dict[Image, Path]:
    return {image: cache / f"{image.target}-{image.digest(base)}.tar" for image in images}


def _are_there(archives: Mapping[Image, Path]) -> bool:
    return all(archive.is_file() for archive in archives.values())


def _check_room(cache: Path) -> None:
    free_gib = shutil.disk_usage(cache).free / _GIB
    wanted_gib = _AGAIN_GIB if (cache / _ENGINE).exists() else _FIRST_GIB
    if free_gib < wanted_gib:
        raise ImagesError(
            f"{cache} has {free_gib:.1f} GiB free, and images and the node that runs them take up to {wanted_gib}. "
            "Free some, or point XDG_CACHE_HOME to another disk."
        )


@contextmanager
def _alone(cache: Path, progress: Progress) -> Iterator[None]:
    """Keep a second process from building the same at the same time."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another process is building the images: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
