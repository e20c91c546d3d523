"""xFormers' split-K kernel, launched over vLLM's packed KV cache and straight into vLLM's output.

``xformers.ops.fmha.triton_splitk.FwOp`` allocates its result and fixes the launch parameters for a whole class, so its
two kernels are launched here. Read in xFormers 0.0.35; :data:`~mistral_vllm.backend.availability.TESTED_XFORMERS`.

The cache is read in place: in NHD layout a token's keys of all heads stand before its values' of the next token at one
uniform stride, so that (page, token) is one index. In HND it is not, and neither where pages are padded.
"""

from typing import Final

import torch
import triton
from xformers.ops.fmha._triton.splitk_kernels import _get_splitk_kernel, _splitK_reduce

from mistral_vllm.backend.dispatch import LaunchParameters
from mistral_vllm.backend.window_table import WindowTable

HEAD_SIZES: Final = frozenset({16, 32, 64, 128})
_BLOCK_TOKENS: Final = 64


def reads_in_place(kv_cache: torch.Tensor) -> bool:
    """Tell whether a cache (blocks, KV heads, page, 2 x head size) has one stride for all tokens."""
    blocks, _, page, _ = kv_cache.stride()
    return bool(blocks == page * kv_cache.shape[2] and kv_cache.stride(3) == 1)


class SplitK:
    """Windowed decode: one query token a sequence.

    Parameters
    ----------
    most_splits
        The largest batch x splits that will be asked for; the workspace is sized for it.
    """

    def __init__(
        self, num_heads: int, num_kv_heads: int, head_size: int, most_splits: int, device: torch.device
    ) -> None:
        self._kv_heads = num_kv_heads
        self._group = num_heads // num_kv_heads
        self._head_size = head_size
        self._block_m = min(64, triton.next_power_of_2(max(16, self._group)))
        self._kernel = _get_splitk_kernel(1)  # no quantisation
        rows = max(most_splits, 1) * num_heads
        self._partial = torch.empty((rows, head_size), dtype=torch.float32, device=device)
        self._partial_lse = torch.empty(rows, dtype=torch.float32, device=device)

    def decode(
        self,
        query: torch.Tensor,
        kv_cache: torch.Tensor,
        table: WindowTable,
        parameters: LaunchParameters,
        scale: float,
        output: torch.Tensor,
    ) -> None:
        """Attend from one token per sequence to its window.

        Parameters
        ----------
        query, output
            (sequences, heads, head size), any strides with a contiguous last dimension.
        kv_cache
            (blocks, KV heads, page, 2 x head size), keys before values; see :func:`reads_in_place`.
        """
        batch, group, kv_heads, size = query.shape[0], self._group, self._kv_heads, self._head_size
        splits = parameters.split_k
        values = kv_cache[..., size:]
        tokens = table.pages * table.page_tokens
        if splits == 1:
            partial, lse = output, None
            osk_z, osk_g, osk_s, osk_m = output.stride(0), group * output.stride(1), 0, output.stride(1)
        else:
            partial, lse = self._partial, self._partial_lse
            osk_z, osk_g, osk_s, osk_m = (n * size for n in (kv_heads * splits * group, splits * group, group, 1))
        partial_strides = {
            "stride_osk_z": osk_z, "stride_osk_g": osk_g, "stride_osk_h": 0,
            "stride_osk_s": osk_s, "stride_osk_m": osk_m, "stride_osk_k": 1,
            "stride_lsek_z": kv_heads * splits * group, "stride_lsek_g": splits * group, "stride_lsek_h": 0,
            "stride_lsek_s": group, "stride_lsek_m": 1,
        }  # fmt: skip
        self._kernel[(triton.cdiv(group, self._block_m), batch * kv_heads, splits)](
            Q=query,
            K=kv_cache,
            V=values,
            sm_scale=scale,
            Out_splitK=partial,
            LSE_splitk=lse,
            block_tables=table.blocks,
            Seq_len=table.ends,
            Seq_starts_k=table.starts,
            Seq_starts_q=None,
            Seq_starts_q_multiplier=None,
            additive_bias=None,
            K_fp8_scale_shift=None,
            V_fp8_scale_shift=None,
            # one head of `group` queries for each KV head: a query head is a row
            stride_qz=query.stride(0),
            stride_qm=query.stride(1),
            stride_qg=group * query.stride(1),
            stride_qh=0,
            stride_qk=1,
            stride_kz=0,
            stride_kn=kv_cache.stride(2),
            stride_kg=kv_cache.stride(1),
            stride_kh=0,
            stride_kk=1,
            stride_vz=0,
            stride_vn=kv_cache.stride(2),
            stride_vg=kv_cache.stride(1),
            stride_vh=0,
            stride_vk=1,
            **partial_strides,
            stride_blocktablesz=table.blocks.stride(0),
            stride_blocktablesl=1,
            **_NO_BIAS,
            **_NO_FP8,
            # compile-time constants that the kernel declares and does not read when paged: kept equal, or each batch
            # size would be compiled anew
            kv_cache_blocks_per_row=0,
            Z=0,
            N_CTX_Q=group,
            N_CTX_K=tokens,
            BLOCK_N_PER_SPLIT=triton.cdiv(tokens, splits),
            H=1,
            G=kv_heads,
            BLOCK_DMODEL=size,
            USE_SEQ_LEN=True,
            PACKED_PER_VAL=1,
            N_GROUPS=1,
            BLOCK_M=self._block_m,
            BLOCK_N=_BLOCK_TOKENS,
            IS_SPLITK=splits > 1,
            SPLIT_K_EARLY_EXIT=False,
            IS_CAUSAL=False,
            IS_LOCAL=False,
            NUM_QUERIES_CAUSAL=1,
            USE_PAGED_ATTENTION=True,
            PAGE_SIZE=table.page_tokens,
            WINDOW_LEFT=-1,
            WINDOW_RIGHT=-1,
            WRITE_LSE=splits > 1,
            HAS_ADDITIVE_BIAS=False,
            NUM_PROGRAMS_DIM2_CONST=splits,
            IS_HIP=False,
            num_warps=parameters.num_warps,
            num_stages=parameters.num_stages,
        )
        if splits == 1:
            return
        _splitK_reduce[(group, batch * kv_heads, 1)](
            partial,
            lse,
            output,
            None,
            split_k=splits,
            splitK_pow2=triton.next_power_of_2(splits),
            **partial_strides,
            stride_oz=output.stride(0),
            stride_og=group * output.stride(1),
            stride_oh=0,
            stride_om=output.stride(1),
            stride_ok=1,
            stride_lse_z=None,
            stride_lse_g=None,
            stride_lse_h=None,
            stride_lse_m=None,
            head_dim=size,
            head_dim_pow_2=size,
            H=1,
            G=kv_heads,
            WRITE_LSE=False,
            num_warps=4 if batch * kv_heads < 32 else 2,
        )


_NO_BIAS: Final = {f"stride_bias_{name}": None for name in ("b", "g", "h", "qm", "km")}
_NO_FP8: Final = {f"stride_{x}_fp8_scale_shift_{name}": None for x in "kv" for name in "zngh"}
