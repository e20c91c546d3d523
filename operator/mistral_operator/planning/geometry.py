"""The numbers of a decoder that memory and parallelism depend on, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_vllm.decoder import ConfigFormat, Decoder, json_kind
from mistral_vllm.mistral_sliding_window import head_size_of

_DIMENSION_MAX: Final = 2**31
_PARAMS_MAX_POSITION: Final = 128_000  # vLLM's default for a params.json that has none, and no config.json beside it
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
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _DIMENSION_MAX:
            raise Unplannable(
                Problem.MODEL,
                PlanReason.GEOMETRY_INVALID,
                f"{decoder.config_format.file_name}: {decoder.path}{key} is {_shown(value)}, not a positive integer",
                "Check that the file is a decoder's own config and not an adapter's or an index",
            )
        return value

    heads = dimension("num_attention_heads")
    latent = decoder.get("kv_lora_rank")
    head_size = head_size_of(decoder)
    if head_size is None or head_size > _DIMENSION_MAX:
        dimension("head_dim")
    longest, scaled = _longest_sequence(decoder, beside)
    return Geometry(
        layers=layers,
        hidden_size=dimension("hidden_size"),
        heads=heads,
        kv_heads=dimension("num_key_value_heads", heads),
        head_size=head_size or 0,
        intermediate_size=dimension("intermediate_size"),
        vocab_size=dimension("vocab_size"),
        max_model_len_tokens=longest,
        rope_scaled=scaled,
        latent_rank=dimension("kv_lora_rank") + dimension("qk_rope_head_dim", 0) if latent else 0,
    )


def _longest_sequence(decoder: Decoder, beside: Mapping[str, Any] | None) -> tuple[int, bool]:
    """Derive the longest sequence as vLLM does (config/model.py, _get_and_verify_max_len)."""
    length = decoder.get("max_position_embeddings")
    if length is None and decoder.config_format is ConfigFormat.MISTRAL:
        length = (beside or {}).get("max_position_embeddings", _PARAMS_MAX_POSITION)
    if isinstance(length, bool) or not isinstance(length, int) or not 0 < length <= _DIMENSION_MAX:
        raise Unplannable(
            Problem.MODEL,
            PlanReason.GEOMETRY_INVALID,
            f"{decoder.config_format.file_name}: {decoder.path}max_position_embeddings is {_shown(length)}, "
            "expected a positive integer",
            "Correct the file",
        )
    rope = _rope(decoder)
    kind = rope.get("rope_type", rope.get("type"))
    if kind is None or kind in _UNSCALED_ROPE or (decoder.model_type or "").startswith("gemma3"):
        return length, False
    factor = rope.get("factor", 1)
    if factor is None or isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1e6:
        factor = 1
    if kind == "yarn":
        original = rope.get("original_max_position_embeddings")
        valid = isinstance(original, int) and not isinstance(original, bool) and 0 < original <= _DIMENSION_MAX
        length = original if valid else length
    return max(1, int(length * factor)), kind == "yarn" or factor != 1


def _rope(decoder: Decoder) -> Mapping[str, Any]:
    if decoder.config_format is ConfigFormat.MISTRAL:
        yarn = decoder.get("yarn")
        return {**yarn, "rope_type": "yarn"} if isinstance(yarn, Mapping) and yarn else {}
    for key in ("rope_parameters", "rope_scaling"):
        rope = decoder.get(key)
        if isinstance(rope, Mapping) and rope:
            return rope
    return {}


def _shown(value: object) -> str:
    return str(value)[:20] if isinstance(value, int | float) and not isinstance(value, bool) else json_kind(value)
