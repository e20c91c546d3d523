"""vLLM's own batch sizes: they differ by GPU, so that a plan says them aloud and counts with them."""

from dataclasses import replace
from typing import Final

from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import Platform

_LARGE_GPU_BYTES: Final = 70 * 2**30


def with_batch_defaults(request: PlanRequest) -> PlanRequest:
    """Fill batch sizes with vLLM's own defaults (engine/arg_utils.py): plan and engine agree once they are said.

    From 70 GiB on, A100 apart, vLLM serves 1024 sequences in batches of 8192 tokens; else 256 in 2048, and 128 on the
    CPU. An A100 without a product label is told by its compute capability, 8.0, which only it and its kin have.
    """
    gpu, on_cuda = request.gpu, request.runtime.platform is Platform.CUDA
    is_a100 = "A100" in (gpu.product or "").upper() or gpu.compute_capability == (8, 0)
    large = on_cuda and (gpu.memory_bytes or 0) >= _LARGE_GPU_BYTES and not is_a100
    tokens = request.max_num_batched_tokens or (8192 if large else 2048)
    seqs = request.max_num_seqs or min(tokens, 1024 if large else 256 if on_cuda else 128)
    return replace(request, max_num_seqs=seqs, max_num_batched_tokens=tokens)
