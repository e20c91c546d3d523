"""What each vLLM release finally does with a model's files, layer by layer, and how to make it do what is meant.

Simulated from source, in the order the engine works: a config parser (``transformers_utils/config.py``,
``configs/mistral.py``), overrides, ``CacheConfig.sliding_window`` (``engine/arg_utils.py``), then each attention layer
(``models/llama.py``, ``attention.py``): its own window, else the cache's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mistral_vllm.decoder import ConfigFormat, Decoder, find_decoder
from mistral_vllm.files import ConfigFiles
from mistral_vllm.layer_types import GEMMAS, LayerType, types_of_gemma
from mistral_vllm.layout import AttentionLayout, count_layers
from mistral_vllm.reasons import EngineReason, Finding, LayoutReason, Unsupported
from mistral_vllm.runtimes import Release

_TYPES = frozenset(LayerType)
# Which families vLLM gives no window of their own per layer: every layer gets the cache's (models/mixtral.py)
_NO_WINDOW_PER_LAYER = frozenset({"mixtral"})
# model types that transformers 4 does not know
_SINCE_TRANSFORMERS_5 = frozenset({"ministral3", "mistral4", "voxtral_realtime_text"})


class EngineReading(NamedTuple):
    """What one release makes of the files: a window per layer in tokens (None is full), or why it will not start.

    The windows are what reaches the kernels, so -1 and 0 occur where a release keeps them.
    """

    windows: tuple[int | None, ...] = ()
    refusal: str | None = None


class EngineOverride(NamedTuple):
    """What to pass as ``--hf-overrides`` so that the engine runs the layout as it is meant."""

    values: Mapping[str, Any]
    finding: Finding


class _RefusalError(Exception):
    """The release would not start; the text says what it asks for."""


@dataclass(slots=True)
class _Parsed:
    """The words the engine goes on with once its parser is done."""

    window: Any
    layer_types: Any
    layer_count: int
    per_layer: bool


def engine_reading(
    files: ConfigFiles, release: Release, *, overrides: Mapping[str, Any] | None = None
) -> EngineReading:
    """Tell what a release makes of a model's files, read in the format ``files`` chose.

    Parameters
    ----------
    files
        The model's files; the chosen format is what ``--config-format`` says.
    release
        The vLLM release.
    overrides
        The ``--hf-overrides`` in force, nested under ``text_config`` where the decoder is.
    """
    try:
        decoder = find_decoder(files.chosen, files.format)
        parsed = _parse(decoder, files, release)
        if overrides:
            words = overrides.get("text_config", overrides)
            parsed.window = words.get("sliding_window", parsed.window)
            parsed.layer_types = words.get("layer_types", parsed.layer_types)
        return EngineReading(_windows(parsed, release))
    except Unsupported as error:
        return EngineReading(refusal=error.message)
    except _RefusalError as refusal:
        return EngineReading(refusal=str(refusal))


def engine_override(files: ConfigFiles, layout: AttentionLayout, release: Release) -> EngineOverride | None:
    """Return the override that makes a release run the layout, or None when it does so by itself.

    Raises
    ------
    Unsupported
        When the release refuses the files, or no override makes it run them as they are meant.
    """
    plain = engine_reading(files, release)
    if plain.windows == layout.windows:
        return None
    decoder = find_decoder(files.chosen, files.format)
    words: dict[str, Any] = {"sliding_window": layout.window_tokens}
    if layout.is_interleaved:
        words["layer_types"] = [str(layer) for layer in layout.layers]
    nested = decoder.multimodal
    values: dict[str, Any] = {"text_config": words} if nested else words
    if plain.refusal is None and engine_reading(files, release, overrides=values).windows == layout.windows:
        return EngineOverride(
            values,
            Finding(
                EngineReason.ENGINE_OVERRIDDEN,
                f"left alone, this vLLM release would run {_describe(plain.windows)}; --hf-overrides makes it run "
                f"{_describe(layout.windows)}, which is what {files.format.file_name} means",
            ),
        )
    if plain.refusal is not None:
        raise Unsupported(EngineReason.ENGINE_REFUSES_CONFIG, f"this vLLM release will not start: {plain.refusal}")
    raise Unsupported(
        EngineReason.ENGINE_IGNORES_LAYOUT,
        f"this vLLM release would run {_describe(plain.windows)} where {files.format.file_name} means "
        f"{_describe(layout.windows)}, and no override changes that",
    )


def _describe(windows: tuple[int | None, ...]) -> str:
    sizes = {window for window in windows if window is not None}
    if not sizes:
        return f"all {len(windows)} layers without a window"
    shown = " and ".join(str(size) for size in sorted(sizes))
    return f"{sum(window is not None for window in windows)} of {len(windows)} layers with a window of {shown}"


def _parse(decoder: Decoder, files: ConfigFiles, release: Release) -> _Parsed:
    if files.format is ConfigFormat.MISTRAL:
        return _parse_params(decoder, files, release)
    return _parse_config(decoder, release)


def _parse_config(decoder: Decoder, release: Release) -> _Parsed:
    """HFConfigParser: what AutoConfig makes of config.json; transformers 5 checks types, 4 keeps what it finds."""
    layer_count, _ = count_layers(decoder)
    window, layer_types = decoder.get("sliding_window"), decoder.get("layer_types")
    if not release.strict_config and decoder.model_type in _SINCE_TRANSFORMERS_5:
        raise _RefusalError(f"it carries transformers 4, which does not know model_type {decoder.model_type!r}")
    if release.strict_config:
        if window is not None and (isinstance(window, bool) or not isinstance(window, int)):
            raise _RefusalError("transformers 5 takes an integer or null for sliding_window in config.json")
        _check_layer_types(layer_types, layer_count)
    if decoder.model_type == "qwen2":
        window = window if decoder.get("use_sliding_window") else None
        if layer_types is None:
            first = decoder.get("max_window_layers")
            layer_types = [
                LayerType.SLIDING if window is not None and i >= first else LayerType.FULL for i in range(layer_count)
            ]
    elif decoder.model_type in GEMMAS and layer_types is None:
        layer_types = list(types_of_gemma(decoder, layer_count))
    return _Parsed(window, layer_types, layer_count, decoder.model_type not in _NO_WINDOW_PER_LAYER)


def _parse_params(decoder: Decoder, files: ConfigFiles, release: Release) -> _Parsed:
    """MistralConfigParser: params.json under new names, then the words it lacks from the raw config.json."""
    window, layer_types = decoder.written.get("sliding_window"), decoder.written.get("layer_types")
    layer_count, _ = count_layers(decoder)
    if release.remaps_params_window and window:
        window, layer_types = _remap_window(window, layer_types, layer_count)
    if release.params_fall_back_to_config_json and files.config is not None and not decoder.multimodal:
        if not decoder.writes("sliding_window"):
            window = files.config.get("sliding_window")
        if layer_types is None and not decoder.writes("layer_types"):
            layer_types = files.config.get("layer_types")
    if not release.remaps_params_window and isinstance(window, list):
        if decoder.multimodal:
            raise _RefusalError("it leaves a list as sliding_window inside a multimodal model (fixed by PR #33521)")
        if window:
            layer_types = [
                LayerType.FULL if entry is None else LayerType.SLIDING
                for entry in window * (layer_count // len(window))
            ]
            window = next((entry for entry in window if entry), None)
    if release.strict_config:
        _check_layer_types(layer_types, layer_count)
    is_mixtral = bool(decoder.written.get("moe"))
    return _Parsed(window, layer_types, layer_count, per_layer=not is_mixtral)


def _remap_window(window: Any, layer_types: Any, layer_count: int) -> tuple[Any, Any]:
    """_remap_mistral_sliding_window; a bool is an int to it."""
    if isinstance(window, list):
        if len({entry for entry in window if entry is not None}) > 1:
            raise _RefusalError("it asserts that a list holds one window size")
        repeated = window * (layer_count // len(window))
        types = [LayerType.FULL if entry is None else LayerType.SLIDING for entry in repeated]
        return next((entry for entry in window if entry), None), types
    if isinstance(window, int) and layer_types is None:
        return window, [LayerType.SLIDING] * layer_count
    raise _RefusalError("it takes an integer without layer_types, or a list, for sliding_window in params.json")


def _check_layer_types(layer_types: Any, layer_count: int) -> None:
    if layer_types is None:
        return
    if not isinstance(layer_types, list) or not all(isinstance(entry, str) for entry in layer_types):
        raise _RefusalError("transformers 5 takes a list of strings for layer_types")
    if len(layer_types) != layer_count:
        raise _RefusalError(f"transformers 5 refuses {len(layer_types)} layer_types for {layer_count} layers")


def _windows(parsed: _Parsed, release: Release) -> tuple[int | None, ...]:
    window, layer_types = parsed.window, parsed.layer_types
    if isinstance(window, int) and window == 0 and release.zero_window_is_none:
        window = None
    if window is not None and not isinstance(window, int):
        raise _RefusalError("sliding_window reaches its kernels as something other than an integer")
    if layer_types is not None and (
        not isinstance(layer_types, list) or not all(entry in _TYPES for entry in layer_types)
    ):
        raise Unsupported(LayoutReason.LAYER_TYPE_UNKNOWN, "layer_types holds kinds of attention unknown here")
    kinds = set(layer_types or ())
    if release.all_full_layers_slide:
        cache_window = window if len(kinds) <= 1 else None
    else:
        cache_window = window if layer_types is None or kinds <= {LayerType.SLIDING} else None
    if not parsed.per_layer or not layer_types:
        return (cache_window,) * parsed.layer_count
    if len(layer_types) < parsed.layer_count:
        raise _RefusalError(f"it asserts {parsed.layer_count} layer_types and finds {len(layer_types)}")
    return tuple(
        window if layer_types[index] == LayerType.SLIDING and window is not None else cache_window
        for index in range(parsed.layer_count)
    )
