"""The image that holds a pod's namespaces, which others download: compiled here, once."""

import hashlib
import subprocess
from pathlib import Path
from typing import Final

from devcluster.binaries.progress import Progress
from devcluster.node.archives import write_image
from devcluster.node.errors import NodeUnavailable
from devcluster.node.packages import COMPILER, ensure_packages

IMAGE: Final = "mistral-operator.io/pause:1"
_SOURCE: Final = Path(__file__).with_name("pause.c")
_USER: Final = "65535:65535"


def ensure_pause(cache: Path, progress: Progress) -> Path:
    """Return the image's archive, having made it if need be.

    Raises
    ------
    NodeUnavailable
        When there is no compiler and none can be installed, or it fails.
    """
    archive = cache / f"pause-{hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]}.tar"
    if archive.is_file():
        return archive
    ensure_packages(COMPILER, progress)
    program, half = archive.with_suffix(".program"), archive.with_suffix(".half")
    command = ("gcc", "-Os", "-static", "-s", "-o", str(program), str(_SOURCE))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise NodeUnavailable(f"{' '.join(command)} failed: {done.stderr.strip()}")
    write_image(half, IMAGE, {"/pause": program}, ("/pause",), user=_USER)
    program.unlink()
    return half.rename(archive)
