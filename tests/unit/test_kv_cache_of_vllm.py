"""The KV cache plan against figures that vLLM 0.26.0's own kv_cache_utils gave for the same layouts."""

import pytest

from mistral_operator.planning.geometry import Geometry
from mistral_operator.planning.memory import MemoryPlan, group_layers, plan_memory
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout

F, S = LayerType.FULL, LayerType.SLIDING


def plan(
    layout: AttentionLayout, kv_heads: int, head_size: int, length: int, block: int, batch: int, kv: int
) -> MemoryPlan:
    """Plan a GPU that has exactly ``kv`` bytes left for the cache."""
    geometry = Geometry(len(layout.layers), 4096, 32, kv_heads, head_size, 1, 1, length, rope_scaled=False)

    def with_memory(gpu_bytes: int) -> MemoryPlan:
        return plan_memory(
            layout,
            geometry,
            gpu_bytes=gpu_bytes,
            utilization=1.0,
            weights_bytes=0,
            tensor_parallel=1,
            dtype_bytes=2,
            kv_dtype_bytes=2,
            block_size_tokens=block,
            max_model_len_tokens=length,
            max_num_batched_tokens=batch,
            max_num_seqs=1,
        )

    return with_memory(kv + with_memory(kv).working_bytes)


# layers, window, KV heads, head size, max_model_len, block size, max_num_batched_tokens, GiB for the cache
#   -> KV cache groups, num_gpu_blocks, kv_cache_size_tokens
@pytest.mark.parametrize(
    ("layers", "window", "heads", "size", "length", "block", "batch", "gib", "groups", "blocks", "tokens"),
    [
        pytest.param([S] * 32, 4096, 8, 128, 32768, 64, 8192, 58.2, 1, 7449, 760401, id="Mistral-7B-v0.1"),
        pytest.param([S] * 32, 4096, 8, 128, 32768, 64, 8192, 1, 1, 128, 13066, id="Mistral-7B-v0.1, tight"),
        pytest.param([F] * 40, None, 8, 128, 131072, 16, 8192, 58.2, 1, 23838, 381408, id="Mistral-Nemo"),
        pytest.param([F, S, S, S] * 9, 32768, 8, 128, 131072, 64, 8192, 58.2, 4, 26487, 797176, id="Ministral-8B"),
        pytest.param([F] * 12 + [S] * 13, 4096, 8, 128, 32768, 64, 2048, 58.2, 2, 18337, 937389, id="12 and 13"),
        pytest.param([F] * 20 + [S] * 30, 4096, 8, 64, 16384, 16, 2048, 7.3, 3, 11960, 95586, id="20 and 30"),
        pytest.param([F] + [S] * 7, 512, 2, 128, 8192, 16, 2048, 7.3, 8, 478412, 1546016, id="1 and 7"),
        pytest.param([F] * 7 + [S], 512, 2, 128, 8192, 16, 2048, 1, 8, 65536, 138618, id="7 and 1"),
        pytest.param([S] * 12, 32, 8, 32, 32768, 64, 8192, 7.3, 1, 9966, 1265759, id="TinyMistral"),
        pytest.param([F] * 10 + [S] * 14, 100, 4, 128, 9999, 64, 1000, 58.2, 2, 34055, 1782805, id="10 and 14"),
    ],
)
def test_same_blocks_and_tokens(
    layers: list[LayerType],
    window: int | None,
    heads: int,
    size: int,
    length: int,
    block: int,
    batch: int,
    gib: float,
    groups: int,
    blocks: int,
    tokens: int,
) -> None:
    """Groups, blocks and tokens are vLLM's own, to the block."""
    layout = AttentionLayout(window, tuple(layers), "a test")
    cache = plan(layout, heads, size, length, block, batch, int(gib * 2**30)).kv_cache
    assert (group_layers(layout).count, cache.blocks, cache.tokens) == (groups, blocks, tokens)
