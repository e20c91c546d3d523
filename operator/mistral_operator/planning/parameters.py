"""How many parameters a model has, from its dimensions: for a folder that holds a config and no weights yet."""

from collections.abc import Mapping
from typing import Any

from mistral_operator.planning.geometry import Geometry
from mistral_vllm.decoder import Decoder


def count_parameters(geometry: Geometry, decoder: Decoder, config: Mapping[str, Any]) -> int | None:
    """Count the parameters of a Mistral-family model, vision tower included.

    Returns None where the formula does not hold: latent attention, an audio or an unfamiliar vision tower.
    """
    if geometry.latent_rank or "audio_config" in config or "multimodal" in config:
        return None
    query = geometry.heads * geometry.head_size
    key_value = geometry.kv_heads * geometry.head_size
    attention = geometry.hidden_size * (2 * query + 2 * key_value)
    mlp = 3 * geometry.hidden_size * geometry.intermediate_size
    experts = _experts(decoder)
    if experts:
        mlp = experts * mlp + experts * geometry.hidden_size
    embeddings = geometry.vocab_size * geometry.hidden_size
    layers = geometry.layers * (attention + mlp + 2 * geometry.hidden_size)
    vision = _vision(config, geometry.hidden_size)
    if vision is None:
        return None
    return layers + geometry.hidden_size + embeddings * (2 if _has_own_head(decoder, config) else 1) + vision


def _has_own_head(decoder: Decoder, config: Mapping[str, Any]) -> bool:
    architectures = config.get("architectures")
    return not decoder.get("tie_word_embeddings") and architectures != ["MistralModel"]


def _experts(decoder: Decoder) -> int:
    moe = decoder.get("moe")
    value = moe.get("num_experts") if isinstance(moe, Mapping) else decoder.get("num_local_experts")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 4096 else 0


def _vision(config: Mapping[str, Any], text_size: int) -> int | None:
    """Count a Pixtral tower and its projector (no biases; Pixtral-12B's own adapter has two)."""
    tower = config.get("vision_config", config.get("vision_encoder"))
    if tower is None:
        return 0
    if not isinstance(tower, Mapping):
        return None
    values = [
        _dimension(tower, name) for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "patch_size")
    ]
    if None in values:
        return None
    size, inner, layers, patch = (value for value in values if value is not None)
    channels = _dimension(tower, "num_channels") or 3
    total = layers * (4 * size * size + 3 * size * inner + 2 * size) + channels * size * patch * patch + size
    if "vision_encoder" in config:
        return total + size * text_size + text_size * text_size + 2 * text_size
    merged = _dimension(config, "spatial_merge_size") or 1
    merger = merged * merged * size * size if merged > 1 else 0
    return total + size + merger + size * text_size + text_size * text_size


def _dimension(source: Mapping[str, Any], name: str) -> int | None:
    value = source.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 2**20 else None
