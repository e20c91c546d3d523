"""Kubernetes quantities of memory, read and written; and numbers as people read them."""

import re
from typing import Final

_UNITS: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_QUANTITY: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(Ki|Mi|Gi|Ti|k|M|G|T)?")


def parse_bytes(text: str) -> int:
    """Parse a Kubernetes quantity of memory, such as ``80Gi``, to bytes.

    Raises
    ------
    ValueError
        For anything else, or for zero.
    """
    match = _QUANTITY.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2] or ""]) if match else 0
    if size <= 0:
        raise ValueError(f"{text!r} is no amount of memory such as 80Gi")
    return size


def gib(size_bytes: int) -> str:
    """Write bytes as GiB with the precision a person needs."""
    size = size_bytes / 2**30
    return f"{size:.1f} GiB" if size >= 0.95 or size_bytes == 0 else f"{size_bytes / 2**20:.0f} MiB"


def kib(size_bytes: int) -> str:
    """Write a small size in KiB, or bytes below one."""
    return f"{size_bytes / 1024:.4g} KiB" if size_bytes >= 1024 else f"{size_bytes} B"
