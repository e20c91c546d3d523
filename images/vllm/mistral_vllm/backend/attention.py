"""The backend as vLLM sees it: FlashAttention's KV cache, the window in every phase, and a list of what it declines.

Subclassing FlashAttention inherits claims that do not hold here, so each is answered anew (vLLM 0.26.0,
``v1/attention/backends/flash_attn.py``).
"""

from typing import ClassVar

from vllm.v1.attention.backend import AttentionType
from vllm.v1.attention.backends.flash_attn import FlashAttentionBackend

from mistral_vllm.backend.builder import XFormersMetadataBuilder
from mistral_vllm.backend.impl import XFormersImpl

PAGE_TOKENS = 64  # split-K reads pages in steps of 64 keys


class XFormersBackend(FlashAttentionBackend):
    """XFORMERS: prefill by FlashAttention, windowed decode by xFormers' split-K, one KV cache."""

    supported_kv_cache_dtypes: ClassVar[list[str]] = ["auto", "float16", "bfloat16"]

    @staticmethod
    def get_name() -> str:
        """Return the member of vLLM's enumeration that plugins may take."""
        return "CUSTOM"

    @staticmethod
    def get_impl_cls() -> type[XFormersImpl]:
        """Return what runs in each layer."""
        return XFormersImpl

    @staticmethod
    def get_builder_cls() -> type[XFormersMetadataBuilder]:
        """Return what runs once a step."""
        return XFormersMetadataBuilder

    @staticmethod
    def get_supported_kernel_block_sizes() -> list[int]:
        """Return the page size that split-K takes, in tokens; vLLM's own blocks may be multiples."""
        return [PAGE_TOKENS]

    @classmethod
    def supports_head_size(cls, head_size: int) -> bool:
        """Take FlashAttention's head sizes; those that split-K lacks decode with FlashAttention.

        Not above 128: at 256, FlashAttention 3 of vLLM 0.26 gets a chunk of prefill with a window wrong (relative error
        0.5, ``tests/gpu/test_declined.py``).
        """
        return head_size % 8 == 0 and head_size <= 128

    @classmethod
    def supports_kv_cache_dtype(cls, kv_cache_dtype: str | None) -> bool:
        """No fp8: split-K would read it as the model's own type."""
        return kv_cache_dtype is None or kv_cache_dtype in cls.supported_kv_cache_dtypes

    @classmethod
    def supports_attn_type(cls, attn_type: str) -> bool:
        """Serve decoders only."""
        return bool(attn_type == AttentionType.DECODER)

    @classmethod
    def supports_batch_invariance(cls) -> bool:
        """No: how a row is split depends on how many there are."""
        return False

    @classmethod
    def supports_non_causal(cls) -> bool:
        """No: a window looks back only."""
        return False

    @classmethod
    def supports_sink(cls) -> bool:
        """No: split-K knows no sinks."""
        return False

    @classmethod
    def supports_mm_prefix(cls) -> bool:
        """No: a window looks back only."""
        return False

    @classmethod
    def supports_per_head_quant_scales(cls) -> bool:
        """No: see :meth:`supports_kv_cache_dtype`."""
        return False

    @classmethod
    def supports_kv_connector(cls) -> bool:
        """No: connectors ask for the HND layout, or merge windowed layers with full ones."""
        return False
