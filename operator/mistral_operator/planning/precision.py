"""Which dtypes a deployment runs in: what is asked for, else what the checkpoint says, as vLLM resolves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_operator.planning.facts import ModelFacts, WeightFormat
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_vllm.backends import ComputeCapability, Platform
from mistral_vllm.decoder import Decoder
from mistral_vllm.mistral_sliding_window import dtype_of
from mistral_vllm.reasons import Finding

_DTYPE_BYTES: Final = {"float16": 2, "bfloat16": 2, "float32": 4}
_ALIASES: Final = {"half": "float16", "float": "float32"}
_STORED: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_KV_CACHE_BYTES: Final = {
    "auto": None,
    "float16": 2,
    "bfloat16": 2,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "fp8_inc": 1,
}
_AMPERE: Final = ComputeCapability(8, 0)


@dataclass(frozen=True, slots=True)
class Precision:
    """The dtypes a deployment runs in."""

    dtype: str
    kv_cache_dtype: str  # what the cache really holds; "auto" is dtype
    quantization: str | None
    findings: tuple[Finding, ...] = ()

    @property
    def dtype_bytes(self) -> int:
        """Size of one activation element."""
        return _DTYPE_BYTES[self.dtype]

    @property
    def kv_cache_dtype_bytes(self) -> int:
        """Size of one KV cache element."""
        return _KV_CACHE_BYTES[self.kv_cache_dtype] or self.dtype_bytes


def resolve_precision(
    facts: ModelFacts,
    config: Mapping[str, Any],
    decoder: Decoder,
    *,
    weight_format: WeightFormat,
    dtype: str | None,
    kv_cache_dtype: str,
    compute_capability: ComputeCapability | None,
    platform: Platform,
) -> Precision:
    """Resolve dtypes as vLLM does with ``--dtype auto`` and ``--kv-cache-dtype auto``.

    Raises
    ------
    Unplannable
        For a dtype vLLM does not have, or one this GPU cannot compute in.
    """
    no_bfloat16 = platform is Platform.CUDA and compute_capability is not None and compute_capability < _AMPERE
    findings: list[Finding] = []
    if dtype not in (None, "auto"):
        chosen = _ALIASES.get(dtype, dtype)
        if chosen not in _DTYPE_BYTES:
            raise _unknown_dtype("dtype", dtype, _DTYPE_BYTES)
        if chosen == "bfloat16" and no_bfloat16:
            raise Unplannable(
                Problem.PLACEMENT,
                PlanReason.DTYPE_UNKNOWN,
                f"bfloat16 needs compute capability 8.0, the GPU has {compute_capability}",
                "Ask for float16, or for a newer GPU",
            )
    else:
        chosen = _written_dtype(facts, config, decoder, weight_format)
        if chosen == "float32" and platform is Platform.CUDA:
            chosen = "bfloat16"  # vLLM's auto never computes in float32 on a GPU
        if chosen == "bfloat16" and no_bfloat16:
            chosen = "float16"
            findings.append(
                Finding(
                    "DTypeFallback",
                    f"the checkpoint is bfloat16; compute capability {compute_capability} runs it in float16",
                )
            )
    quantization, scheme_is_fp8 = _quantization(config)
    if kv_cache_dtype not in _KV_CACHE_BYTES:
        raise _unknown_dtype("KV cache dtype", kv_cache_dtype, _KV_CACHE_BYTES)
    if kv_cache_dtype == "auto" and scheme_is_fp8:
        kv_cache_dtype = "fp8"
        findings.append(
            Finding("CheckpointKVCacheFP8", "the checkpoint's quantization_config asks for an fp8 KV cache")
        )
    return Precision(chosen, kv_cache_dtype, quantization, tuple(findings))


def _unknown_dtype(what: str, value: str | None, known: Mapping[str, Any]) -> Unplannable:
    return Unplannable(
        Problem.PLACEMENT, PlanReason.DTYPE_UNKNOWN, f"{what} {value!r} is unknown", f"Use one of {', '.join(known)}"
    )


def _written_dtype(facts: ModelFacts, config: Mapping[str, Any], decoder: Decoder, weight_format: WeightFormat) -> str:
    """Return what the file says; where it is silent, what most of the weights are stored in."""
    says = any(source.get(key) is not None for source in (config, decoder.written) for key in ("dtype", "torch_dtype"))
    weights = facts.weights_in(weight_format)
    if not says and weights is not None:
        stored = {_STORED[name]: count for name, count in weights.dtypes.items() if name in _STORED}
        if stored:
            return max(stored, key=lambda name: stored[name])
    written = dtype_of(config, decoder)
    return written if written in _DTYPE_BYTES else "bfloat16"


def _quantization(config: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the quantisation method, and whether it makes the KV cache fp8.

    ``compression_config`` is an older word for ``quantization_config``; ``quantization`` is params.json's. A
    ``kv_cache_scheme``, or ModelOpt's ``kv_cache_quant_algo``, turns vLLM's "auto" into fp8 (layers/attention).
    """
    for key in ("quantization_config", "compression_config", "quantization"):
        quantization = config.get(key)
        if isinstance(quantization, Mapping) and quantization:
            method = quantization.get("quant_method", quantization.get("qformat_weight"))
            inner = quantization.get("quantization")
            places = (quantization, inner) if isinstance(inner, Mapping) else (quantization,)
            fp8 = any(
                place.get("kv_cache_scheme") is not None or str(place.get("kv_cache_quant_algo")).upper() == "FP8"
                for place in places
            )
            return (method if isinstance(method, str) else None), fp8
    return None, False
