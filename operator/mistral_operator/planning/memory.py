"""What one GPU's memory holds: weights, working memory, and the KV cache as vLLM 0.26 reserves and groups it.

The KV arithmetic follows ``v1/core/kv_cache_utils.py`` and ``v1/kv_cache_interface.py``. Working memory (activations,
CUDA graphs, the CUDA context) is an estimate: vLLM itself measures it at start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mistral_operator.planning.geometry import Geometry
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout

CONCURRENT_BATCHES: Final = 2  # async scheduling keeps two batches in flight
KEPT_BACK: Final = 0.05
"""Share of the KV cache that a length chosen for the user leaves over: working memory is an estimate."""
_CUDA_CONTEXT_BYTES: Final = 512 * 2**20
_CUDA_GRAPHS_BYTES: Final = 512 * 2**20


@dataclass(frozen=True, slots=True)
class KVGroups:
    """vLLM's KV cache groups: layers of one kind share a block table, and every group has as many slots."""

    layers_per_group: int
    full_groups: int
    sliding_groups: int

    @property
    def count(self) -> int:
        """Number of groups."""
        return self.full_groups + self.sliding_groups


@dataclass(frozen=True, slots=True)
class KVCachePlan:
    """The KV cache of one GPU. Tokens are vLLM's own figure: concurrency times the longest sequence."""

    bytes_per_token: int  # all layers, one GPU
    block_size_tokens: int
    blocks: int
    blocks_per_request: int  # reserved for one sequence of max_model_len
    sliding_tokens_per_request: int  # what one sliding layer reserves for it; 0 without sliding layers
    tokens: int
    concurrent_sequences: float


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """One GPU's memory in bytes; ``total`` is the card's, ``usable`` what vLLM may take of it."""

    total_bytes: int
    usable_bytes: int
    weights_bytes: int
    working_bytes: int
    kv_cache_bytes: int
    kv_cache: KVCachePlan
    fits: bool
    largest_max_model_len_tokens: int  # 0 when nothing fits
    advised_max_model_len_tokens: int  # whole blocks, with KEPT_BACK of the cache left over; 0 when nothing fits


def group_layers(layout: AttentionLayout) -> KVGroups:
    """Group layers as vLLM does: as many layers a group as the rarer kind has, or as the other where they are close."""
    counts = [count for count in (layout.full, layout.sliding) if count]
    smallest, largest = min(counts), max(counts)
    size = largest if largest < smallest * 1.5 else smallest
    return KVGroups(size, _ceil_div(layout.full, size), _ceil_div(layout.sliding, size))


def plan_memory(
    layout: AttentionLayout,
    geometry: Geometry,
    *,
    gpu_bytes: int,
    utilization: float,
    weights_bytes: int,
    tensor_parallel: int,
    dtype_bytes: int,
    kv_dtype_bytes: int,
    block_size_tokens: int,
    max_model_len_tokens: int,
    max_num_batched_tokens: int,
    max_num_seqs: int,
) -> MemoryPlan:
    """Lay out one GPU's memory.

    ``weights_bytes`` is the whole model's; every other size is one GPU's.
    """
    usable = int(gpu_bytes * utilization)
    weights = _ceil_div(weights_bytes, tensor_parallel)
    working = estimate_working_bytes(
        geometry,
        tensor_parallel=tensor_parallel,
        dtype_bytes=dtype_bytes,
        max_num_batched_tokens=max_num_batched_tokens,
        max_num_seqs=max_num_seqs,
    )
    available = max(0, usable - weights - working)
    token_layer_bytes = geometry.kv_elements_per_token(tensor_parallel) * kv_dtype_bytes
    groups = group_layers(layout)
    blocks = available // (block_size_tokens * token_layer_bytes * groups.layers_per_group)

    def per_request(length: int) -> tuple[int, int]:
        return _blocks_per_request(layout, groups, length, block_size_tokens, max_num_batched_tokens)

    def longest(within: float) -> int:
        limit = max(geometry.max_model_len_tokens, max_model_len_tokens)
        return _largest(limit, lambda length: per_request(length)[0] <= within)

    needed, sliding_tokens = per_request(max_model_len_tokens)
    concurrency = blocks / needed
    return MemoryPlan(
        total_bytes=gpu_bytes,
        usable_bytes=usable,
        weights_bytes=weights,
        working_bytes=working,
        kv_cache_bytes=available,
        kv_cache=KVCachePlan(
            bytes_per_token=token_layer_bytes * geometry.layers,
            block_size_tokens=block_size_tokens,
            blocks=blocks,
            blocks_per_request=needed,
            sliding_tokens_per_request=sliding_tokens,
            tokens=blocks * max_model_len_tokens // needed,
            concurrent_sequences=concurrency,
        ),
        fits=blocks >= needed,
        largest_max_model_len_tokens=longest(blocks),
        advised_max_model_len_tokens=longest(blocks * (1 - KEPT_BACK)) // block_size_tokens * block_size_tokens,
    )


def estimate_working_bytes(
    geometry: Geometry, *, tensor_parallel: int, dtype_bytes: int, max_num_batched_tokens: int, max_num_seqs: int
) -> int:
    """Estimate what vLLM needs beside weights and KV cache, in bytes.

    The widest point of a decoder layer is its MLP: gate and up together, their product, and the residual stream with
    its normalised copy. The sampler's warm-up holds float32 logits twice. Context and graphs are fixed sums.
    """
    per_token = 3 * _ceil_div(geometry.intermediate_size, tensor_parallel) + 4 * geometry.hidden_size
    activations = max_num_batched_tokens * per_token * dtype_bytes
    sampler = 2 * max_num_seqs * geometry.vocab_size * 4
    return max(activations, sampler) + _CUDA_CONTEXT_BYTES + _CUDA_GRAPHS_BYTES


def _blocks_per_request(
    layout: AttentionLayout, groups: KVGroups, length_tokens: int, block_size_tokens: int, max_num_batched_tokens: int
) -> tuple[int, int]:
    """Return blocks over all groups, and tokens one sliding layer reserves."""
    full_blocks = _ceil_div(length_tokens, block_size_tokens)
    if LayerType.SLIDING not in layout.layers or layout.window_tokens is None:
        return full_blocks * groups.count, 0
    in_flight = CONCURRENT_BATCHES * max_num_batched_tokens
    sliding_tokens = min(layout.window_tokens - 1 + in_flight, length_tokens)
    sliding_blocks = _ceil_div(sliding_tokens, block_size_tokens) + 1  # a window may start inside a block
    return full_blocks * groups.full_groups + sliding_blocks * groups.sliding_groups, sliding_tokens


def _largest(limit: int, fits: Callable[[int], bool]) -> int:
    """Return the largest length up to ``limit`` that fits; longer never needs less."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _ceil_div(amount: int, unit: int) -> int:
    return -(-amount // unit)
