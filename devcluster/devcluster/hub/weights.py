"""Checkpoints without their weights: true safetensors headers before bodies of zeros.

A reader that wants shapes, dtypes or parameter counts asks for the first bytes of each file, and gets from
here exactly what a real checkpoint gives. The bodies are never stored: whoever reads past a header gets
zeros.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

from devcluster.hub.architecture import hf_tensors, mistral_tensors
from devcluster.hub.contents import PIECE, BytesContent, Content
from devcluster.hub.tensors import Tensor

SHARD_BYTES = 5_000_000_000
"""Largest total size of the tensors of one shard, in bytes: that of the real repositories."""

HF_SINGLE = "model.safetensors"
HF_INDEX = "model.safetensors.index.json"
CONSOLIDATED = "consolidated.safetensors"

_LENGTH_BYTES = 8


@dataclass(frozen=True)
class SafetensorsContent:
    """A safetensors file of which only the header exists.

    Parameters
    ----------
    tensors
        What the file holds, in the order of the offsets.
    """

    tensors: tuple[Tensor, ...]

    @cached_property
    def head(self) -> bytes:
        """Everything before the first tensor: 8 bytes of little-endian length, then that many bytes of JSON.

        The JSON is padded with spaces, so that tensors start at a multiple of 8 bytes as the format asks.
        """
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for tensor in self.tensors:
            header[tensor.name] = {
                "dtype": tensor.dtype,
                "shape": tensor.shape,
                "data_offsets": (offset, offset + tensor.size),
            }
            offset += tensor.size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(_LENGTH_BYTES, "little") + text

    @cached_property
    def size(self) -> int:
        """Length in bytes, of header and tensors."""
        return len(self.head) + sum(tensor.size for tensor in self.tensors)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``stop``, which are zeros beyond the header."""
        if start < len(self.head):
            yield self.head[start:stop]
        whole, rest = divmod(max(0, stop - max(start, len(self.head))), PIECE)
        yield from repeat(bytes(PIECE), whole)
        if rest:
            yield bytes(rest)

    def identity(self) -> Iterator[bytes]:
        """Yield the header, which says all there is to say: hashing 250 GB of zeros would add nothing."""
        yield self.head


def hf_checkpoint(config: Mapping[str, Any]) -> dict[str, Content]:
    """Lay out a checkpoint as transformers saves it.

    Parameters
    ----------
    config
        A parsed config.json.

    Returns
    -------
    dict
        ``model.safetensors`` alone, or shards of at most `SHARD_BYTES` of tensors and their index.

    Raises
    ------
    KeyError, ValueError
        See `devcluster.hub.architecture.hf_tensors`.
    """
    shards = list(_shards(hf_tensors(config)))
    if len(shards) == 1:
        return {HF_SINGLE: SafetensorsContent(shards[0])}
    names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    index = {
        "metadata": {"total_size": sum(tensor.size for shard in shards for tensor in shard)},
        "weight_map": {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard},
    }
    files: dict[str, Content] = {name: SafetensorsContent(shard) for name, shard in zip(names, shards, strict=True)}
    return files | {HF_INDEX: BytesContent(json.dumps(index, indent=2).encode() + b"\n")}


def mistral_checkpoint(params: Mapping[str, Any]) -> dict[str, Content]:
    """Lay out a checkpoint as Mistral publishes it: one ``consolidated.safetensors``.

    Parameters
    ----------
    params
        A parsed params.json.

    Raises
    ------
    KeyError, ValueError
        See `devcluster.hub.architecture.mistral_tensors`.
    """
    return {CONSOLIDATED: SafetensorsContent(tuple(mistral_tensors(params)))}


def read_header(content: Content) -> dict[str, Any]:
    """Return the JSON header of a safetensors file, synthetic or real; empty for a content that is none."""
    length = int.from_bytes(b"".join(content.read(0, min(_LENGTH_BYTES, content.size))), "little")
    stop = min(_LENGTH_BYTES + length, content.size)
    try:
        header = json.loads(b"".join(content.read(_LENGTH_BYTES, stop)))
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}


def _shards(tensors: Iterable[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    shard: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if shard and size + tensor.size > SHARD_BYTES:
            yield tuple(shard)
            shard, size = [], 0
        shard.append(tensor)
        size += tensor.size
    yield tuple(shard)
