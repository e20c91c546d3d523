"""Sliding-window attention for Mistral models: detection and backend selection.

The public face of this package. Each function takes a model's config as a mapping (config.json or params.json), or as
anything with transformers' attributes, such as a ``PretrainedConfig``; none of them changes what it is given. The
standard library is all they need, so the operator calls the very functions that run inside the pod.

>>> has_sliding_window_attention({"model_type": "mistral", "sliding_window": 4096, "num_hidden_layers": 32})
True
>>> get_optimal_sliding_window_backend(
...     {"sliding_window": [None, 4096, None, 4096], "num_hidden_layers": 32},
...     compute_capability=ComputeCapability(9, 0),
... ).backends[LayerType.SLIDING]
'XFORMERS'
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mistral_vllm.attention_facts import AttentionFacts, EngineFeatures, XFormersStatus
from mistral_vllm.backends import AUTO, ComputeCapability
from mistral_vllm.constraints import Rejection
from mistral_vllm.decision import BackendDecision, NoValidBackend, decide
from mistral_vllm.decoder import Decoder, find_decoder
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout, declared_window, read_layout
from mistral_vllm.reasons import DecisionReason, Finding, LayoutReason, RejectionReason, Unsupported
from mistral_vllm.runtimes import Runtime, get_runtime

if TYPE_CHECKING:
    from mistral_vllm.profiles import Profile

__all__ = [
    "AttentionLayout",
    "BackendDecision",
    "ComputeCapability",
    "DecisionReason",
    "EngineFeatures",
    "Finding",
    "LayerType",
    "LayoutReason",
    "NoValidBackend",
    "Rejection",
    "RejectionReason",
    "Runtime",
    "Unsupported",
    "XFormersStatus",
    "enhance_mistral_config_for_sliding_window",
    "get_optimal_sliding_window_backend",
    "has_sliding_window_attention",
    "read_layout",
    "should_use_xformers_for_mistral",
]

Config = TypeVar("Config")


def has_sliding_window_attention(config: object) -> bool:
    """Detect whether a model uses sliding-window attention.

    True when at least one layer has a window, whether or not the window is larger than the context. Absent means what
    it means to the format: 4096 in a Mistral config.json, no window in a params.json.

    Raises
    ------
    Unsupported
        When the config contradicts itself, or holds a value that no one can read without guessing.
    """
    try:
        return read_layout(config).window_tokens is not None
    except Unsupported as error:
        if error.reason not in (LayoutReason.LAYER_COUNT_MISSING, LayoutReason.WINDOW_MISSING):
            raise
    return _slides_somewhere(find_decoder(config))


def _slides_somewhere(decoder: Decoder) -> bool:
    """Answer without a layer count: whether any layer slides does not need to know how many there are."""
    layer_types = decoder.get("layer_types")
    typed = isinstance(layer_types, list | tuple)
    if typed and LayerType.SLIDING not in layer_types:
        return False
    if typed and not decoder.writes("sliding_window"):
        return True
    try:
        value, _, _ = declared_window(decoder)
    except Unsupported as error:
        if error.reason is not LayoutReason.MODEL_TYPE_UNKNOWN:
            raise
        return False  # nothing is written about a window, and no class is named that could imply one
    return value.size_tokens is not None


def enhance_mistral_config_for_sliding_window(config: Config) -> Config:
    """Return the config with consistent ``sliding_window`` and ``layer_types``.

    A window becomes one integer and one type per layer; a value that means no window becomes None, so that no engine
    takes -1 or an unused 4096 for one. A model that declares no window is returned untouched. Idempotent.

    Parameters
    ----------
    config
        A mapping or a ``PretrainedConfig``. It is not changed; the result is of the same kind.

    Raises
    ------
    Unsupported
        When the layout cannot be read.
    """
    layout = read_layout(config)
    decoder = find_decoder(config)
    words = _consistent_words(decoder, layout)
    if not words:
        return config
    enhanced: Config = _with_words(config, decoder.path.removesuffix("."), words)
    return enhanced


def _consistent_words(decoder: Decoder, layout: AttentionLayout) -> dict[str, Any]:
    """Return the words to write, or none where the config is consistent already."""
    layer_types = [str(layer) for layer in layout.layers]
    if layout.window_tokens is not None:
        words: dict[str, Any] = {"sliding_window": layout.window_tokens, "layer_types": layer_types}
    else:
        words = {}
        if decoder.get("sliding_window") is not None:
            words["sliding_window"] = None
        if LayerType.SLIDING in (decoder.get("layer_types") or ()):
            words["layer_types"] = layer_types
    unchanged = all(decoder.writes(key) and decoder.written[key] == value for key, value in words.items())
    return {} if unchanged else words


def _with_words(config: Any, nested_under: str, words: Mapping[str, Any]) -> Any:
    if isinstance(config, Mapping):
        changed: Any = dict(config)
        if nested_under:
            changed[nested_under] = {**(config.get(nested_under) or {}), **words}
        else:
            changed.update(words)
        return changed
    changed = copy.copy(config)
    target = changed
    if nested_under:
        target = copy.copy(getattr(config, nested_under))
        setattr(changed, nested_under, target)
    for key, value in words.items():
        setattr(target, key, value)
    return changed


def get_optimal_sliding_window_backend(
    config: object,
    *,
    runtime: Runtime | None = None,
    compute_capability: ComputeCapability | None = None,
    head_size: int | None = None,
    dtype: str | None = None,
    kv_cache_dtype: str = "auto",
    max_model_len: int | None = None,
    attention_backend: str | None = None,
    xformers_installed: bool | None = None,
    features: EngineFeatures | None = None,
    profiles: "tuple[Profile, ...] | None" = None,
) -> BackendDecision:
    """Recommend the attention backend for each kind of layer of a model.

    Parameters
    ----------
    config
        The model's config.
    runtime
        The image's engine; this project's own by default.
    compute_capability
        Of the GPU; None when unknown, which rejects nothing and uses no measured profile.
    head_size, dtype
        Read from the config when None.
    kv_cache_dtype
        vLLM's ``--kv-cache-dtype``.
    max_model_len
        Longest sequence served, in tokens; None means longer than any window.
    attention_backend
        The user's own choice by name; None or ``Auto`` leaves it to the rules.
    xformers_installed
        What was found in the pod; None means what the image is built with.
    features
        What the user's engine arguments switch on.
    profiles
        Measured profiles; those shipped with this package by default.

    Raises
    ------
    Unsupported
        When the layout cannot be read.
    NoValidBackend
        When the user's choice is refused, or nothing can run the model.
    """
    from mistral_vllm.profiles import find_profile, load_profiles  # noqa: PLC0415 - detection alone need not load it

    layout = read_layout(config)
    decoder = find_decoder(config)
    runtime = runtime or get_runtime()
    head_size = head_size if head_size is not None else head_size_of(decoder)
    dtype = dtype or dtype_of(config, decoder)
    return decide(
        AttentionFacts(
            layout=layout,
            runtime=runtime,
            compute_capability=compute_capability,
            head_size=head_size,
            dtype=dtype,
            kv_cache_dtype=kv_cache_dtype,
            max_model_len_tokens=max_model_len,
            requested=None if attention_backend in (None, AUTO) else attention_backend,
            xformers_installed=xformers_installed is not False,
            latent_attention=bool(decoder.get("kv_lora_rank")),
            features=features or EngineFeatures(),
            profile=find_profile(
                load_profiles() if profiles is None else profiles,
                compute_capability=compute_capability,
                head_size=head_size,
                dtype=dtype,
                vllm_version=runtime.version,
            ),
        )
    )


def should_use_xformers_for_mistral(config: object, **facts: Any) -> bool:
    """Tell whether XFormers should run any layer of a model.

    Takes what :func:`get_optimal_sliding_window_backend` takes. False where no backend is valid at all, since then
    XFormers is not either.

    Raises
    ------
    Unsupported
        When the layout cannot be read.
    """
    try:
        return get_optimal_sliding_window_backend(config, **facts).uses_xformers
    except NoValidBackend:
        return False


def head_size_of(decoder: Decoder) -> int | None:
    """Return the head size in elements: written, else hidden size over heads; None where neither can be told."""
    written = decoder.get("head_dim")
    if isinstance(written, int) and not isinstance(written, bool) and written > 0:
        return written
    hidden, heads = decoder.get("hidden_size"), decoder.get("num_attention_heads")
    for value in (hidden, heads):
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            return None
    return int(hidden // heads) or None


def dtype_of(config: object, decoder: Decoder) -> str:
    """Return the dtype a checkpoint names, in torch's words; bfloat16 where it names none.

    ``dtype`` is transformers 5's word and ``torch_dtype`` the older one; multimodal files have it at the top.
    """
    for key in ("dtype", "torch_dtype"):
        outer = config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)
        for value in (decoder.get(key), outer):
            if value is not None:
                name = str(value).removeprefix("torch.")
                return {"half": "float16", "float": "float32"}.get(name, name)
    return "bfloat16"
