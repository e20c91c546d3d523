"""Once a step: FlashAttention's metadata, and for a decode step the window's part of the block table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from vllm.config import VllmConfig
from vllm.v1.attention.backend import AttentionCGSupport, CommonAttentionMetadata
from vllm.v1.attention.backends.flash_attn import FlashAttentionMetadata, FlashAttentionMetadataBuilder
from vllm.v1.kv_cache_interface import AttentionSpec

from mistral_vllm.backend.dispatch import DecodeTable, LaunchParameters
from mistral_vllm.backend.group import LayerGroup
from mistral_vllm.backend.preparation import Prepared, prepare
from mistral_vllm.backend.window_table import WindowTable

if TYPE_CHECKING:  # imports xFormers, and FlashAttention decodes where there is none
    from mistral_vllm.backend.split_k import SplitK


@dataclass(frozen=True, slots=True)
class WindowDecode:
    """One decode step of the layers that have this window."""

    num_seqs: int
    table: WindowTable
    parameters: LaunchParameters
    split_k: "SplitK"


@dataclass
class XFormersMetadata(FlashAttentionMetadata):
    """FlashAttention's, and how the window decodes; None where FlashAttention does all of it."""

    window_decode: WindowDecode | None = None


class XFormersMetadataBuilder(FlashAttentionMetadataBuilder):
    """Builds the metadata of one group of layers.

    Everything a CUDA graph reads stands in buffers made once: the window's table is filled in place. ``build`` copies
    nothing to the host.
    """

    # a table built for one group would be stale for the next: Ministral-8B has three of one kind
    supports_update_block_table = False

    def __init__(
        self, kv_cache_spec: AttentionSpec, layer_names: list[str], vllm_config: VllmConfig, device: torch.device
    ) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        self.window_tokens: int | None = getattr(kv_cache_spec, "sliding_window", None)
        if self.window_tokens is not None and self.dcp_world_size > 1:
            raise NotImplementedError(
                "sliding windows do not work with decode context parallelism: leave out --decode-context-parallel-size"
            )
        self.max_seqs = max(vllm_config.scheduler_config.max_num_seqs, self.max_cudagraph_size or 0)
        self._prepared = False
        self._prepared_decode: Prepared | None = None

    @classmethod
    def get_cudagraph_support(cls, vllm_config: VllmConfig, kv_cache_spec: AttentionSpec) -> AttentionCGSupport:
        """Full graphs for decode; FlashAttention's own where drafts make several tokens a step, or nothing slides."""
        if vllm_config.speculative_config is not None or getattr(kv_cache_spec, "sliding_window", None) is None:
            return super().get_cudagraph_support(vllm_config, kv_cache_spec)
        return AttentionCGSupport.UNIFORM_SINGLE_TOKEN_DECODE

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> XFormersMetadata:
        """Build one step's metadata; see FlashAttention's."""
        if not self._prepared:
            self._prepare()
        common, prepared = common_attn_metadata, self._prepared_decode
        parameters = None if prepared is None else self._split_k_for(common, prepared.decode_table)
        # the ahead-of-time schedule is FlashAttention's alone: for split-K nobody would read it
        metadata = self._flash_attn(common_prefix_len, common, fast_build=fast_build or parameters is not None)
        if prepared is not None and parameters is not None:
            prepared.window_table.fill(common.block_table_tensor, common.seq_lens, common.num_reqs)
            metadata.window_decode = WindowDecode(common.num_reqs, prepared.window_table, parameters, prepared.split_k)
        return metadata

    def use_cascade_attention(self, *args: Any, **kwargs: Any) -> bool:
        """Tell whether a common prefix is attended to once for all: not by windows, which it leaves behind."""
        return self.window_tokens is None and bool(super().use_cascade_attention(*args, **kwargs))

    def _split_k_for(self, common: CommonAttentionMetadata, table: DecodeTable) -> LaunchParameters | None:
        """Return how a step decodes by split-K; None where it is no plain decode step, or FlashAttention is faster."""
        one_token_each = common.max_query_len == 1 and common.num_actual_tokens == common.num_reqs
        if not one_token_each or common.causal is not True or common.num_reqs > self.max_seqs:
            return None
        return table.choose(common.num_reqs).split_k

    def _prepare(self) -> None:
        """Find the layers, once their KV cache is bound, and decide which kernels decode."""
        context = self.vllm_config.compilation_config.static_forward_context
        layers = tuple(context[name] for name in self.layer_names if name in context)
        if not layers or any(layer.kv_cache.numel() == 0 for layer in layers):
            return  # a dry run before there is a cache
        self._prepared = True
        self._set_ahead_of_time_window(layers)
        if self.window_tokens is not None:
            self._prepared_decode = prepare(self._group(layers, self.window_tokens))

    def _group(self, layers: tuple[Any, ...], window_tokens: int) -> LayerGroup:
        return LayerGroup(
            layers=layers,
            window_tokens=window_tokens,
            page_tokens=self.block_size,
            max_seqs=self.max_seqs,
            max_model_len_tokens=self.model_config.max_model_len,
            captured_sizes=tuple(self.compilation_config.cudagraph_capture_sizes or ()),
            full_cuda_graphs=self.use_full_cuda_graph,
            speculative=self.vllm_config.speculative_config is not None,
            device=self.device,
            flash_attn_metadata=lambda common: self._flash_attn(0, common, fast_build=False),
        )

    def _flash_attn(
        self, common_prefix_len: int, common: CommonAttentionMetadata, *, fast_build: bool
    ) -> XFormersMetadata:
        built = super().build(common_prefix_len, common, fast_build)
        metadata = XFormersMetadata(**vars(built))
        metadata.sliding_window = None  # each layer goes by its own, see XFormersImpl
        return metadata

    def _set_ahead_of_time_window(self, layers: tuple[Any, ...]) -> None:
        """Plan FlashAttention's work for this group's own window.

        Stock vLLM plans ahead only where all layers of a model are alike, because its builder does not look at its own.
        """
        windows = {layer.impl.sliding_window for layer in layers}
        if len(windows) == 1:
            self.aot_sliding_window = windows.pop()
        else:
            self.aot_sliding_window = (-1, -1)
            self.aot_schedule = False
