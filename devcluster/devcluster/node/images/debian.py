"""The base image's file system: Debian with its Python and with this machine's certificates.

With those, a build works behind a proxy that has certificates of its own; no Dockerfile knows of it.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from devcluster.node.images.errors import ImagesError
from devcluster.processes import Leash, Process

_SUITE: Final = "trixie"
_PACKAGES: Final = ("ca-certificates", "python3")
_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_LEFT_OUT: Final = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./var/cache/apt/*",
                    "./var/lib/apt/lists/*", "./var/log/*")  # fmt: skip
ENVIRONMENT: Final = (f"SSL_CERT_FILE={_BUNDLE}", f"PIP_CERT={_BUNDLE}")
"""What makes the tools of a build read the certificates."""


def digest() -> str:
    """Return what the base depends on, in one word; Debian is that of the day on which it was made."""
    content = repr((_SUITE, _PACKAGES, _LEFT_OUT, ENVIRONMENT)).encode() + _certificates()
    return hashlib.sha256(content).hexdigest()[:16]


def install(folder: Path, leash: Leash) -> Path:
    """Install Debian and return it as a tar archive, in a folder of the leash.

    Raises
    ------
    ImagesError
        When it cannot be installed, with the end of the log.
    """
    root, archive = folder / "debian", folder / "debian.tar"
    packages = f"--include={','.join(_PACKAGES)}"
    # what it mounts inside is gone with the namespace, whatever happens
    debootstrap = ("unshare", "--mount", "debootstrap", "--variant=minbase", packages, _SUITE, str(root))
    process = Process("debootstrap", debootstrap, folder, leash)
    if process.wait() != 0:
        raise ImagesError(
            f"debootstrap cannot install Debian {_SUITE}: is its mirror reachable, through http_proxy if need be?\n"
            f"{process.end_of_log()}"
        )
    (root / _BUNDLE.relative_to("/")).write_bytes(_certificates())
    left_out = (f"--exclude={pattern}" for pattern in _LEFT_OUT)
    pack = ("tar", "--create", f"--directory={root}", f"--file={archive}", "--numeric-owner", *left_out, ".")
    subprocess.run(pack, check=True, capture_output=True)  # noqa: S603
    shutil.rmtree(root)
    return archive


def _certificates() -> bytes:
    path = Path(os.environ.get("SSL_CERT_FILE") or _BUNDLE)
    return path.read_bytes() if path.is_file() else b""
