"""The numbers of a decoder that memory and parallelism depend on, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_vllm.decoder import ConfigFormat, Decoder, find_decoder, json_shown
from mistral_vllm.layer_types import LayerType
from mistral_vllm.reasons import Unsupported

_DIMENSION_MAX: Final = 2**31
_PARAMS_MAX_POSITION: Final = 128_000  # vLLM's default for a params.json that has none, and no config.json beside it
_LAYER_TYPES: Final = frozenset(LayerType)
_UNSCALED_ROPE: Final = ("su", "longrope", "llama3")  # vLLM multiplies by the factor of every other type


@dataclass(frozen=True, slots=True)
class Geometry:
    """A decoder's dimensions, in elements."""

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate_size: int
    vocab_size: int
    max_model_len_tokens: int  # the longest sequence the config allows, rope scaling included
    rope_scaled: bool
    latent_rank: int = 0  # multi-head latent attention: elements a token's shared KV takes, rope part included

    def kv_elements_per_token(self, tensor_parallel: int) -> int:
        """KV cache elements of one token in one layer on one GPU: keys and values, or MLA's one latent vector."""
        if self.latent_rank:
            return self.latent_rank
        return 2 * max(1, self.kv_heads // tensor_parallel) * self.head_size


def read_geometry(decoder: Decoder, layers: int, *, beside: Mapping[str, Any] | None = None) -> Geometry:
    """Read a decoder's dimensions.

    Parameters
    ----------
    decoder
        The decoder of the file that counts.
    layers
        Its layer count, checked already.
    beside
        For a params.json, the raw config.json beside it: vLLM looks there for the longest sequence.

    Raises
    ------
    Unplannable
        When a dimension is missing, no positive integer, or beyond any model there is.
    """

    def dimension(key: str, default: int | None = None) -> int:
        value = decoder.get(key)
        if value is None and default is not None:
            return default
        if not _is_dimension(value):
            raise _invalid(decoder.where(key), value)
        return int(value)

    heads, hidden_size = dimension("num_attention_heads"), dimension("hidden_size")
    head_size = dimension("head_dim", hidden_size // heads)
    if not head_size:
        raise _invalid(decoder.where("head_dim"), head_size)
    longest, scaled = _longest_sequence(decoder, beside)
    return Geometry(
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        kv_heads=dimension("num_key_value_heads", heads),
        head_size=head_size,
        intermediate_size=dimension("intermediate_size"),
        vocab_size=dimension("vocab_size"),
        max_model_len_tokens=longest,
        rope_scaled=scaled,
        latent_rank=dimension("kv_lora_rank") + dimension("qk_rope_head_dim", 0) if decoder.get("kv_lora_rank") else 0,
    )


def _longest_sequence(decoder: Decoder, beside: Mapping[str, Any] | None) -> tuple[int, bool]:
    """Derive the longest sequence as vLLM does (config/model.py, _get_and_verify_max_len); tell if rope scales it."""
    limits = {key: decoder.get(key) for key in ("max_position_embeddings", "max_seq_len")}
    if limits["max_position_embeddings"] is None and decoder.config_format is ConfigFormat.MISTRAL:
        limits["max_position_embeddings"] = _of_config_beside(beside)
    for key, value in limits.items():
        if not (_is_dimension(value) or (value is None and key == "max_seq_len")):
            raise _invalid(decoder.where(key), value)
    length = min(int(value) for value in limits.values() if value is not None)
    rope = _rope(decoder)
    kind = rope.get("rope_type", rope.get("type"))
    if kind is None or kind in _UNSCALED_ROPE or (decoder.model_type or "").startswith("gemma3"):
        return length, False
    factor = rope.get("factor", 1)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1e6:
        factor = 1
    if kind == "yarn" and _is_dimension(rope.get("original_max_position_embeddings")):
        length = int(rope["original_max_position_embeddings"])
    return max(1, int(length * factor)), kind == "yarn" or factor != 1


def _of_config_beside(config: Mapping[str, Any] | None) -> int:
    """Return what vLLM takes for a params.json that is silent: config.json's value as its class reads it."""
    try:
        value = None if config is None else find_decoder(config, ConfigFormat.HF).get("max_position_embeddings")
    except Unsupported:
        return _PARAMS_MAX_POSITION
    return int(value) if value is not None and _is_dimension(value) else _PARAMS_MAX_POSITION


def _rope(decoder: Decoder) -> Mapping[str, Any]:
    """Return the rope's words; of one for each layer type, the one that scales most, since vLLM takes one for all."""
    if decoder.config_format is ConfigFormat.MISTRAL:
        yarn = decoder.get("yarn")
        return {**yarn, "rope_type": "yarn"} if isinstance(yarn, Mapping) and yarn else {}
    for key in ("rope_parameters", "rope_scaling"):
        rope = decoder.get(key)
        if isinstance(rope, Mapping) and rope:
            nested = [inner for name, inner in rope.items() if name in _LAYER_TYPES and isinstance(inner, Mapping)]
            scaling = [inner for inner in nested if inner.get("rope_type") == "yarn" or "factor" in inner]
            return scaling[0] if scaling else nested[0] if nested else rope
    return {}


def _is_dimension(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _DIMENSION_MAX


def _invalid(where: str, value: object) -> Unplannable:
    return Unplannable(
        Problem.MODEL,
        PlanReason.GEOMETRY_INVALID,
        f"{where} is {json_shown(value)}, not a positive integer",
        "Check that the file is a decoder's own config and not an adapter's or an index",
    )
