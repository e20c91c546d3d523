"""The header of a safetensors file: what its tensors are and occupy, without the tensors.

A file is eight bytes of header length (little-endian), that many bytes of JSON, then the tensors.
``huggingface_hub`` has a parser too, but it reads the whole file from a server that ignores ``Range``, raises
``KeyError`` on a torn header and does not read local files.

The rules of a tensor are those of the safetensors library (``Metadata::validate``): its elements fill its offsets.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_operator.hub.json_stream import Bounds, JsonInvalid, JsonStream

MAX_HEADER_BYTES: Final = 8 << 20  # some 60,000 tensors; the files of the largest models known have below 3,000 each
DTYPE_BITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("BF16", "F16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Size of a stored element by safetensors' name of its dtype."""

_LIBRARYS_BOUND_BYTES: Final = 100_000_000  # of the safetensors library: no file has a longer one
_LENGTH_BYTES: Final = 8
_FIRST_READ_BYTES: Final = 100_000  # most headers are shorter, so that one read is enough
_READ_BYTES: Final = 1 << 20  # of a longer one at a time
_BOUNDS: Final = Bounds(value_bytes=16 << 10, containers=200_000)
_MAX_RANK: Final = 64  # PyTorch's bound, too
_MAX_DTYPES: Final = 64
_DTYPE: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
_SHOWN: Final = 80  # characters of a tensor's name


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """What one file's tensors add up to.

    ``tensor_bytes`` is what they occupy in the file; ``elements`` counts stored elements by dtype name.
    """

    tensor_bytes: int
    elements: Mapping[str, int]


def read_header(read_range: Callable[[int, int], bytes], file_size: int) -> SafetensorsHeader:
    """Read a header through ``read_range(start, length)``, which may return less at the end of the file.

    Raises
    ------
    ValueError
        When the file is torn or no safetensors file; the text is a predicate such as "is cut short".
    """
    if file_size < _LENGTH_BYTES:
        raise ValueError("is cut short: it ends before its header")
    start = read_range(0, min(_FIRST_READ_BYTES, file_size))
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if len(start) < _LENGTH_BYTES or length > _LIBRARYS_BOUND_BYTES:
        raise ValueError("is not a safetensors file: its first eight bytes are no length of a header")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"has a header of {length:,} bytes, and is read up to {MAX_HEADER_BYTES:,}")
    end = _LENGTH_BYTES + length
    if end > file_size:
        raise ValueError("is cut short: it ends inside its header")
    return _add_up(_chunks(start, read_range, end), data_bytes=file_size - end)


def _chunks(start: bytes, read_range: Callable[[int, int], bytes], end: int) -> Iterator[bytes]:
    yield start[_LENGTH_BYTES:end]
    for at in range(len(start), end, _READ_BYTES):
        length = min(_READ_BYTES, end - at)
        chunk = read_range(at, length)
        if len(chunk) < length:
            raise ValueError("is cut short: it ends inside its header")
        yield chunk


def _add_up(content: Iterable[bytes], data_bytes: int) -> SafetensorsHeader:
    tensor_bytes = 0
    elements: Counter[str] = Counter()
    try:
        for name, tensor in JsonStream(content, _BOUNDS).members(lambda name: name != "__metadata__"):
            dtype, count, begin, end = _tensor(name[:_SHOWN], tensor)
            if end > data_bytes:
                raise ValueError(f"is cut short: it ends before its tensor {name[:_SHOWN]!r} does")
            tensor_bytes += end - begin
            elements[dtype] += count
            if len(elements) > _MAX_DTYPES or tensor_bytes > data_bytes:
                raise ValueError("is not a safetensors file: its header describes more than it holds")
    except JsonInvalid as error:
        raise ValueError(f"is not a safetensors file: its header cannot be read: {error}") from None
    return SafetensorsHeader(tensor_bytes, dict(elements))


def _tensor(name: str, tensor: Any) -> tuple[str, int, int, int]:
    """Return the dtype, the number of elements and the offsets of one tensor."""
    match tensor:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if (
            _DTYPE.fullmatch(dtype) and 0 <= begin <= end
        ):
            count = _elements(shape, most=8 * (end - begin))
            bits = DTYPE_BITS.get(dtype)
            # a dtype that is not known here has one bit at least
            if count is not None and (bits is None or count * bits == 8 * (end - begin)):
                return dtype, count, begin, end
    raise ValueError(f"is not a safetensors file: its header describes {name!r} as no tensor")


def _elements(shape: list[Any], most: int) -> int | None:
    """Multiply a shape's dimensions; None where that is no shape, or beyond ``most`` elements."""
    if len(shape) > _MAX_RANK or not all(type(size) is int and size >= 0 for size in shape):
        return None
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count > most:
            return None
    return count
