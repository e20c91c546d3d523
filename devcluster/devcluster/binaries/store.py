"""Finds each binary, or builds it: what is in ``KUBEBUILDER_ASSETS`` first, then the cache, then Go."""

import fcntl
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devcluster.binaries.catalogue import KUBE, Binary
from devcluster.binaries.golang import NoGoError, find_go, go_environment, host_platform
from devcluster.binaries.progress import Progress
from devcluster.processes import Leash, Process

_GIB: Final = 2**30
_FREE_GIB: Final = 10  # Go's own caches of modules and packages, and the binaries


class BinariesError(Exception):
    """A binary can be neither found nor built; ``str()`` says why and what to do."""


def ensure(
    binaries: Iterable[Binary], *, progress: Progress, environment: Mapping[str, str] = os.environ
) -> dict[str, Path]:
    """Return the path of every binary, having built the missing ones.

    Raises
    ------
    BinariesError
        When a build fails or cannot begin.
    """
    cache = cache_folder(environment)
    given = environment.get("KUBEBUILDER_ASSETS")
    found: dict[str, Path] = {}
    missing: list[Binary] = []
    for binary in binaries:
        path = _given(Path(given), binary, progress) if given else None
        path = path or _cached(cache, binary)
        if path.is_file():
            found[binary.name] = path
        else:
            missing.append(binary)
    if missing:
        with _alone(cache, progress):
            found |= _build_missing(missing, cache, progress)
    return found


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return where built binaries are kept."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mistral-operator" / "devcluster"


def _cached(cache: Path, binary: Binary) -> Path:
    return (
        cache / f"{binary.family.name}-{binary.family.version}-{binary.family.digest()}" / host_platform() / binary.name
    )


def _given(folder: Path, binary: Binary, progress: Progress) -> Path | None:
    """Return a binary of KUBEBUILDER_ASSETS, if it will do: Kubernetes' own must be of the same minor release."""
    path = folder / binary.name
    if not os.access(path, os.X_OK):
        return None
    if binary.family is not KUBE:
        return path
    wanted = binary.family.version.rpartition(".")[0]
    asked = (path, "version", "--client") if binary.name == "kubectl" else (path, "--version")
    said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60).stdout  # noqa: S603
    version = re.search(r"v(\d+\.\d+)\.\d+", said)
    if version is not None and version[1] == wanted:
        return path
    progress.say(f"{path} is {version[0] if version else 'of an unknown version'}, not {wanted}: it is not used")
    return None


def _build_missing(missing: list[Binary], cache: Path, progress: Progress) -> dict[str, Path]:
    found = {binary.name: path for binary in missing if (path := _cached(cache, binary)).is_file()}
    wanted = [binary for binary in missing if binary.name not in found]  # another process may have built the rest
    if not wanted:
        return found
    free_gib = shutil.disk_usage(cache).free / _GIB
    if free_gib < _FREE_GIB:
        raise BinariesError(
            f"{cache} has {free_gib:.1f} GiB free, and building Kubernetes takes up to {_FREE_GIB} with Go's caches. "
            "Free some, or point XDG_CACHE_HOME and GOCACHE to another disk."
        )
    try:
        go = find_go()
    except NoGoError as error:
        raise BinariesError(str(error)) from error
    with progress.building(wanted) as building:
        for binary in wanted:
            building.begin(binary)
            found[binary.name] = _build(go, binary, _cached(cache, binary))
    return found


def _build(go: Iterable[str], binary: Binary, target: Path) -> Path:
    """Build one binary beside its place and move it there whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / f".{binary.name}-{secrets.token_hex(4)}"
    with Leash(folder) as leash:
        built = folder / binary.name
        family = binary.family
        flags = ("-trimpath", "-tags", family.tags, "-ldflags", family.linker_flags, "-o", str(built))
        build = Process(
            "go-build",
            (*go, "build", *flags, binary.package),
            folder,
            leash,
            environment=go_environment(),
            cwd=family.folder,
        )
        if build.wait() != 0:
            raise BinariesError(f"go build of {binary.package} {family.version} failed:\n{build.end_of_log()}")
        built.rename(target)
    return target


@contextmanager
def _alone(cache: Path, progress: Progress) -> Iterator[None]:
    """Keep a second process from building the same at the same time."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another process is building the local control plane: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
