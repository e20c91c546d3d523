"""How much a cache folder may hold, over all models and tokens: what was stored first goes first.

A pod whose volume outgrows its limit is evicted, and anybody may name any number of models.
"""

import contextlib
import os
import threading
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 4096  # a file takes whole blocks of its file system, and a kubelet counts those
_ENTRY_BYTES: Final = 2 * _BLOCK_BYTES  # of the folders that a file may need
_KEPT_SHARE: Final = 0.75  # of the limit, so that not every file makes room for itself


class CacheSpace:
    """The room in one folder, for all threads of one process that write there.

    Parameters
    ----------
    root
        The folder; what lies in it already counts.
    limit_bytes
        How much its files may take.
    """

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self._root = root
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._used_bytes: int | None = None  # at most; None: not looked yet

    def make_room(self, size_bytes: int) -> None:
        """Count a file that is about to be written, and let old ones go where it would be too much."""
        with self._lock:
            if self._used_bytes is None:
                self._used_bytes = sum(size for _, size, _ in _files(self._root))
            self._used_bytes += _on_disk(size_bytes) + _ENTRY_BYTES
            if self._used_bytes > self._limit_bytes:
                self._used_bytes = self._remove_oldest(int(_KEPT_SHARE * self._limit_bytes) - size_bytes)

    def _remove_oldest(self, kept_bytes: int) -> int:
        """Remove files until the rest is small enough; return how much that is."""
        files = sorted(_files(self._root))
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used <= kept_bytes:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - thousands of paths, as strings
                used -= size
                os.removedirs(os.path.dirname(path))  # noqa: PTH120 - ends at the first that is not empty
        return used


def _files(root: Path) -> list[tuple[int, int, str]]:
    """Return when each file was written, what it takes, and where it is."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = f"{folder}/{name}"
            with contextlib.suppress(OSError):
                seen = os.stat(path)  # noqa: PTH116
                found.append((seen.st_mtime_ns, _on_disk(seen.st_size) + _ENTRY_BYTES, path))
    return found


def _on_disk(size_bytes: int) -> int:
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
