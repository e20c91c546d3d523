"""What a file of a repository is made of: a size, and bytes that can be read from any offset.

The hub serves checkpoints of up to 250 GB, so nothing here asks for a whole file: a reader names the range it
wants and gets it in pieces.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

PIECE = 1 << 20
"""Largest number of bytes that a content yields at once."""

_LFS_SUFFIXES = frozenset({".bin", ".gguf", ".model", ".pt", ".safetensors"})
_LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


class Content(Protocol):
    """Bytes that can be read from any offset."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``stop``, in pieces of at most `PIECE` bytes."""

    def identity(self) -> Iterator[bytes]:
        """Yield what tells this content from every other one of the same size."""


@dataclass(frozen=True)
class BytesContent:
    """A content held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``stop``."""
        for offset in range(start, stop, PIECE):
            yield self.data[offset : min(offset + PIECE, stop)]

    def identity(self) -> Iterator[bytes]:
        """Yield the bytes themselves."""
        yield self.data


@dataclass(frozen=True)
class DiskContent:
    """A content read from disk at each request; the file must not change while it is served."""

    path: Path

    @cached_property
    def size(self) -> int:
        """Length in bytes."""
        return self.path.stat().st_size

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``stop``."""
        with self.path.open("rb") as file:
            file.seek(start)
            for offset in range(start, stop, PIECE):
                yield file.read(min(PIECE, stop - offset))

    def identity(self) -> Iterator[bytes]:
        """Yield the bytes themselves."""
        return self.read(0, self.size)


@dataclass(frozen=True)
class RepoFile:
    """A named content, with the ids that git and git-lfs would give it.

    Parameters
    ----------
    name
        Path inside the repository, with forward slashes.
    content
        The bytes.
    """

    name: str
    content: Content

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.content.size

    @property
    def lfs(self) -> bool:
        """Whether the hub would keep the file in git-lfs, which shows in its ids and headers."""
        return Path(self.name).suffix in _LFS_SUFFIXES

    @cached_property
    def sha256(self) -> str:
        """64 hex digits over the content's identity; for stored files that is their true sha256."""
        digest = hashlib.sha256()
        for piece in self.content.identity():
            digest.update(piece)
        return digest.hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git itself stores of a git-lfs file."""
        return _LFS_POINTER.format(oid=self.sha256, size=self.size).encode()

    @cached_property
    def blob_id(self) -> str:
        """40 hex digits: the id of the git blob, which is the pointer's for a git-lfs file."""
        size, pieces = (len(self.pointer), [self.pointer]) if self.lfs else (self.size, self.content.identity())
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        for piece in pieces:
            digest.update(piece)
        return digest.hexdigest()

    @property
    def etag(self) -> str:
        """What the hub sends as ``ETag``: the sha256 of a git-lfs file, the blob id of any other."""
        return self.sha256 if self.lfs else self.blob_id
