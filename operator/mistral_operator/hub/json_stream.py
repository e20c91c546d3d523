"""JSON that anybody may have written, read in pieces: bounded before a single object is made of it.

``json.loads`` takes up to forty times what it reads, recurses as deep as a text says, and holds Python's global lock
to its end. Here a text goes by in chunks; what is not wanted is skipped by regular expressions that never backtrack,
and of what is wanted one value at a time is decoded, whose bytes, depth and digits are bounded. So memory does not
depend on how long the text is, and other threads run in between.

What is skipped is checked for its brackets and strings, not for every comma.
"""

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

MAX_DEPTH: Final = 64  # a config of a multimodal model has six levels
MAX_DIGITS: Final = 64  # of an integer; 2**63 has nineteen
_CHUNK_BYTES: Final = 1 << 16  # what one regular expression goes over, and so how long it holds the global lock
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# up to the next bracket that is not one of a list without brackets, or to a string that does not end in this chunk
_FLAT: Final = re.compile(rb'(?s)(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"|\[[^"\[\]{}]*+\])*+')
# runs of small objects, each with a comma behind it: most of a listing, and of a safetensors header with the names
_STRING: Final = r'"(?:[^"\\]++|\\.)*+"'
_FLAT_CONTENT: Final = rf'(?:[^"\[\]{{}}]++|{_STRING})*+'
_OBJECT: Final = rf'\{{(?:[^"\[\]{{}}]++|{_STRING}|[\[{{]{_FLAT_CONTENT}[\]}}])*+\}}'
_ELEMENTS: Final = re.compile(rf"(?s)(?:\s*+{_OBJECT}\s*+,)++".encode())
_MEMBERS: Final = re.compile(rf"(?s)(?:\s*+{_STRING}\s*+:\s*+{_OBJECT}\s*+,)++".encode())
_REST_OF_STRING: Final = re.compile(rb'(?s)(?:[^"\\]++|\\.)*+')
_SCALAR: Final = re.compile(rb'[^\s,:"\[\]{}]*+')
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_QUOTE: Final = ord('"')
_CLOSERS: Final = {ord("["): ord("]"), ord("{"): ord("}")}


class JsonInvalid(ValueError):
    """The text is not the JSON that is wanted; ``str()`` is a sentence without its full stop."""


class JsonTooLarge(JsonInvalid):
    """A value, or the number of them, is beyond the bounds."""


class JsonCutShort(JsonInvalid):
    """The text ends before its value does."""


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise JsonInvalid("it holds a number of too many digits")
    return int(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_integer)


def decode(content: bytes) -> Any:
    """Return one JSON value whose size and depth were bounded before.

    ``NaN`` and ``Infinity`` are values. Lone surrogates and control characters in strings become U+FFFD, line breaks
    and tabs excepted: no status can hold them, and a terminal would act on them.

    Raises
    ------
    JsonInvalid, json.JSONDecodeError, UnicodeDecodeError
        All of them are ``ValueError``.
    """
    text = content.decode("utf-8")
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("Unexpected UTF-8 BOM", text, 0)
    value = _DECODER.decode(text)
    # what needs no replacement has neither an escape nor a character beyond ASCII: nearly every file
    return value if content.isascii() and b"\\" not in content and b"\x7f" not in content else _plain(value)


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value is an integer that a file's bytes or elements can add up to."""
    return type(value) is int and 0 <= value < 2**63


def without_controls(text: str) -> str:
    """Return a text with U+FFFD for what no status can hold, or a terminal acts on; line breaks and tabs stay."""
    return _CONTROL.sub("\ufffd", _SURROGATE.sub("\ufffd", text))


def _plain(value: Any) -> Any:
    match value:
        case str():
            return without_controls(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {_plain(name): _plain(item) for name, item in value.items()}
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a text may ask for: ``value_bytes`` of each decoded value, ``containers`` objects and lists in all."""

    value_bytes: int
    containers: int


class JsonStream:
    """One JSON text, read once from its beginning to its end.

    Parameters
    ----------
    chunks
        The text in UTF-8, cut anywhere.
    bounds
        What it may ask for.
    """

    def __init__(self, chunks: Iterable[bytes], bounds: Bounds) -> None:
        self._chunks = _slices(chunks)
        self._bounds = bounds
        self._buffer = b""
        self._at = 0
        self._kept_from: int | None = None  # where a value that is to be decoded begins
        self._containers = 0

    def members(
        self, wanted: Callable[[str], bool] = lambda _: True, *, in_pieces: Collection[str] = ()
    ) -> Iterator[tuple[str, Any]]:
        """Yield the members of the text's object.

        The value of a name in ``in_pieces`` is an iterator over a list's elements, good until the next member.

        Raises
        ------
        JsonInvalid
            When the text is not one JSON object, or beyond the bounds.
        """
        if self._next() != b"{":
            raise JsonInvalid("it is not a JSON object")
        self._at += 1
        if self._next() == b"}":
            self._at += 1
        else:
            while True:
                for name, value in self._run(_MEMBERS, b"{", b"}").items():
                    if name in in_pieces:
                        raise JsonInvalid("it holds no list where one is expected")
                    if wanted(name):
                        yield name, value
                name = self.value()
                if not isinstance(name, str) or self._next() != b":":
                    raise JsonInvalid("it is not JSON: a member has no name")
                self._at += 1
                if name in in_pieces:
                    elements = self._elements()
                    yield name, elements
                    for _ in elements:
                        pass  # what nobody took
                elif wanted(name):
                    yield name, self.value()
                else:
                    self.skip()
                if self._ends(b"}"):
                    break
        self.end()

    def _elements(self) -> Iterator[Any]:
        if self._next() != b"[":
            raise JsonInvalid("it holds no list where one is expected")
        self._at += 1
        if self._next() == b"]":
            self._at += 1
            return
        while True:
            yield from self._run(_ELEMENTS, b"[", b"]")
            yield self.value()
            if self._ends(b"]"):
                return

    def _run(self, pattern: re.Pattern[bytes], opener: bytes, closer: bytes) -> Any:
        """Decode at once what lies ready and is small: one by one, each value takes ten times as long."""
        end = _end(pattern, self._buffer, self._at, self._at + self._bounds.value_bytes)
        content = self._buffer[self._at : end - 1] if end > self._at else b""
        self._at = end
        self._count(content.count(b"{") + content.count(b"["))
        return self._decoded(opener + content + closer)

    def value(self) -> Any:
        """Return the value that comes next."""
        self._next()
        self._kept_from = self._at
        self.skip()
        content = self._buffer[self._kept_from : self._at]
        self._kept_from = None
        if len(content) > self._bounds.value_bytes:
            raise self._too_large()
        return self._decoded(content)

    @staticmethod
    def _decoded(content: bytes) -> Any:
        try:
            return decode(content)
        except JsonInvalid:
            raise
        except ValueError:
            raise JsonInvalid("it is not JSON") from None

    def skip(self) -> None:
        """Go over the value that comes next."""
        first = self._next()
        if first == b'"':
            self._at += 1
            self._skip_string()
        elif first in (b"[", b"{"):
            self._at += 1
            self._skip_container(ord(first))
        else:
            self._skip_scalar()

    def end(self) -> None:
        """Make sure that nothing follows."""
        while self._skip_space():
            if not self._fill():
                return
        raise JsonInvalid("it is not JSON: something follows its end")

    def _ends(self, closer: bytes) -> bool:
        after = self._next()
        self._at += 1
        if after not in (b",", closer):
            raise JsonInvalid("it is not JSON: a comma is missing")
        return after == closer

    def _next(self) -> bytes:
        """Return the next byte that is no white space, which stays to be read."""
        while self._skip_space():
            if not self._fill():
                raise JsonCutShort("it ends too early")
        return self._buffer[self._at : self._at + 1]

    def _skip_space(self) -> bool:
        """Go over white space; tell whether the buffer is at its end."""
        self._at = _end(_SPACE, self._buffer, self._at)
        return self._at >= len(self._buffer)

    def _skip_scalar(self) -> None:
        begun = False
        while True:
            end = _end(_SCALAR, self._buffer, self._at)
            begun = begun or end > self._at
            self._at = end
            if end < len(self._buffer) or not self._fill():
                break
        if not begun:
            raise JsonInvalid("it is not JSON: a value is missing")

    def _skip_string(self) -> None:
        while True:
            self._at = _end(_REST_OF_STRING, self._buffer, self._at)
            if self._buffer[self._at : self._at + 1] == b'"':
                self._at += 1
                return
            if not self._fill():
                raise JsonCutShort("it ends inside a string")

    def _skip_container(self, opener: int) -> None:
        open_ends = [self._open(opener)]
        while open_ends:
            self._at = _end(_FLAT, self._buffer, self._at)
            if self._at >= len(self._buffer):
                if not self._fill():
                    raise JsonCutShort("it ends too early")
                continue
            byte = self._buffer[self._at]
            self._at += 1
            if byte == _QUOTE:
                self._skip_string()
            elif byte in _CLOSERS:
                if len(open_ends) == MAX_DEPTH:
                    raise JsonTooLarge("it is nested too deeply")
                open_ends.append(self._open(byte))
            elif byte != open_ends.pop():
                raise JsonInvalid("it is not JSON: its brackets do not match")

    def _open(self, opener: int) -> int:
        self._count(1)
        return _CLOSERS[opener]

    def _count(self, containers: int) -> None:
        self._containers += containers
        if self._containers > self._bounds.containers:
            raise JsonTooLarge(f"it holds more than {self._bounds.containers:,} objects and lists")

    def _fill(self) -> bool:
        """Get one more chunk, and let go of what was read; tell whether there was one."""
        kept_from = self._at if self._kept_from is None else self._kept_from
        if self._kept_from is not None and self._at - kept_from > self._bounds.value_bytes:
            raise self._too_large()
        chunk = next(self._chunks, b"")
        self._buffer = self._buffer[kept_from:] + chunk
        self._at -= kept_from
        if self._kept_from is not None:
            self._kept_from = 0
        return bool(chunk)

    def _too_large(self) -> JsonTooLarge:
        return JsonTooLarge(f"one value in it is longer than {self._bounds.value_bytes:,} bytes")


def _end(pattern: re.Pattern[bytes], text: bytes, at: int, before: int = sys.maxsize) -> int:
    found = pattern.match(text, at, before)
    return at if found is None else found.end()


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return (chunk[at : at + _CHUNK_BYTES] for chunk in chunks for at in range(0, len(chunk), _CHUNK_BYTES))
