"""Everything the choice of a backend depends on, gathered before the first rule is asked."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from mistral_vllm.backends import ComputeCapability, Platform
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout
from mistral_vllm.runtimes import Runtime

if TYPE_CHECKING:  # a tenth of this package's import time, for one annotation
    from mistral_vllm.profiles import Profile


class XFormersStatus(StrEnum):
    """Whether XFormers can be used at all, before any constraint of the model is asked."""

    AVAILABLE = "Available"
    NOT_INSTALLED = "NotInstalled"  # the runtime should have it, and it is said to be missing
    NOT_IN_RUNTIME = "NotInRuntime"  # this vLLM has no such backend
    NOT_ON_CUDA = "NotOnCUDA"
    UNKNOWN = "Unknown"  # nobody has read this vLLM release


class EngineFeatures(NamedTuple):
    """What a user's own engine arguments and environment switch on, as far as it matters to attention."""

    block_size_tokens: int | None = None
    speculative_decoding: bool = False
    batch_invariant: bool = False
    decode_context_parallel_size: int = 1
    hybrid_kv_cache_disabled: bool = False
    sliding_window_disabled: bool = False
    kv_connector: bool = False
    hnd_kv_cache: bool = False


class AttentionFacts(NamedTuple):
    """The input of every rule and constraint.

    ``None`` for ``compute_capability`` or ``head_size`` means unknown: what depends on it is not rejected, and no
    measured profile is used.
    """

    layout: AttentionLayout
    runtime: Runtime
    compute_capability: ComputeCapability | None = None
    head_size: int | None = None
    dtype: str = "bfloat16"  # what attention computes in
    kv_cache_dtype: str = "auto"  # what is asked for, or what the checkpoint turns "auto" into
    max_model_len_tokens: int | None = None
    requested: str | None = None  # a backend's name; None leaves the choice to the rules
    xformers_installed: bool = True
    latent_attention: bool = False  # multi-head latent attention (MLA) brings its own backends
    features: EngineFeatures = EngineFeatures()
    profile: "Profile | None" = None

    @property
    def window_bites(self) -> bool:
        """Whether some layer of this deployment ever leaves a token out."""
        return self.layout.bites(self.max_model_len_tokens)

    @property
    def xformers(self) -> XFormersStatus:
        """Whether XFormers can be used at all."""
        if self.runtime.platform is not Platform.CUDA:
            return XFormersStatus.NOT_ON_CUDA
        if not self.runtime.known:
            return XFormersStatus.UNKNOWN
        if self.runtime.backend("XFORMERS") is None:
            return XFormersStatus.NOT_IN_RUNTIME
        return XFormersStatus.AVAILABLE if self.xformers_installed else XFormersStatus.NOT_INSTALLED

    @property
    def kinds(self) -> tuple[LayerType, ...]:
        """The kinds of layers the model has, sliding first."""
        return tuple(kind for kind in LayerType if kind in self.layout.layers)


_SPECULATIVE: Final = (
    *("speculative-config", "speculative-model", "num-speculative-tokens"),
    *("spec-method", "spec-model", "spec-tokens"),
)
_FLAGS: Final = (
    *_SPECULATIVE,
    *("block-size", "decode-context-parallel-size", "kv-transfer-config"),
    *("disable-hybrid-kv-cache-manager", "disable-sliding-window"),
)
_SHORT_FLAGS: Final = MappingProxyType({"-dcp": "decode-context-parallel-size", "-sc": "speculative-config"})


def features_of(extra_args: Sequence[str], env: Mapping[str, str] | None = None) -> EngineFeatures:
    """Read what matters to attention from vLLM command line arguments and environment variables.

    Accepts ``--flag value``, ``--flag=value``, underscores for hyphens, short names and the beginnings of long ones, as
    vLLM's parser does. A value that is no number where one is due counts as absent: vLLM itself refuses it at start.
    """
    flags = _flags(extra_args)
    env = env or {}

    def number(name: str) -> int | None:
        text = flags.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    return EngineFeatures(
        block_size_tokens=number("block-size"),
        speculative_decoding=not flags.keys().isdisjoint(_SPECULATIVE),
        batch_invariant=env.get("VLLM_BATCH_INVARIANT", "0") not in ("", "0"),
        decode_context_parallel_size=number("decode-context-parallel-size") or 1,
        hybrid_kv_cache_disabled="disable-hybrid-kv-cache-manager" in flags,
        sliding_window_disabled="disable-sliding-window" in flags,
        kv_connector="kv-transfer-config" in flags,
        hnd_kv_cache=env.get("VLLM_KV_CACHE_LAYOUT", "").upper() == "HND",
    )


def _flags(extra_args: Sequence[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    name = ""
    for argument in extra_args:
        if argument.startswith("-"):
            written, _, value = argument.partition("=")
            name = _whole_name(written.replace("_", "-").partition(".")[0])
            flags[name] = value
        elif name and not flags[name]:
            flags[name] = argument
    return flags


def _whole_name(written: str) -> str:
    """Return a flag's name; of a beginning that several have, vLLM itself refuses to choose one."""
    name = written.removeprefix("--")
    if not name or name == written:
        return _SHORT_FLAGS.get(written, written)
    return next((flag for flag in _FLAGS if flag.startswith(name)), name)
