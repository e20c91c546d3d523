"""The header of a safetensors file: what its tensors are and occupy, without the tensors.

A file is eight bytes of header length (little-endian), that many bytes of JSON, then the tensors.
``huggingface_hub`` has a parser too, but it reads the whole file from a server that ignores ``Range``, raises
``KeyError`` on a torn header and does not read local files.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_HEADER_BYTES: Final = 8 << 20  # some 60,000 tensors; parsed, a header takes ten times what it has in bytes
_LIBRARYS_BOUND_BYTES: Final = 100_000_000  # of the safetensors library: no file has a longer one
_LENGTH_BYTES: Final = 8
_FIRST_READ_BYTES: Final = 100_000  # most headers are shorter, so that one read is enough


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
    content = start if end <= len(start) else start + read_range(len(start), end - len(start))
    if len(content) < end:
        raise ValueError("is cut short: it ends inside its header")
    return _parse(content[_LENGTH_BYTES:end], data_bytes=file_size - end)


def _parse(content: bytes, data_bytes: int) -> SafetensorsHeader:
    try:
        header = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("is not a safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("is not a safetensors file: its header is not a JSON object")  # noqa: TRY004 - as documented
    tensor_bytes = 0
    elements: Counter[str] = Counter()
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        dtype, count, begin, end = _tensor(name, tensor)
        if end > data_bytes:
            raise ValueError(f"is cut short: it ends before its tensor {name!r} does")
        tensor_bytes += end - begin
        elements[dtype] += count
    return SafetensorsHeader(tensor_bytes, dict(elements))


def _tensor(name: str, tensor: object) -> tuple[str, int, int, int]:
    """Return the dtype, the number of elements and the offsets of one tensor."""
    match tensor:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if (
            all(isinstance(size, int) and size >= 0 for size in shape) and 0 <= begin <= end
        ):
            return dtype, math.prod(shape), begin, end
    raise ValueError(f"is not a safetensors file: its header describes {name!r} as no tensor")
