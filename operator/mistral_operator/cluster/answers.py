"""Answers of the API server as they arrive: bounded in bytes, read as objects, lines or events, errors typed."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import aiohttp

from mistral_operator.cluster.errors import ClusterError, TooLongError, UnreachableError, error_of

Manifest = dict[str, Any]

_LONGEST_LOG_BYTES: Final = 16 * 1024 * 1024  # 300 lines of a log are 5 MiB at most: the runtime parts them at 16 KiB
_DIGITS: Final = 6  # of a Retry-After that means seconds


class WatchEvent(NamedTuple):
    """What happened to an object, or that nothing did until a version: a bookmark, with hardly any body."""

    type: str  # ADDED, MODIFIED, DELETED or BOOKMARK
    body: Manifest


class LineTooLongError(Exception):
    """A line of an answer exceeds what is read of one."""


async def whole(what: str, response: aiohttp.ClientResponse, longest_bytes: int | None) -> bytes:
    """Return an answer's body.

    Raises
    ------
    TooLongError
        When it is longer than ``longest_bytes``.
    """
    if longest_bytes is None:
        return await response.read()
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > longest_bytes:
            response.close()
            raise TooLongError(what, response.status, f"the answer is longer than {longest_bytes >> 10} KiB")
    return bytes(content)


async def end_of(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """Return the last bytes of an answer's body, of which no more than 16 MiB are read."""
    content, read_bytes = bytearray(), 0
    async for chunk in response.content.iter_any():
        content += chunk
        del content[:-limit_bytes]
        read_bytes += len(chunk)
        if read_bytes > _LONGEST_LOG_BYTES:
            response.close()
            break
    return bytes(content)


async def lines(response: aiohttp.ClientResponse, longest_bytes: int) -> AsyncIterator[bytes]:
    """Yield the lines of an answer as they arrive; what follows the last line break was cut off, and is dropped.

    Raises
    ------
    LineTooLongError
        When one is longer than ``longest_bytes``.
    """
    begun = bytearray()
    async for chunk in response.content.iter_any():
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield bytes(begun) + line if begun else line
            begun.clear()
        begun += rest
        if len(begun) > longest_bytes:
            raise LineTooLongError


def event_of_line(what: str, line: bytes) -> WatchEvent:
    """Read one line of a watch.

    Raises
    ------
    ClusterError
        When it reports an error, or is no event.
    """
    event = object_of(what, 200, line)
    kind, body = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise UnreachableError(what, 200, f"the line is no event but {_shown(line)!r}")
    if kind == "ERROR":
        raise error_of(what, int(body.get("code") or 500), str(body.get("message") or "no message"))
    return WatchEvent(kind, body)


def object_of(what: str, status: int, content: bytes) -> Manifest:
    """Read an answer; what is no JSON object comes from something between us and the API server."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise UnreachableError(what, status, f"the answer is no JSON object but {_shown(content)!r}")
    return answer


def _shown(content: bytes) -> str:
    return content[:300].decode(errors="replace")


def error_of_answer(what: str, status: int, content: bytes, headers: Mapping[str, str]) -> ClusterError:
    """Read the server's Status object; a proxy's error page counts as its text."""
    try:
        answer = json.loads(content)
        message = str(answer["message"])
        causes = [str(cause.get("reason")) for cause in (answer.get("details") or {}).get("causes") or ()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        message, causes = _shown(content) or "no message", []
    error = error_of(what, status, message, causes)
    after = str(headers.get("Retry-After", ""))
    error.retry_after_seconds = float(after) if after.isdecimal() and len(after) < _DIGITS else None
    return error
