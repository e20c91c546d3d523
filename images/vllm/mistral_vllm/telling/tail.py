"""The last lines of a process's output, in little memory however long it runs."""

from collections import deque
from typing import Final

LIMIT_BYTES: Final = 256 * 1024  # the tracebacks of eight workers, twice


class Tail:
    """Whole lines of several streams, in the order they ended; the oldest are forgotten."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._lines: deque[bytes] = deque()
        self._unfinished: dict[int, bytes] = {}

    def add(self, stream: int, chunk: bytes) -> None:
        """Take what a stream said; a line counts once it has ended, so that streams do not tear each other's."""
        text = self._unfinished.pop(stream, b"") + chunk
        whole, newline, rest = text.rpartition(b"\n")
        if len(rest) > self._limit_bytes:
            rest = rest[-self._limit_bytes :]
        if rest:
            self._unfinished[stream] = rest
        if not newline:
            return
        self._lines.append(whole + newline)
        self._size_bytes += len(whole) + 1
        while self._size_bytes > self._limit_bytes and len(self._lines) > 1:
            self._size_bytes -= len(self._lines.popleft())
        if self._size_bytes > self._limit_bytes:
            self._lines[0] = self._lines[0][-self._limit_bytes :]
            self._size_bytes = self._limit_bytes

    def text(self) -> str:
        """Return what is kept, unfinished lines last, each a line of its own."""
        return (b"".join(self._lines) + b"\n".join(self._unfinished.values())).decode("utf-8", "replace")
