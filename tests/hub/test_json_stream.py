"""What is read of JSON that anybody may have written, and what of it is never made into objects."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.hub.json_stream import Bounds, JsonCutShort, JsonInvalid, JsonStream, JsonTooLarge, decode

BOUNDS = Bounds(value_bytes=1000, containers=1000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=5) | st.dictionaries(st.text(), values, max_size=5),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=6)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    """Yield a text in chunks of that size."""
    return (content[at : at + size] for at in range(0, len(content), size))


def members(content: bytes, *, size: int = 1 << 20, bounds: Bounds = BOUNDS, **how: Any) -> list[tuple[str, Any]]:
    """Return the members of an object."""
    found = JsonStream(cut(content, size), bounds).members(**how)
    return [(name, list(value) if isinstance(value, Iterator) else value) for name, value in found]


@given(OBJECTS, st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
def test_the_members_are_those_of_json(written: dict[str, Any], size: int, ascii_: bool, indent: int | None) -> None:
    """However the text is cut and written, the values are what the library makes of it, but for control characters."""
    content = json.dumps(written, ensure_ascii=ascii_, indent=indent).encode("utf-8", "replace")
    bounds = Bounds(value_bytes=1 << 20, containers=1 << 20)
    assert dict(members(content, size=size, bounds=bounds)) == decode(content)


@given(OBJECTS, st.integers(1, 40))
def test_what_is_not_wanted_is_gone_over(written: dict[str, Any], size: int) -> None:
    """Whatever stands in a member that nobody reads, those around it are found."""
    content = json.dumps({"first": 1, **written, "last": [2]}).encode()
    bounds = Bounds(value_bytes=1 << 20, containers=1 << 20)
    wanted = {"first", "last"}
    assert [name for name, _ in members(content, size=size, bounds=bounds, wanted=wanted.__contains__)] == [
        name for name in json.loads(content) if name in wanted
    ]


@given(st.lists(VALUES, max_size=6), st.integers(1, 40))
def test_a_list_in_pieces(elements: list[Any], size: int) -> None:
    """A list may be longer than any value may be: its elements come one by one."""
    content = json.dumps({"list": elements, "last": 1}).encode()
    bounds = Bounds(value_bytes=1 << 20, containers=1 << 20)
    found = members(content, size=size, bounds=bounds, in_pieces=("list",))
    assert found == list(decode(content).items())
    names = [name for name, _ in JsonStream(cut(content, size), bounds).members(in_pieces=("list",))]
    assert names == ["list", "last"]


@given(st.binary(max_size=60), st.integers(1, 7))
def test_any_bytes_are_members_or_an_error_of_ours(content: bytes, size: int) -> None:
    """Nothing makes reading fail in a way that has no name."""
    for text in (content, b'{"a":' + content, b'{"a":[' + content + b"]}"):
        try:
            members(text, size=size)
        except JsonInvalid:
            continue
        json.loads(text)


INVALID: list[tuple[bytes, type[JsonInvalid], str]] = [
    (b"", JsonCutShort, "ends too early"),
    (b"{", JsonCutShort, "ends too early"),
    (b'{"a', JsonCutShort, "inside a string"),
    (b'{"a": [[1], ', JsonCutShort, "ends too early"),
    (b'{"a": 1', JsonCutShort, "ends too early"),
    (b"[]", JsonInvalid, "not a JSON object"),
    (b'{"a": 1} x', JsonInvalid, "something follows"),
    (b'{"a": 1 "b": 2}', JsonInvalid, "comma is missing"),
    (b'{"a": [1}}', JsonInvalid, "brackets do not match"),
    (b'{"a": }', JsonInvalid, "value is missing"),
    (b"{1: 2}", JsonInvalid, "member has no name"),
    (b'{"a": ' + b"9" * 65 + b"}", JsonInvalid, "too many digits"),
    (b'{"a": "\xff"}', JsonInvalid, "not JSON"),
    (b'{"a": ' + b"[" * 66 + b"]" * 66 + b"}", JsonTooLarge, "nested too deeply"),
    (b'{"a": ' + b'{"":' * 900_000, JsonTooLarge, "nested too deeply"),
    (b'{"a": "' + b"x" * 1000 + b'"}', JsonTooLarge, "longer than 1,000 bytes"),
    (b'{"' + b"x" * 1000 + b'": 1}', JsonTooLarge, "longer than 1,000 bytes"),
]


@pytest.mark.parametrize(("content", "error", "says"), INVALID)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_what_is_no_object_within_bounds(content: bytes, error: type[JsonInvalid], says: str, size: int) -> None:
    """Each kind of damage is named, wherever chunks end."""
    if size < 3 and len(content) > 100_000:
        size = 1 << 10
    with pytest.raises(error, match=says):
        members(content, size=size)


def test_what_is_gone_over_is_bounded_too() -> None:
    """Objects and lists take their time, kept or not."""
    content = b'{"a": [' + b"{}," * 1000 + b"{}]}"
    with pytest.raises(JsonTooLarge, match="more than 1,000 objects"):
        members(content, wanted=lambda _: False)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "NaN", "1" * 64, "0." + "1" * 900, "-0"])
def test_numbers_of_any_kind_are_values(number: str) -> None:
    """What they may be used for is for those to say who read them."""
    [(_, value)] = members(f'{{"a": {number}}}'.encode())
    assert isinstance(value, int | float)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"\ud83d\ude80"', "🚀"),
        (r'"a\ud800b"', "a\ufffdb"),
        (r'"\u0000\u001b[31m\u009b\u202e"', "\ufffd\ufffd[31m\ufffd\ufffd"),
        ('"é\u202e\x7f"', "é\ufffd\ufffd"),
        (r'"two\nlines\tand a tab"', "two\nlines\tand a tab"),
        (r'[{"\udfff": ["\u0007"]}]', [{"\ufffd": ["\ufffd"]}]),
    ],
)
def test_strings_hold_what_a_status_and_a_terminal_can_take(written: str, read: Any) -> None:
    """Lone surrogates and control characters are replaced where they enter; everything else stays."""
    assert members(f'{{"a": {written}}}'.encode()) == [("a", read)]


def test_memory_does_not_grow_with_the_text() -> None:
    """Of megabytes that nobody wants, nothing is kept."""

    def endless() -> Iterator[bytes]:
        yield b'{"weight_map": {"a": "b"'
        for number in range(4000):
            yield b', "layers.%d": [{}, "' % number + b"x" * 8000 + b'"]'
        yield b'}, "metadata": {"total_size": 7}}'

    tracemalloc.start()
    try:
        stream = JsonStream(endless(), Bounds(value_bytes=1000, containers=10_000))
        assert list(stream.members(lambda name: name == "metadata")) == [("metadata", {"total_size": 7})]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
