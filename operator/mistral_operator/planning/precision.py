"""Which dtypes a deployment runs in: what is asked for, else what the checkpoint says, as vLLM resolves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_operator.planning.facts import ModelFacts, WeightFormat
from mistral_operator.planning.problems import PlanFinding, PlanReason, Problem, Unplannable
from mistral_operator.planning.quantization import Quantization, read_quantization
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
    "nvfp4": 1,  # less, even with its scales
}
_AMPERE: Final = ComputeCapability(8, 0)


@dataclass(frozen=True, slots=True)
class Precision:
    """The dtypes a deployment runs in."""

    dtype: str
    kv_cache_dtype: str  # what the cache really holds; "auto" is dtype
    quantized: Quantization | None
    findings: tuple[Finding, ...] = ()

    @property
    def quantization(self) -> str | None:
        """The method that weights are quantised with, as the file names it."""
        return None if self.quantized is None else self.quantized.method

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
        For a dtype vLLM does not have, or for what this GPU cannot compute in.
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
        if chosen == "float32":
            chosen = "float16" if no_bfloat16 else "bfloat16"  # vLLM's auto never computes in float32
        if chosen == "bfloat16" and no_bfloat16:
            chosen = "float16"
            findings.append(
                Finding(
                    PlanFinding.DTYPE_FALLBACK,
                    f"the checkpoint is bfloat16; compute capability {compute_capability} runs it in float16",
                )
            )
    beside = {} if facts.quantization is None else {"quantization_config": facts.quantization}
    quantization = read_quantization((config, decoder.written, beside))
    _refuse_older_gpu(quantization, compute_capability if platform is Platform.CUDA else None)
    checkpoints_kv = None if quantization is None else quantization.kv_cache_dtype
    if kv_cache_dtype not in _KV_CACHE_BYTES:
        raise _unknown_dtype("KV cache dtype", kv_cache_dtype, _KV_CACHE_BYTES)
    if kv_cache_dtype == "auto" and checkpoints_kv is not None:
        kv_cache_dtype = checkpoints_kv
        findings.append(
            Finding(
                PlanFinding.CHECKPOINT_KV_CACHE,
                f"the checkpoint's quantization_config asks for a KV cache in {checkpoints_kv}",
            )
        )
    return Precision(chosen, kv_cache_dtype, quantization, tuple(findings))


def _refuse_older_gpu(quantization: Quantization | None, capability: ComputeCapability | None) -> None:
    """Refuse a GPU that has no kernels for these weights, which vLLM does only after it was started."""
    least = None if quantization is None else quantization.min_compute_capability
    if least is None or capability is None or capability >= least:
        return
    raise Unplannable(
        Problem.HARDWARE,
        PlanReason.GPU_TOO_OLD,
        f"weights quantised with {quantization} need compute capability {least}, the GPU has {capability}",
        "Choose a newer GPU, or a checkpoint quantised in another way",
    )


def _unknown_dtype(what: str, value: str | None, known: Mapping[str, Any]) -> Unplannable:
    return Unplannable(
        Problem.PLACEMENT, PlanReason.DTYPE_UNKNOWN, f"{what} {value!r} is unknown", f"Use one of {', '.join(known)}"
    )


def _written_dtype(facts: ModelFacts, config: Mapping[str, Any], decoder: Decoder, weight_format: WeightFormat) -> str:
    """Return what the file says; where it is silent, what the weights are stored in."""
    says = any(source.get(key) is not None for source in (config, decoder.written) for key in ("dtype", "torch_dtype"))
    weights = facts.weights_in(weight_format)
    if not says and weights is not None:
        stored = {_STORED[name] for name, count in weights.dtypes.items() if name in _STORED and count}
        if stored:
            return stored.pop() if len(stored) == 1 else "float32"  # what all of them can be cast to
    written = dtype_of(config, decoder)
    return written if written in _DTYPE_BYTES else "bfloat16"
