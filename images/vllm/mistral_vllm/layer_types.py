"""Which layers slide: told by params.json's pattern, by layer_types, or by a family's own rule."""

from enum import StrEnum
from typing import Final

from mistral_vllm.class_defaults import CLASS_DEFAULTS
from mistral_vllm.decoder import Decoder, json_kind
from mistral_vllm.reasons import LayoutReason, Unsupported
from mistral_vllm.window import WindowValue

GEMMAS: Final = frozenset({"gemma2", "gemma3_text"})


class LayerType(StrEnum):
    """transformers' words for what one layer attends to."""

    SLIDING = "sliding_attention"
    FULL = "full_attention"


def types_of_pattern(value: WindowValue, layer_count: int, decoder: Decoder) -> tuple[LayerType, ...] | None:
    """Repeat params.json's list over the layers.

    Raises
    ------
    Unsupported
        When it does not divide them.
    """
    if value.pattern is None:
        return None
    if layer_count % len(value.pattern):
        raise Unsupported(
            LayoutReason.WINDOW_PATTERN,
            f"{decoder.where('sliding_window')} has {len(value.pattern)} entries, which do not divide the model's "
            f"{layer_count} layers",
        )
    unit = tuple(LayerType.SLIDING if slides else LayerType.FULL for slides in value.pattern)
    return unit * (layer_count // len(unit))


def types_written(decoder: Decoder, layer_count: int) -> tuple[LayerType, ...] | None:
    """Return layer_types as written, or None without them.

    Raises
    ------
    Unsupported
        When they are no list, of the wrong length, or name a kind of attention unknown here.
    """
    raw = decoder.get("layer_types")
    if raw is None:
        return None
    where = decoder.where("layer_types")
    if not isinstance(raw, list | tuple):
        raise Unsupported(LayoutReason.LAYER_TYPES_INVALID, f"{where} is {json_kind(raw)}, expected a list")
    unknown = next((entry for entry in raw if not isinstance(entry, str) or entry not in set(LayerType)), None)
    if unknown is not None or None in raw:
        shown = repr(unknown[:40]) if isinstance(unknown, str) else json_kind(unknown)
        raise Unsupported(
            LayoutReason.LAYER_TYPE_UNKNOWN,
            f"{where} holds {shown}, expected {' or '.join(LayerType)}; other kinds of attention are not planned for",
        )
    if len(raw) != layer_count:
        raise Unsupported(
            LayoutReason.LAYER_TYPES_LENGTH, f"{where} has {len(raw)} entries, but the model has {layer_count} layers"
        )
    return tuple(LayerType(entry) for entry in raw)


def types_of_family(decoder: Decoder, value: WindowValue, layer_count: int) -> tuple[LayerType, ...]:
    """Apply a family's own rule; without one, a window slides every layer.

    Raises
    ------
    Unsupported
        When the family is unknown here, or its setting is none.
    """
    everything = LayerType.FULL if value.size_tokens is None else LayerType.SLIDING
    if decoder.resolved or everything is LayerType.FULL:
        return (everything,) * layer_count
    if decoder.model_type == "qwen2":
        first = _family_integer(decoder, "max_window_layers", minimum=0)
        return tuple(LayerType.SLIDING if index >= first else LayerType.FULL for index in range(layer_count))
    if decoder.model_type in GEMMAS:
        return types_of_gemma(decoder, layer_count)
    if decoder.model_type is not None and decoder.model_type not in CLASS_DEFAULTS:
        raise Unsupported(
            LayoutReason.MODEL_TYPE_UNKNOWN,
            f"{decoder.where('sliding_window')} is {value.size_tokens}, but which layers of a "
            f"{decoder.model_type[:40]!r} it applies to is unknown here; layer_types would say",
        )
    return (everything,) * layer_count


def types_of_gemma(decoder: Decoder, layer_count: int) -> tuple[LayerType, ...]:
    """Let every layer slide but each second one of Gemma 2, and each ``sliding_window_pattern``-th one of Gemma 3.

    Raises
    ------
    Unsupported
        When Gemma 3's setting is none.
    """
    period = 2 if decoder.model_type == "gemma2" else _family_integer(decoder, "sliding_window_pattern", minimum=1)
    return tuple(LayerType.SLIDING if (index + 1) % period else LayerType.FULL for index in range(layer_count))


def _family_integer(decoder: Decoder, key: str, *, minimum: int) -> int:
    value = decoder.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise Unsupported(
            LayoutReason.FAMILY_SETTING_INVALID,
            f"{decoder.where(key)} is {json_kind(value)}, expected an integer of at least {minimum}",
        )
    return value
