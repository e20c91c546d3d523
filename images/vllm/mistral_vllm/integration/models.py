"""vLLM's model classes of the Mistral family, which check the windows that their layers got.

Which window a layer gets depends on the config, on overrides, on flags and on rules of the release: 0.26 slides every
layer of a model whose layer_types all say full_attention. A layer with another window than the config means is wrong
without a sign, so it is refused here, when the layers are built.
"""

from typing import Any, Final

from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.models import llama, mistral, mixtral
from vllm.model_executor.models.utils import extract_layer_index
from vllm.platforms import current_platform

from mistral_vllm.attention_facts import XFormersStatus
from mistral_vllm.backend.availability import xformers_availability
from mistral_vllm.integration.windows import BuiltLayer, check_windows, summary
from mistral_vllm.layout import read_layout

_LOGGER: Final = init_logger(f"vllm.{__name__}")  # below vLLM's own logger, or a pod would not show it


class _ChecksWindows:
    """Checks a model when it is built. Comes before vLLM's own class, whose arguments it passes on."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "", **more: Any) -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix, **more)  # type: ignore[call-arg]
        layout = read_layout(vllm_config.model_config.hf_config)
        layers = _built_layers(self)
        check_windows(layout, layers)
        # every rank builds its layers, one of them tells
        _LOGGER.info_once("mistral_vllm: %s", summary(type(self).__name__, layout, layers, _xformers()), scope="global")


def _built_layers(model: Any) -> list[BuiltLayer]:
    return [
        BuiltLayer(
            layer.layer_name,
            extract_layer_index(layer.layer_name),
            layer.sliding_window,
            layer.get_attn_backend().get_name(),
        )
        for layer in model.modules()
        if isinstance(layer, Attention)
    ]


def _xformers() -> str:
    return xformers_availability().reason if current_platform.is_cuda() else XFormersStatus.NOT_ON_CUDA


# Named as vLLM's own: it tells models by the names of their classes.


class MistralForCausalLM(_ChecksWindows, mistral.MistralForCausalLM):
    """Mistral and Ministral, alone or as the decoder of a multimodal model."""


class LlamaForCausalLM(_ChecksWindows, llama.LlamaForCausalLM):
    """What vLLM runs for a Mistral that embeds."""


class MixtralForCausalLM(_ChecksWindows, mixtral.MixtralForCausalLM):
    """Mistral with experts."""
