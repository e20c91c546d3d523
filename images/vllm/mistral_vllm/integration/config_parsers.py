"""vLLM's parsers of config.json and params.json, whose result has one window and one type per layer.

vLLM fixes windows, context length and KV cache groups in the API server, right after parsing and long before any model
class exists; so this is the one place where enhancing a config has an effect. ``--hf-overrides`` come later still, and
win.
"""

from typing import Any, Final

from transformers import PretrainedConfig
from vllm.transformers_utils.config import HFConfigParser, MistralConfigParser

from mistral_vllm.decoder import ARCHITECTURES
from mistral_vllm.mistral_sliding_window import enhance_mistral_config_for_sliding_window

# of decoders that name no class: those inside a multimodal config.json, and files without architectures
_MODEL_TYPES: Final = frozenset({*ARCHITECTURES.values(), "ministral"})


def is_mistral(config: PretrainedConfig) -> bool:
    """Tell whether a config's decoder is of the Mistral family: by its class, where it names one.

    Not by ``model_type`` then: it is "transformer" for a params.json, and "ministral" for a Mistral with layer_types.
    """
    decoder = config.get_text_config()
    architectures = getattr(decoder, "architectures", None)
    if architectures:
        return any(architecture in ARCHITECTURES for architecture in architectures)
    return decoder.model_type in _MODEL_TYPES


def enhanced(config: PretrainedConfig) -> PretrainedConfig:
    """Return a Mistral's config with consistent ``sliding_window`` and ``layer_types``, any other one as it is.

    Raises
    ------
    Unsupported
        When a Mistral's layout cannot be read: serving it would be a guess.
    """
    return enhance_mistral_config_for_sliding_window(config) if is_mistral(config) else config


class _Enhances:
    """Enhances what a parser returns. Comes before vLLM's own class, whose arguments it passes on."""

    def parse(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], PretrainedConfig]:
        """Return the file as it is, and the enhanced config made of it."""
        written, config = super().parse(*args, **kwargs)  # type: ignore[misc]
        return written, enhanced(config)


class EnhancingHFConfigParser(_Enhances, HFConfigParser):
    """``--config-format hf``: config.json."""


class EnhancingMistralConfigParser(_Enhances, MistralConfigParser):
    """``--config-format mistral``: params.json, and what it lacks from config.json."""
