"""HTTP with one pod: a GET whose answer is collected on the event loop, within bounds, and understood elsewhere.

No client library reads off the loop: each parses what comes while it comes, and a pod may send interim answers or
chunks of one byte for as long as it is listened to. Here the loop only counts bytes; the standard library's parser goes
over them in a thread.
"""

import asyncio
import io
import re
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Final, NamedTuple

MOST_BYTES: Final = 256 * 1024  # of a body
_HEAD_BYTES: Final = 16 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length:[ \t]{0,8}(\d{1,9})[ \t]{0,8}(?=\r\n)")
_INTERIM: Final = re.compile(rb"HTTP/1\.\d 1")


class NotHTTPError(Exception):
    """What came is no answer; ``str()`` names what it is instead."""


class Answer(NamedTuple):
    """What a pod answered."""

    status: int
    content: bytes | None  # None where it is longer than MOST_BYTES


async def collect(host: str, port: int, path: str, headers: Mapping[str, str]) -> bytes:
    """Ask, and return what comes until the answer is whole, or longer than any that counts.

    Raises
    ------
    OSError
        When there is no connection.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        received = bytearray()
        wanted: int | None = None
        while chunk := await reader.read(_CHUNK_BYTES):
            received += chunk
            if wanted is None:
                wanted = _wanted_bytes(received)
            if wanted is not None and len(received) >= wanted:
                break
        return bytes(received)
    finally:
        writer.transport.abort()  # an answer that goes on is nobody's


def understand(received: bytes) -> Answer:
    """Take an answer apart.

    Raises
    ------
    NotHTTPError
        When it is none.
    """
    if received.find(b"\r\n\r\n", 0, _HEAD_BYTES) < 0:
        raise NotHTTPError("it begins with no head")
    if _INTERIM.match(received):
        raise NotHTTPError("an interim answer")  # there may be thousands of them, and vLLM sends none
    response = HTTPResponse(_Socket(received), method="GET")  # type: ignore[arg-type]
    try:
        response.begin()
        if response.length is not None and response.length > MOST_BYTES:
            return Answer(response.status, None)
        content = response.read()
    except IncompleteRead:
        if len(received) > MOST_BYTES:
            return Answer(response.status, None)
        raise NotHTTPError("IncompleteRead") from None
    except (HTTPException, ValueError) as error:
        raise NotHTTPError(type(error).__name__) from None
    return Answer(response.status, content if len(content) <= MOST_BYTES else None)


def _wanted_bytes(received: bytearray) -> int | None:
    """Return how long the answer is at most, as far as its head is there."""
    end = received.find(b"\r\n\r\n", 0, _HEAD_BYTES)
    if end < 0:
        return 0 if len(received) > _HEAD_BYTES else None
    length = _LENGTH.search(received, 0, end + 2)
    most_bytes = _HEAD_BYTES + MOST_BYTES + 1
    return most_bytes if length is None else min(most_bytes, end + 4 + int(length[1]))


class _Socket:
    """As much of a socket as the parser wants."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        """Return what was received."""
        return io.BytesIO(self._received)
