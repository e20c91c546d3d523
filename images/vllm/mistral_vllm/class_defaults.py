"""What transformers' config classes fill in for words that a config.json leaves out.

Read from transformers 5.23.0 (``models/*/configuration_*.py``); tests hold every value against it, and against the
image's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

GEOMETRY_WORDS: Final = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "tie_word_embeddings",
    "sliding_window",
)


def _class_defaults(*values: Any, **more: Any) -> Mapping[str, Any]:
    return MappingProxyType(dict(zip(GEOMETRY_WORDS, values, strict=True)) | more)


CLASS_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "mistral": _class_defaults(32, 4096, 32, 8, None, 14336, 32000, 131072, False, 4096),
        "ministral": _class_defaults(32, 4096, 32, 8, None, 14336, 32000, 131072, False, 4096),
        "ministral3": _class_defaults(34, 4096, 32, 8, 128, 14336, 131072, 262144, False, None),
        "mixtral": _class_defaults(32, 4096, 32, 8, None, 14336, 32000, 131072, False, None, num_local_experts=8),
        "llama": _class_defaults(32, 4096, 32, None, None, 11008, 32000, 2048, False, None),
        "qwen2": _class_defaults(
            32, 4096, 32, 32, None, 22016, 151936, 32768, False, 4096, use_sliding_window=False, max_window_layers=28
        ),
        "gemma2": _class_defaults(26, 2304, 8, 4, 256, 9216, 256000, 8192, True, 4096),
        "gemma3_text": _class_defaults(26, 2304, 8, 4, 256, 9216, 262208, 131072, True, 4096, sliding_window_pattern=6),
        "voxtral_realtime_text": _class_defaults(32, 4096, 32, 8, None, 14336, 32000, 131072, None, 4096),
        "mistral4": _class_defaults(
            36, 4096, 32, 32, 128, 12288, 131072, 1048576, False, None, kv_lora_rank=256, qk_rope_head_dim=64
        ),
    }
)


class OuterClass(NamedTuple):
    """A multimodal class: which decoder its ``text_config`` is, and what it fills in."""

    decoder: str
    without_text_config: Mapping[str, Any] = MappingProxyType({})
    beside_text_config: Mapping[str, Any] = MappingProxyType({})


_VOXTRAL: Final = MappingProxyType(
    {
        "num_hidden_layers": 30,
        "hidden_size": 3072,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
        "vocab_size": 131072,
        "max_position_embeddings": 131072,
    }
)
_VOXTRAL_REALTIME: Final = MappingProxyType(
    {
        **_VOXTRAL,
        "num_hidden_layers": 26,
        "intermediate_size": 9216,
        "tie_word_embeddings": True,
        "sliding_window": 8192,
    }
)
_MISTRAL3: Final = MappingProxyType(
    {
        "num_hidden_layers": 40,
        "hidden_size": 5120,
        "head_dim": 128,
        "intermediate_size": 32768,
        "vocab_size": 131072,
        "sliding_window": None,
    }
)
OUTER_CLASSES: Final[Mapping[str, OuterClass]] = MappingProxyType(
    {
        "mistral3": OuterClass("mistral", without_text_config=_MISTRAL3),
        "llava": OuterClass("llama"),
        "llava_next": OuterClass("llama"),
        "voxtral": OuterClass("llama", _VOXTRAL, _VOXTRAL),
        "voxtral_realtime": OuterClass("voxtral_realtime_text", _VOXTRAL_REALTIME, _VOXTRAL_REALTIME),
    }
)
