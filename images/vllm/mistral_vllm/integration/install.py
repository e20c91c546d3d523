"""Puts the integration in place of vLLM's own parsers and model classes; again changes nothing."""

from types import MappingProxyType
from typing import Final

from vllm.model_executor.models.registry import ModelRegistry
from vllm.transformers_utils import config as vllm_configs

from mistral_vllm.integration.config_parsers import EnhancingHFConfigParser, EnhancingMistralConfigParser

# vLLM's names of architectures, and the class here that runs each
MODEL_CLASSES: Final = MappingProxyType(
    {
        "MistralForCausalLM": "MistralForCausalLM",
        "Ministral3ForCausalLM": "MistralForCausalLM",
        "MistralModel": "LlamaForCausalLM",
        "MixtralForCausalLM": "MixtralForCausalLM",
    }
)


def install() -> None:
    """Replace the parsers of both formats and the classes of the Mistral family.

    Classes are named, not imported: vLLM inspects a model in a process of its own, so that none but workers touch CUDA.
    """
    # not through register_config_parser, which warns of every format that it replaces
    vllm_configs._CONFIG_FORMAT_TO_CONFIG_PARSER.update(  # noqa: SLF001
        hf=EnhancingHFConfigParser, mistral=EnhancingMistralConfigParser
    )
    for architecture, model_class in MODEL_CLASSES.items():
        ModelRegistry.register_model(architecture, f"mistral_vllm.integration.models:{model_class}")
