"""How large a checkpoint's weights are, format by format, without reading a tensor.

A repository often holds the same weights twice, once per format; they are never added up. The header of each
file is exact. Where reading every header costs a request each, the index says the total, and is believed only
as far as it agrees with the files' sizes: indexes are copied from other checkpoints, files are not.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from mistral_operator.hub.errors import TornConfigError, TornWeightsError
from mistral_operator.hub.files import HF_INDEX, MISTRAL_INDEX, ModelFiles, SortedFiles, missing_shard
from mistral_operator.hub.json_file import MAX_INDEX_BYTES
from mistral_operator.hub.json_stream import Bounds, JsonInvalid, JsonStream, JsonTooLarge
from mistral_operator.hub.safetensors_header import DTYPE_BITS, SafetensorsHeader, read_header
from mistral_operator.planning.facts import WeightFormat, Weights

_INDEX: Final = {WeightFormat.HF: HF_INDEX, WeightFormat.MISTRAL: MISTRAL_INDEX}
# What a file may hold besides tensors for an index still to be its own: a header is well below either.
_HEADER_SHARE: Final = 0.01
_HEADER_BYTES: Final = 1 << 20
_INDEX_BOUNDS: Final = Bounds(value_bytes=64 << 10, containers=10_000)
_MAX_SHARDS: Final = 1024  # of one format: the largest checkpoints known have some 200


def weights_of(files: ModelFiles, names: SortedFiles) -> tuple[Weights, ...]:
    """Return the weights of each format the model comes in, in bytes as stored.

    Raises
    ------
    TornWeightsError
        When a shard is missing, or a file whose header is needed is cut short or no safetensors file.
    HubError
        Whatever reading the files raises.
    """
    weights = []
    if names.hf_safetensors:
        weights.append(_safetensors(files, WeightFormat.HF, names.hf_safetensors))
    elif names.hf_pickled:
        _refuse_missing_shard(files, names.hf_pickled)
        size_bytes = sum(files.sizes[name] for name in names.hf_pickled)
        weights.append(Weights(WeightFormat.HF, size_bytes, names.hf_pickled))
    if names.mistral:
        weights.append(_safetensors(files, WeightFormat.MISTRAL, names.mistral))
    return tuple(weights)


def _safetensors(files: ModelFiles, weight_format: WeightFormat, names: tuple[str, ...]) -> Weights:
    _refuse_missing_shard(files, names)
    if len(names) > _MAX_SHARDS:
        raise TornWeightsError(files.model, names[0], f"is one of {len(names):,} shards, which no model has")
    if files.remote and len(names) > 1:
        size_bytes = _indexed_bytes(files, _INDEX[weight_format], names)
        if size_bytes is not None:
            elements = files.declared_elements
            # a hub counts one format of one revision: what it says belongs here if it accounts for every byte
            if _stored_bytes(elements) != size_bytes:
                return Weights(weight_format, size_bytes, names)
            return Weights(weight_format, size_bytes, names, sum(elements.values()), dict(elements))
    headers = [_header(files, name) for name in names]
    total: Counter[str] = Counter()
    for header in headers:
        total.update(header.elements)
    return Weights(
        weight_format, sum(header.tensor_bytes for header in headers), names, sum(total.values()), dict(total)
    )


def _indexed_bytes(files: ModelFiles, index: str, names: tuple[str, ...]) -> int | None:
    """Return the index's total if it fits the files and is no burden to read, else None.

    Raises
    ------
    TornConfigError
        When the index is no JSON object.
    """
    if not 0 <= files.sizes.get(index, -1) <= MAX_INDEX_BYTES:
        return None
    metadata: object = None
    try:
        # the names of its tensors, which nearly all of it is, are gone over and not kept
        for _, value in JsonStream(files.stream(index, files.sizes[index]), _INDEX_BOUNDS).members(
            lambda name: name == "metadata"
        ):
            metadata = value
    except JsonTooLarge:
        return None
    except JsonInvalid as error:
        raise TornConfigError(files.model, index, str(error)) from None
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or total % 1 != 0:
        return None  # NaN and infinity have no remainder either
    stored = sum(files.sizes[name] for name in names)
    allowance = max(_HEADER_SHARE * stored, _HEADER_BYTES * len(names))
    return int(total) if stored - allowance <= total <= stored and total > 0 else None


def _stored_bytes(elements: Mapping[str, int]) -> int | None:
    if not elements or not elements.keys() <= DTYPE_BITS.keys():
        return None
    return sum(count * DTYPE_BITS[dtype] for dtype, count in elements.items()) // 8


def _header(files: ModelFiles, name: str) -> SafetensorsHeader:
    try:
        return read_header(lambda start, length: files.read_range(name, start, length), files.sizes[name])
    except ValueError as error:
        raise TornWeightsError(files.model, name, str(error)) from None


def _refuse_missing_shard(files: ModelFiles, names: tuple[str, ...]) -> None:
    missing = missing_shard(names)
    if missing is not None:
        raise TornWeightsError(files.model, missing, "is missing, although the other shards' names promise it")
