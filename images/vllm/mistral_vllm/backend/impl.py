"""One layer: split-K where a window decodes, FlashAttention for everything else."""

from typing import Any

import torch
from vllm.v1.attention.backend import AttentionType
from vllm.v1.attention.backends.flash_attn import FlashAttentionImpl

from mistral_vllm.backend.builder import WindowDecode, XFormersMetadata
from mistral_vllm.backend.dispatch import FLASH_ATTN, XFORMERS_SPLIT_K, DecodeTable, as_json
from mistral_vllm.telling.facts import PENDING


class XFormersImpl(FlashAttentionImpl):
    """Attention of one layer.

    Raises
    ------
    NotImplementedError
        For what neither vLLM's validation nor this backend can serve.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.attn_type != AttentionType.DECODER or self.sinks is not None:
            raise NotImplementedError(
                "the XFORMERS backend serves decoders without attention sinks: use --attention-backend FLASH_ATTN"
            )
        # its own, never that of the metadata: one KV cache group may hold layers of either kind
        self.window_tokens: int | None = self.sliding_window[0] + 1 if self.sliding_window[0] >= 0 else None
        self.decode_table: DecodeTable | None = None  # set by the builder once the KV cache is there

    @property
    def can_split_k(self) -> bool:
        """Whether this layer has a window and nothing that split-K lacks."""
        return self.window_tokens is not None and self.alibi_slopes is None and not self.logits_soft_cap

    def forward(
        self,
        layer: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: XFormersMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Write (tokens, heads, head size) into ``output``; see FlashAttention's for the shapes."""
        decode = None if attn_metadata is None else attn_metadata.window_decode
        if decode is None or not self._decodes(decode) or output_scale is not None or output_block_scale is not None:
            done: torch.Tensor = super().forward(
                layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
            )
            return done
        decode.split_k.decode(
            query[: decode.num_seqs],
            kv_cache,
            decode.table,
            decode.parameters,
            self.scale,
            output[: decode.num_seqs].view(-1, self.num_heads, self.head_size),
        )
        return output

    def _decodes(self, decode: WindowDecode) -> bool:
        return self.can_split_k and self.window_tokens == decode.table.window_tokens

    def told(self) -> dict[str, Any]:
        """Return what this layer runs, as JSON."""
        told: dict[str, Any] = {"prefillKernel": FLASH_ATTN, "decodeKernel": FLASH_ATTN}
        told |= {"decodeTable": [], "decodeTableSource": None, "warnings": []}
        if not self.can_split_k:
            return told
        if self.decode_table is None:
            return told | {"decodeTableSource": PENDING}
        return told | {
            "decodeKernel": XFORMERS_SPLIT_K if self.decode_table.distinct() else FLASH_ATTN,
            "decodeTable": as_json(self.decode_table),
            "decodeTableSource": self.decode_table.source.value,
            "warnings": list(self.decode_table.warnings),
        }
