"""What of a hub's config files is kept: every plain value, and of the lists and objects those that a plan reads.

An operator keeps the files of each model that somebody names, and any of them may have megabytes of lists in them: of
layers that are not quantised, of labels, or of nothing. What a plan reads of a file is small.
"""

from collections.abc import Mapping
from typing import Any, Final

from mistral_operator.hub.errors import ConfigTooLargeError

READ: Final = frozenset(
    {
        # where a decoder or another part is described
        *("text_config", "llm_config", "language_config", "vision_config", "vision_encoder", "audio_config"),
        *("multimodal", "moe"),
        # what its layers are
        *("architectures", "layer_types", "sliding_window", "_sliding_window"),
        *("rope_parameters", "rope_scaling", "yarn", "llama_4_scaling", "sliding_attention", "full_attention"),
        # how its weights are stored
        *("quantization_config", "compression_config", "quantization", "producer", "weight_block_size"),
        *("kv_cache_scheme", "config_groups", "weights", "input_activations", "block_structure"),
    }
)
"""Names of the lists and objects that are read, wherever they stand; a test holds them against what plans read."""
_NAMED_FREELY: Final = "config_groups"  # of compressed-tensors, whose groups have any names
_MAX_TEXT: Final = 1024  # characters; no word that is read is longer, and of one that is its beginning shows
_MAX_VALUES: Final = 4096  # of one file: a type for each layer, twice, is half of it


def kept_of(model: str, file: str, content: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what is kept of a file's object.

    Raises
    ------
    ConfigTooLargeError
        When that is more than describes a model.
    """
    if content is None:
        return None
    kept: dict[str, Any] = _object(content, any_name=False)
    if _count(kept) > _MAX_VALUES:
        raise ConfigTooLargeError(model, file, f"{_MAX_VALUES:,} values that are read")
    return kept


def _object(content: Mapping[str, Any], *, any_name: bool) -> dict[str, Any]:
    kept = {
        name[:_MAX_TEXT]: _value(value, any_name=name == _NAMED_FREELY)
        for name, value in content.items()
        if any_name or name in READ or not isinstance(value, list | dict)
    }
    if not kept and content:
        return {next(iter(content))[:_MAX_TEXT]: None}  # whether there is anything is read, too
    return kept


def _value(value: Any, *, any_name: bool = False) -> Any:
    match value:
        case str():
            return value[:_MAX_TEXT]
        case list():
            return [_value(item) for item in value]
        case dict():
            return _object(value, any_name=any_name)
        case _:
            return value


def _count(value: Any) -> int:
    match value:
        case list():
            return 1 + sum(map(_count, value))
        case dict():
            return 1 + sum(map(_count, value.values()))
        case _:
            return 1
