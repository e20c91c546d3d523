"""A group of layers that decode alike, as vLLM built it: what deciding and measuring need to know of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from vllm.v1.attention.backend import CommonAttentionMetadata
from vllm.v1.attention.backends.flash_attn import FlashAttentionMetadata

from mistral_vllm.backend.dispatch import sizes_to_measure


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers with one window, their KV cache bound.

    Attributes
    ----------
    layers
        vLLM's attention layers.
    captured_sizes
        Batch sizes that CUDA graphs are captured for.
    flash_attn_metadata
        Builds FlashAttention's own metadata of a step.
    """

    layers: tuple[Any, ...]
    window_tokens: int
    page_tokens: int
    max_seqs: int
    max_model_len_tokens: int
    captured_sizes: tuple[int, ...]
    full_cuda_graphs: bool
    speculative: bool
    device: torch.device
    flash_attn_metadata: Callable[[CommonAttentionMetadata], FlashAttentionMetadata]

    def windowed(self) -> "LayerGroup":
        """Return the group without the layers that split-K never decodes: those without a window among them."""
        return replace(self, layers=tuple(layer for layer in self.layers if layer.impl.can_split_k))

    @property
    def first(self) -> Any:
        """The first layer's implementation: heads and sizes are those of all."""
        return self.layers[0].impl

    @property
    def dtype(self) -> torch.dtype:
        """Of the KV cache, and of queries."""
        return self.layers[0].kv_cache.dtype

    @property
    def sizes(self) -> tuple[int, ...]:
        """Batch sizes that get a choice of their own."""
        return sizes_to_measure(self.captured_sizes, self.max_seqs)
