"""One window and one attention type per layer: what a Mistral model's config says.

This is the meaning of the file, whatever an engine makes of it; what each vLLM release makes of it stands in
:mod:`mistral_vllm.engine_reading`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mistral_vllm.class_defaults import CLASS_DEFAULTS
from mistral_vllm.decoder import ConfigFormat, Decoder, find_decoder, json_shown
from mistral_vllm.layer_types import LayerType, types_of_family, types_of_pattern, types_written
from mistral_vllm.reasons import Finding, FindingReason, LayoutReason, Unsupported
from mistral_vllm.window import WindowValue, normalise_window

LAYERS_MAX: Final = 1024  # far above any model there is; bounds what a hostile file can make us build


class AttentionLayout(NamedTuple):
    """What each decoder layer attends to.

    Attributes
    ----------
    window_tokens
        Keys a sliding layer sees, the current token included; None when no layer slides.
    layers
        One type per decoder layer, in order.
    source
        Where the window was read, in a person's words.
    findings
        What was normalised, implied or ignored on the way.
    """

    window_tokens: int | None
    layers: tuple[LayerType, ...]
    source: str
    findings: tuple[Finding, ...] = ()

    @property
    def sliding(self) -> int:
        """Number of layers with a window."""
        return self.layers.count(LayerType.SLIDING)

    @property
    def full(self) -> int:
        """Number of layers that attend to everything."""
        return self.layers.count(LayerType.FULL)

    @property
    def is_interleaved(self) -> bool:
        """Whether both kinds of layers occur."""
        return 0 < self.sliding < len(self.layers)

    @property
    def windows(self) -> tuple[int | None, ...]:
        """The window of each layer in tokens, None for full attention."""
        return tuple(self.window_tokens if layer is LayerType.SLIDING else None for layer in self.layers)

    @property
    def unit(self) -> tuple[LayerType, ...]:
        """The shortest run of layers that the whole model repeats; all layers where nothing repeats."""
        count = len(self.layers)
        for length in range(1, count + 1):
            if count % length == 0 and self.layers == self.layers[:length] * (count // length):
                return self.layers[:length]
        return self.layers

    def bites(self, max_model_len_tokens: int | None) -> bool:
        """Whether some sliding layer ever leaves out a token of a sequence of at most that length."""
        if self.window_tokens is None:
            return False
        return max_model_len_tokens is None or self.window_tokens < max_model_len_tokens


def read_layout(
    config: object, *, config_format: ConfigFormat | None = None, beside: Mapping[str, Any] | None = None
) -> AttentionLayout:
    """Read a layout from one file.

    Parameters
    ----------
    config
        config.json or params.json as a mapping, or an object with transformers' attributes.
    config_format
        Which of the two a mapping is; told from its words when None.
    beside
        For a params.json: the raw config.json beside it. vLLM fills keys that params.json lacks from there
        (from 0.12 on), without any class default.

    Raises
    ------
    Unsupported
        When the layout cannot be told without guessing.
    """
    decoder = find_decoder(config, config_format)
    if decoder.config_format is ConfigFormat.MISTRAL and beside is not None and not decoder.multimodal:
        decoder = _filled_from(decoder, beside)
    layer_count, findings = count_layers(decoder)
    value, source, more = declared_window(decoder)
    findings = (*decoder.findings, *findings, *more)
    pattern_layers = types_of_pattern(value, layer_count, decoder)
    typed_layers = types_written(decoder, layer_count)
    if pattern_layers is not None and typed_layers is not None and pattern_layers != typed_layers:
        raise Unsupported(
            LayoutReason.LAYERS_CONFLICT,
            f"{decoder.where('sliding_window')} is a list and layer_types says otherwise: which one is meant?",
        )
    layers = typed_layers or pattern_layers or types_of_family(decoder, value, layer_count)
    if value.size_tokens is None and LayerType.SLIDING in layers:
        findings = (*findings, _without_window(decoder, layers))
        layers = (LayerType.FULL,) * layer_count
    if value.size_tokens is not None and LayerType.SLIDING not in layers:
        findings = (
            *findings,
            _no_layer_slides(decoder, value.size_tokens, layer_count, typed=typed_layers is not None),
        )
    slides = LayerType.SLIDING in layers
    return AttentionLayout(value.size_tokens if slides else None, layers, source, findings)


def count_layers(decoder: Decoder) -> tuple[int, tuple[Finding, ...]]:
    """Return the number of decoder layers.

    Raises
    ------
    Unsupported
        When it is missing without a class default, no integer, or beyond any model there is.
    """
    count, where = decoder.get("num_hidden_layers"), decoder.where("num_hidden_layers")
    if count is None and not decoder.writes("num_hidden_layers"):
        if decoder.model_type is not None and decoder.model_type not in CLASS_DEFAULTS:
            raise _unknown_model_type(decoder, f"{where} is missing")
        raise Unsupported(LayoutReason.LAYER_COUNT_MISSING, f"{where} is missing, so no layer can be told apart")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= LAYERS_MAX:
        raise Unsupported(
            LayoutReason.LAYER_COUNT_INVALID,
            f"{where} is {json_shown(count)}, expected an integer from 1 to {LAYERS_MAX}",
        )
    if decoder.writes("num_hidden_layers"):
        return count, ()
    implied = Finding(
        FindingReason.CLASS_DEFAULT_LAYER_COUNT,
        f"{where} is absent; transformers' class default for {decoder.model_type!r} is {count}",
    )
    return count, (implied,)


def declared_window(decoder: Decoder) -> tuple[WindowValue, str, tuple[Finding, ...]]:
    """Return the window a decoder declares, where it stands, and what to know about it.

    Raises
    ------
    Unsupported
        When the value is none, or absent where nobody can say what absence means.
    """
    where = decoder.where("sliding_window")
    if decoder.model_type == "qwen2" and not decoder.resolved and decoder.get("use_sliding_window") is not True:
        if decoder.get("use_sliding_window") not in (False, None):
            raise Unsupported(
                LayoutReason.FAMILY_SETTING_INVALID,
                f"{decoder.where('use_sliding_window')} is neither true nor false",
            )
        off = Finding(FindingReason.WINDOW_SWITCHED_OFF, "use_sliding_window is not true, so sliding_window is unused")
        return WindowValue(None), where, (off,) if decoder.written.get("sliding_window") is not None else ()
    if decoder.writes("sliding_window"):
        value = normalise_window(decoder.written["sliding_window"], where)
        in_config_json = value.pattern is not None and decoder.config_format is ConfigFormat.HF and not decoder.resolved
        findings = value.findings
        if in_config_json:
            findings = (
                *findings,
                Finding(
                    FindingReason.LIST_IN_CONFIG_JSON, f"{where} is a list, which is params.json's way to write it"
                ),
            )
        return value, where, findings
    if decoder.config_format is ConfigFormat.MISTRAL:
        ignored = "_sliding_window" in decoder.written
        underscore = Finding(
            FindingReason.UNDERSCORE_WINDOW_IGNORED,
            "params.json: _sliding_window is ignored, as vLLM does; rename it to sliding_window if it is meant",
        )
        return WindowValue(None), "params.json: no sliding_window", (underscore,) if ignored else ()
    default = decoder.defaults.get("sliding_window")
    if default is not None:
        implied = Finding(
            FindingReason.CLASS_DEFAULT_WINDOW,
            f"{where} is absent, which means {default}: transformers' class default for {decoder.model_type!r}",
        )
        return WindowValue(default), f"{where}, implied by class default", (implied,)
    known = decoder.resolved or decoder.model_type in CLASS_DEFAULTS
    if known:
        return WindowValue(None), f"{where} is absent", ()
    raise _unknown_model_type(decoder, f"{where} is absent")


def _unknown_model_type(decoder: Decoder, absence: str) -> Unsupported:
    shown = "no model_type" if decoder.model_type is None else f"model_type {decoder.model_type[:40]!r}"
    return Unsupported(
        LayoutReason.MODEL_TYPE_UNKNOWN,
        f"{absence}, and what that means for {shown} is unknown here; known are {', '.join(CLASS_DEFAULTS)}",
    )


def _filled_from(decoder: Decoder, config: Mapping[str, Any]) -> Decoder:
    """Fill the words params.json lacks from the raw config.json, as vLLM's adapt_config_dict does with setdefault.

    An integer window in params.json makes vLLM write all-sliding layer_types first, so those of config.json are lost.
    """
    taken = {key: config[key] for key in ("sliding_window", "layer_types") if key in config and not decoder.writes(key)}
    if decoder.written.get("sliding_window"):
        taken.pop("layer_types", None)
    if not taken:
        return decoder
    findings = decoder.findings
    if taken.get("sliding_window") is not None:
        findings = (
            *findings,
            Finding(
                FindingReason.WINDOW_FROM_CONFIG_JSON,
                f"params.json has no sliding_window; config.json's {str(taken['sliding_window'])[:60]} fills it in",
            ),
        )
    return Decoder(
        {**decoder.written, **taken},
        decoder.defaults,
        decoder.model_type,
        decoder.config_format,
        findings=findings,
    )


def _without_window(decoder: Decoder, layers: tuple[LayerType, ...]) -> Finding:
    count = layers.count(LayerType.SLIDING)
    if not decoder.writes("sliding_window") and decoder.resolved:
        raise Unsupported(
            LayoutReason.WINDOW_MISSING,
            f"layer_types has {count} sliding layers, but nothing says how wide their window is",
        )
    return Finding(
        FindingReason.SLIDING_LAYERS_WITHOUT_WINDOW,
        f"{decoder.where('layer_types')} has {count} sliding layers, but there is no window: every layer is full",
    )


def _no_layer_slides(decoder: Decoder, window_tokens: int, layer_count: int, *, typed: bool) -> Finding:
    cause = "layer_types says full_attention" if typed else f"{decoder.model_type} slides none"
    return Finding(
        FindingReason.ALL_LAYERS_FULL,
        f"sliding_window is {window_tokens}, but {cause} for all {layer_count} layers: no layer has a window",
    )
