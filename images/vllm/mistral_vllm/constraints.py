"""Why a backend may not run a model: one small pure function for each constraint.

Each takes a backend, the facts and a kind of layer, and returns a rejection or None. The order is the order in which a
person wants to hear it: what can never work first, what a setting forbids last.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from mistral_vllm.attention_facts import AttentionFacts, XFormersStatus
from mistral_vllm.backends import BOTH_PHASES, XFORMERS, Backend, Phase
from mistral_vllm.layer_types import LayerType
from mistral_vllm.reasons import RejectionReason


class Rejection(NamedTuple):
    """A backend that was not chosen, and why."""

    backend: str
    reason: RejectionReason
    message: str


Constraint = Callable[[Backend, AttentionFacts, LayerType], tuple[RejectionReason, str] | None]


def _installed(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if backend.name != XFORMERS or facts.xformers is not XFormersStatus.NOT_INSTALLED:
        return None
    return RejectionReason.NOT_INSTALLED, "xFormers is not installed in the image"


def _latent_attention(_backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if not facts.latent_attention:
        return None
    return (
        RejectionReason.LATENT_ATTENTION,
        "does not run multi-head latent attention, for which vLLM has its own backends",
    )


def _honours_window(backend: Backend, facts: AttentionFacts, kind: LayerType) -> tuple[RejectionReason, str] | None:
    if kind is LayerType.FULL or not facts.window_bites or backend.window_phases == BOTH_PHASES:
        return None
    ignored = " and ".join(phase for phase in Phase if phase not in backend.window_phases)
    return (
        RejectionReason.WINDOW_IGNORED,
        f"ignores the window in {ignored} on vLLM {facts.runtime.version}: it would attend to every token",
    )


def _compute_capability(
    backend: Backend, facts: AttentionFacts, _kind: LayerType
) -> tuple[RejectionReason, str] | None:
    capability = facts.compute_capability
    if capability is None:
        return None
    if capability < backend.min_compute_capability:
        return RejectionReason.COMPUTE_CAPABILITY, f"needs {backend.min_compute_capability}, the GPU has {capability}"
    if backend.max_compute_capability is not None and capability > backend.max_compute_capability:
        return (
            RejectionReason.COMPUTE_CAPABILITY,
            f"goes up to {backend.max_compute_capability}, the GPU has {capability}",
        )
    return None


def _head_size(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if facts.head_size is None or backend.head_sizes.accept(facts.head_size):
        return None
    return RejectionReason.HEAD_SIZE, f"takes head sizes {backend.head_sizes}, the model has {facts.head_size}"


def _dtype(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if facts.dtype in backend.dtypes:
        return None
    return RejectionReason.DTYPE, f"computes in {', '.join(sorted(backend.dtypes))}, the model in {facts.dtype}"


def _kv_cache_dtype(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    capability = facts.compute_capability
    is_fp8 = facts.kv_cache_dtype.startswith("fp8")
    if is_fp8 and capability is not None and capability < backend.fp8_kv_floor:
        return (
            RejectionReason.KV_CACHE_DTYPE,
            f"reads a {facts.kv_cache_dtype} KV cache from {backend.fp8_kv_floor} on, the GPU has {capability}",
        )
    if backend.kv_cache_dtypes is None or facts.kv_cache_dtype in backend.kv_cache_dtypes:
        return None
    fp8_major = backend.fp8_kv_compute_capability
    if fp8_major is not None and facts.kv_cache_dtype in ("fp8", "fp8_e4m3"):
        if capability is None or capability.major == fp8_major:
            return None
        return (
            RejectionReason.KV_CACHE_DTYPE,
            f"reads a {facts.kv_cache_dtype} KV cache on compute capability {fp8_major}.x alone",
        )
    return RejectionReason.KV_CACHE_DTYPE, f"does not read a {facts.kv_cache_dtype} KV cache"


def _context_parallel(_backend: Backend, facts: AttentionFacts, kind: LayerType) -> tuple[RejectionReason, str] | None:
    if kind is LayerType.FULL or facts.features.decode_context_parallel_size == 1:
        return None
    return (
        RejectionReason.CONTEXT_PARALLEL,
        "vLLM has no decode context parallelism for layers with a window: remove --decode-context-parallel-size",
    )


def _hybrid_kv_cache(_backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if not facts.layout.is_interleaved:
        return None
    features = facts.features
    if not (features.hybrid_kv_cache_disabled or features.kv_connector):
        return None
    cause = "--disable-hybrid-kv-cache-manager" if features.hybrid_kv_cache_disabled else "--kv-transfer-config"
    return (
        RejectionReason.HYBRID_KV_CACHE,
        f"with {cause} vLLM merges full and sliding layers into one group and windows them all: remove it",
    )


def _window_disabled(_backend: Backend, facts: AttentionFacts, kind: LayerType) -> tuple[RejectionReason, str] | None:
    if kind is LayerType.FULL or not facts.window_bites or not facts.features.sliding_window_disabled:
        return None
    instead = f"remove it, or ask for max_model_len {facts.layout.window_tokens}"
    return RejectionReason.WINDOW_DISABLED, f"--disable-sliding-window caps the context at the window: {instead}"


def _block_size(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    block_size = facts.features.block_size_tokens
    if block_size is None or block_size % backend.kernel_block_size == 0:
        return None
    return RejectionReason.BLOCK_SIZE, f"needs a multiple of {backend.kernel_block_size}, --block-size is {block_size}"


def _speculative(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if backend.speculative_decoding or not facts.features.speculative_decoding:
        return None
    return RejectionReason.SPECULATIVE_DECODING, "decodes one token per sequence; speculative decoding asks for several"


def _batch_invariance(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if backend.batch_invariance or not facts.features.batch_invariant:
        return None
    return RejectionReason.BATCH_INVARIANCE, "splits by batch size, which VLLM_BATCH_INVARIANT forbids"


def _kv_layout(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if backend.hnd_layout or not facts.features.hnd_kv_cache:
        return None
    return RejectionReason.KV_CACHE_LAYOUT, "reads the KV cache in NHD layout alone, VLLM_KV_CACHE_LAYOUT is HND"


def _kv_connector(backend: Backend, facts: AttentionFacts, _kind: LayerType) -> tuple[RejectionReason, str] | None:
    if backend.kv_connector or not facts.features.kv_connector:
        return None
    return RejectionReason.KV_CONNECTOR, "does not take part in KV transfer, which --kv-transfer-config asks for"


CONSTRAINTS: tuple[Constraint, ...] = (
    _installed,
    _latent_attention,
    _honours_window,
    _compute_capability,
    _head_size,
    _dtype,
    _context_parallel,
    _window_disabled,
    _hybrid_kv_cache,
    _kv_cache_dtype,
    _block_size,
    _speculative,
    _batch_invariance,
    _kv_layout,
    _kv_connector,
)
_OF_SETTINGS: Final = frozenset(
    {
        RejectionReason.CONTEXT_PARALLEL,
        RejectionReason.WINDOW_DISABLED,
        RejectionReason.HYBRID_KV_CACHE,
        RejectionReason.KV_CACHE_DTYPE,
        RejectionReason.BLOCK_SIZE,
        RejectionReason.SPECULATIVE_DECODING,
        RejectionReason.BATCH_INVARIANCE,
        RejectionReason.KV_CACHE_LAYOUT,
        RejectionReason.KV_CONNECTOR,
    }
)


def reject(backend: Backend, facts: AttentionFacts, kinds: tuple[LayerType, ...]) -> Rejection | None:
    """Return the first constraint a backend fails for any of the kinds of layers it would run."""
    for constraint in CONSTRAINTS:
        for kind in kinds:
            verdict = constraint(backend, facts, kind)
            if verdict is not None:
                return Rejection(backend.name, *verdict)
    return None


def nearest(rejections: Sequence[Rejection]) -> Rejection:
    """Return the rejection that a person is most likely to be able to do something about: a setting's, if there is one.

    What a setting forbids is looked at last, so such a backend could run the model on this GPU.
    """
    others = [one for one in rejections if one.backend != XFORMERS] or rejections  # the engine's own run more models
    return next((one for one in others if one.reason in _OF_SETTINGS), others[0])


def not_in_runtime(facts: AttentionFacts) -> tuple[Rejection, ...]:
    """Return a rejection for XFORMERS where the runtime has no such backend: people ask why it was not taken."""
    if facts.runtime.backend(XFORMERS) is not None or not facts.runtime.known:
        return ()
    return (Rejection(XFORMERS, RejectionReason.NOT_IN_RUNTIME, why_not_in_runtime(XFORMERS, facts)),)


def why_not_in_runtime(name: str, facts: AttentionFacts) -> str:
    """Say why a backend is not in a runtime, and where it is."""
    if not facts.runtime.known:
        return f"how {facts.runtime} is told its attention backend is not known here"
    if name == XFORMERS and facts.xformers is XFormersStatus.NOT_ON_CUDA:
        return f"runs on CUDA alone, {facts.runtime} runs on the CPU"
    if name == XFORMERS:
        return f"is not in {facts.runtime}: vLLM 0.11 was the last release with it; the mistral-vllm image has it again"
    return f"is not in {facts.runtime}, which has {', '.join(backend.name for backend in facts.runtime.backends)}"
