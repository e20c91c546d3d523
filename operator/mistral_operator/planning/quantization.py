"""How a checkpoint's weights are quantised, as its config says, and what vLLM 0.26 asks of the GPU that runs them.

Compute capabilities are those of vLLM's own classes (``get_min_capability`` under ``layers/quantization`` and of the
schemes of compressed-tensors); ``tests/image`` holds the table against them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mistral_vllm.backends import ComputeCapability

_WORDS: Final = ("quantization_config", "compression_config", "quantization")
MIN_CAPABILITY: Final[Mapping[str, tuple[int, int]]] = {
    "gptq": (6, 0),
    "awq": (7, 5),
    "fp8": (7, 5),
    "fbgemm_fp8": (8, 0),
    "bitsandbytes": (7, 0),
    "compressed-tensors": (7, 0),
    "experts_int8": (8, 0),
    "mxfp4": (8, 0),
    "torchao": (7, 5),
}
"""By quant_method; one that is not here is left to vLLM."""
MODELOPT_CAPABILITY: Final[Mapping[str, tuple[int, int]]] = {
    "FP8": (8, 9),
    "FP8_PER_CHANNEL_PER_TOKEN": (8, 9),
    "FP8_PB_WO": (8, 9),
    "NVFP4": (7, 5),
    "W4A16_NVFP4": (7, 5),
    "MXFP8": (8, 0),
    "MIXED_PRECISION": (7, 5),
}
"""By ModelOpt's quant_algo."""
SCHEME_CAPABILITY: Final[Mapping[str, tuple[int, int]]] = {
    "NVFP4": (7, 5),
    "NVFP4A16": (7, 5),
    "MXFP4": (8, 0),
    "W8A8-FP8": (7, 5),  # below 8.9 vLLM runs them as W8A16
    "W8A16-FP8": (7, 5),
    "W4A8-FP8": (9, 0),
    "W8A8-INT8": (7, 5),
    "W4A16": (7, 5),
    "W8A16": (7, 5),
}
"""By scheme of compressed-tensors."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """What a config says about quantised weights."""

    method: str | None  # quant_method, as it is written
    scheme: str | None = None  # ModelOpt's algorithm, or what compressed-tensors calls its preset: W4A16, NVFP4, …
    min_compute_capability: ComputeCapability | None = None  # None: vLLM's to say
    input_group: int | None = None  # weights along a layer's input that share a scale, and that GPUs cannot share
    output_group: int | None = None  # the same along its output: block-wise fp8 alone
    kv_cache_dtype: str | None = None  # what an automatic KV cache dtype becomes

    def __str__(self) -> str:
        return f"{self.method or 'unnamed'} {self.scheme}" if self.scheme else self.method or "unnamed"


def read_quantization(sources: Sequence[Mapping[str, Any]]) -> Quantization | None:
    """Read the first quantisation that a file describes; None where its weights are plain.

    ``compression_config`` is an older word for ``quantization_config``; ``quantization`` is params.json's.
    """
    written = (source.get(word) for source in sources for word in _WORDS)
    config = next((value for value in written if isinstance(value, Mapping) and value), None)
    if config is None:
        return None
    producer = config.get("producer")
    made_by = producer.get("name") if isinstance(producer, Mapping) else None
    name = config.get("quant_method", config.get("qformat_weight", made_by))
    method = name if isinstance(name, str) else None
    canonical = (method or "").lower().replace("_", "-")
    if canonical.startswith("modelopt"):
        return _of_modelopt(config, method)
    if canonical == "compressed-tensors":
        return _of_compressed_tensors(config, method)
    vllms_name = "fp8" if method == "fp8_e4m3" else (method or "").lower()  # params.json's word for it
    block = config.get("weight_block_size")
    blocks = block if isinstance(block, list) and len(block) == 2 and all(map(_is_size, block)) else (None, None)
    group = config.get("group_size", config.get("q_group_size"))
    return Quantization(
        method,
        min_compute_capability=_capability(MIN_CAPABILITY.get(vllms_name)),
        input_group=blocks[1] or (group if _is_size(group) else None),
        output_group=blocks[0],
        kv_cache_dtype="fp8" if config.get("kv_cache_scheme") is not None else None,
    )


def _of_modelopt(config: Mapping[str, Any], method: str | None) -> Quantization:
    """Read NVIDIA's ModelOpt: flat, or with all but the method under ``quantization``."""
    inner = config.get("quantization")
    places = (inner, config) if isinstance(inner, Mapping) else (config,)
    algorithm = str(next((place["quant_algo"] for place in places if place.get("quant_algo")), "")).upper()
    group = next((place["group_size"] for place in places if _is_size(place.get("group_size"))), None)
    return Quantization(
        method,
        algorithm or None,
        _capability(MODELOPT_CAPABILITY.get(algorithm)),
        input_group=group or (16 if "NVFP4" in algorithm else None),
        kv_cache_dtype=_kv_cache_of_modelopt(places),
    )


def _kv_cache_of_modelopt(places: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the KV cache dtype as vLLM maps it (utils/torch_utils.py, get_kv_cache_quant_algo_string)."""
    words = ("kv_cache_scheme", "kv_cache_quant_algo")
    said = next((place[word] for word in words for place in places if place.get(word)), None)
    if isinstance(said, Mapping):
        bits = said.get("num_bits") if said.get("type") == "float" else None
        return {8: "fp8", 4: "nvfp4"}.get(bits) if isinstance(bits, int) else None
    return str(said).lower() if str(said).upper() in ("FP8", "NVFP4") else None


def _of_compressed_tensors(config: Mapping[str, Any], method: str | None) -> Quantization:
    """Read compressed-tensors: of several groups of layers, what the most demanding one needs."""
    weights = list(_weights_of_groups(config))
    schemes = [scheme for quantized, inputs in weights if (scheme := _scheme(quantized, inputs)) is not None]
    asks = [MIN_CAPABILITY["compressed-tensors"], *(SCHEME_CAPABILITY[scheme] for scheme in schemes)]
    groups = [quantized["group_size"] for quantized, _ in weights if _is_size(quantized.get("group_size"))]
    blocks = [quantized["block_structure"] for quantized, _ in weights if _is_block(quantized.get("block_structure"))]
    return Quantization(
        method,
        " and ".join(dict.fromkeys(schemes)) or None,
        _capability(max(asks)),
        input_group=max([*groups, *(block[1] for block in blocks)], default=None),
        output_group=max((block[0] for block in blocks), default=None),
        kv_cache_dtype="fp8" if config.get("kv_cache_scheme") is not None else None,
    )


def _weights_of_groups(config: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    groups = config.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            inputs = group.get("input_activations")
            yield weights, inputs if isinstance(inputs, Mapping) else None


def _scheme(weights: Mapping[str, Any], inputs: Mapping[str, Any] | None) -> str | None:
    """Name the scheme that vLLM would choose (compressed_tensors.py, _get_scheme_from_parts)."""
    bits, is_float, group = weights.get("num_bits"), weights.get("type") == "float", weights.get("group_size")
    input_bits = None if inputs is None else inputs.get("num_bits")
    if is_float and bits == 4:
        if group == 32:
            return "MXFP4"
        if input_bits == 8:
            return "W4A8-FP8"
        return "NVFP4" if input_bits == 4 else "NVFP4A16"
    if is_float and bits == 8:
        return "W8A16-FP8" if inputs is None else "W8A8-FP8"
    if bits == 4 and input_bits == 8 and inputs is not None and inputs.get("type") == "float":
        return "W4A8-FP8"
    if bits == 8 and input_bits == 8:
        return "W8A8-INT8"
    return {4: "W4A16", 8: "W8A16"}.get(bits) if inputs is None and isinstance(bits, int) else None


def _capability(least: tuple[int, int] | None) -> ComputeCapability | None:
    return None if least is None else ComputeCapability(*least)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1


def _is_block(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_size, value))
