"""What a safetensors header may say, and how long it takes to find out that it lies."""

import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.hub.safetensors_header import DTYPE_BITS, MAX_HEADER_BYTES, SafetensorsHeader, read_header


def read(header: bytes, data_bytes: int = 32) -> SafetensorsHeader:
    """Read the header of a file of so many bytes of data, which nobody has to have."""
    file = len(header).to_bytes(8, "little") + header
    return read_header(lambda start, length: file[start : start + length], len(file) + data_bytes)


def tensor(shape: Any, offsets: Any = (0, 32), dtype: Any = "BF16") -> bytes:
    """Return a header of one tensor."""
    return json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()


@pytest.mark.parametrize(("dtype", "bits"), sorted(DTYPE_BITS.items()))
def test_elements_fill_their_offsets(dtype: str, bits: int) -> None:
    """As the safetensors library asks of each tensor, of every dtype it knows."""
    data_bytes = 48 * bits // 8
    assert read(tensor([2, 0, 7], (0, 0), dtype)).elements == {dtype: 0}
    assert read(tensor([6, 8], (0, data_bytes), dtype), data_bytes) == SafetensorsHeader(data_bytes, {dtype: 48})
    for shape in ([6, 9], [6, 7], [47], []):
        with pytest.raises(ValueError, match="describes 'w' as no tensor"):
            read(tensor(shape, (0, data_bytes), dtype), data_bytes)


@pytest.mark.parametrize(
    "shape",
    [
        [10**20],
        [10**4000, 10**4000],
        [2**63, 2**63, 2**63],
        [1] * 65,
        [-4, -4],
        [16.0],
        [True, 16],
        ["16"],
        [None],
        [[16]],
        [float("inf")],
        16,
        "16",
        None,
        {"0": 16},
    ],
)
def test_shapes_that_are_none(shape: Any) -> None:
    """A product is never made that is larger than the data, and only integers count."""
    with pytest.raises(ValueError, match="is not a safetensors file"):
        read(tensor(shape))


@pytest.mark.parametrize(
    "offsets", [[0, 10**20], [-32, 0], [32, 0], [0.0, 32.0], ["0", "32"], [0], [0, 16, 32], None, [0, float("nan")]]
)
def test_offsets_that_are_none(offsets: Any) -> None:
    """They are two integers within the file."""
    with pytest.raises(ValueError, match=r"is not a safetensors file|is cut short"):
        read(tensor([16], offsets))


@pytest.mark.parametrize("dtype", ["", "x" * 33, "BF16\x1b[31m", 16, None, ["BF16"]])
def test_dtypes_that_are_none(dtype: Any) -> None:
    """A dtype is a word; one that is not known here is counted under its name."""
    with pytest.raises(ValueError, match="is not a safetensors file"):
        read(tensor([16], dtype=dtype))
    assert read(tensor([16], dtype="E5M9_NEW")).elements == {"E5M9_NEW": 16}


def test_a_file_cannot_hold_more_than_its_bytes() -> None:
    """Tensors that share their bytes, under one name or several, would make a model larger than its file."""
    one = b'"w":{"dtype":"U8","shape":[32],"data_offsets":[0,32]}'
    other = one.replace(b"w", b"v")
    assert read(b"{" + one + b"}").tensor_bytes == 32
    for twice in (one + b"," + one, one + b"," + other):
        with pytest.raises(ValueError, match="describes more than it holds"):
            read(b"{" + twice + b"}")


def test_dtypes_are_counted_and_bounded() -> None:
    """A few dtypes are one model's, hundreds are nobody's."""
    tensors = {f"{n}": {"dtype": f"D{n}", "shape": [1], "data_offsets": [n, n + 1]} for n in range(65)}
    with pytest.raises(ValueError, match="describes more than it holds"):
        read(json.dumps(tensors).encode(), 65)


def test_metadata_may_be_long_and_is_not_read() -> None:
    """Trainers write pictures and their whole configuration into it."""
    header = {"__metadata__": {"thumbnail": "x" * 300_000, "config": "[" * 9999}, **json.loads(tensor([16]))}
    assert read(json.dumps(header).encode()).elements == {"BF16": 16}


def test_the_largest_header_of_a_mixture_of_experts() -> None:
    """Some 60,000 tensors in one file are counted, a mebibyte of the header at a time."""
    count = 61_000
    tensors = b",".join(
        b'"model.layers.%d.mlp.experts.%d.w.weight":{"dtype":"F8_E4M3","shape":[64,2],"data_offsets":[%d,%d]}'
        % (number % 61, number, 128 * number, 128 * number + 128)
        for number in range(count)
    )
    header = b'{"__metadata__":{"format":"pt"},' + tensors + b"}"
    assert 6 << 20 < len(header) <= MAX_HEADER_BYTES
    file = len(header).to_bytes(8, "little") + header
    lengths: list[int] = []

    def read_range(start: int, length: int) -> bytes:
        lengths.append(length)
        return file[start : start + length]

    found = read_header(read_range, len(file) + 128 * count)
    assert found == SafetensorsHeader(128 * count, {"F8_E4M3": 128 * count})
    assert max(lengths) <= 1 << 20


HOSTILE = {
    "one shape": b'{"w":{"dtype":"BF16","shape":[' + b"9," * 4_000_000 + b'9],"data_offsets":[0,32]}}',
    "ones": b'{"w":{"dtype":"BF16","shape":[' + b"1," * 4_000_000 + b'1],"data_offsets":[0,32]}}',
    "digits": b'{"w":{"dtype":"BF16","shape":[' + b"9" * 8_000_000 + b'],"data_offsets":[0,32]}}',
    "many short shapes": b"{"
    + b",".join(b'"%d":{"dtype":"BF16","shape":[%b0],"data_offsets":[0,0]}' % (n, b"9," * 63) for n in range(40_000))
    + b"}",
    "empty objects": b'{"w":[' + b"{}," * 2_600_000 + b"{}]}",
    "nested": b'{"w":' + b"[" * 8_000_000,
    "a string": b'{"w":"' + b"\\\\" * 4_000_000 + b'"}',
    "names": b"{" + b",".join(b'"%06d":0' % number for number in range(800_000)) + b"}",
    "metadata": b'{"__metadata__":[' + b"[[]]," * 1_600_000 + b"0]}",
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_header_keeps_other_threads_waiting(header: bytes) -> None:
    """Eight megabytes of anything take a bounded time, and an event loop runs meanwhile.

    The bound is far above what is seen (a few milliseconds) and far below what one call on all of it takes.
    """
    header = header[:MAX_HEADER_BYTES]
    over = threading.Event()
    gaps = [0.0]

    def tick() -> None:
        last = time.monotonic()
        while not over.wait(0.001):
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticking = threading.Thread(target=tick)
    ticking.start()
    try:
        if header.startswith(b'{"0":{'):
            assert read(header).elements == {"BF16": 0}
        else:
            with pytest.raises(ValueError, match="is not a safetensors file"):
                read(header)
    finally:
        over.set()
        ticking.join()
    assert max(gaps) < 0.2


SIZES = st.integers(-1, 2**70) | st.floats() | st.none() | st.text(max_size=3)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.fixed_dictionaries(
            {"dtype": st.sampled_from(["BF16", "F4", "NEW"]) | st.text(max_size=4)},
            optional={"shape": st.lists(SIZES, max_size=4), "data_offsets": st.lists(SIZES, max_size=3)},
        ),
        max_size=4,
    )
)
def test_any_numbers_give_sizes_within_the_file(tensors: dict[str, Any]) -> None:
    """Whatever is written for a number, sizes stay those of the file, or there is an error of ours."""
    try:
        header = read(json.dumps(tensors).encode(), 64)
    except ValueError:
        return
    assert 0 <= header.tensor_bytes <= 64
    assert all(0 <= count <= 8 * 64 for count in header.elements.values())
