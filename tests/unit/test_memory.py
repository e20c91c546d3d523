"""One GPU's memory: vLLM's own grouping and reservation, as figures and as properties."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.planning.geometry import Geometry
from mistral_operator.planning.memory import KVGroups, MemoryPlan, estimate_working_bytes, group_layers, plan_memory
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout

F, S = LayerType.FULL, LayerType.SLIDING
GIB = 2**30
H200_BYTES = 141 * GIB
WEIGHTS_7B = 14_483_464_192


def layout_of(full: int, sliding: int, window: int = 4096) -> AttentionLayout:
    """Return a layout with that many layers of each kind."""
    return AttentionLayout(window if sliding else None, (F,) * full + (S,) * sliding, "a test")


def planned(
    layout: AttentionLayout,
    *,
    length: int = 32768,
    limit: int = 131072,
    kv_heads: int = 8,
    gpu_bytes: int = H200_BYTES,
    utilization: float = 0.92,
    weights: int = WEIGHTS_7B,
    gpus: int = 1,
    kv_dtype_bytes: int = 2,
    block: int = 64,
    batched: int = 8192,
    seqs: int = 1024,
    latent_rank: int = 0,
) -> MemoryPlan:
    """Plan a decoder with Mistral-7B's dimensions."""
    geometry = Geometry(
        len(layout.layers), 4096, 32, kv_heads, 128, 14336, 32000, limit, rope_scaled=False, latent_rank=latent_rank
    )
    return plan_memory(
        layout,
        geometry,
        gpu_bytes=gpu_bytes,
        utilization=utilization,
        weights_bytes=weights,
        tensor_parallel=gpus,
        dtype_bytes=2,
        kv_dtype_bytes=kv_dtype_bytes,
        block_size_tokens=block,
        max_model_len_tokens=length,
        max_num_batched_tokens=batched,
        max_num_seqs=seqs,
    )


@pytest.mark.parametrize(
    ("full", "sliding", "groups"),
    [
        pytest.param(9, 27, KVGroups(9, 1, 3), id="9 and 27: Ministral-8B"),
        pytest.param(10, 20, KVGroups(10, 1, 2), id="10 and 20: vLLM's own example"),
        pytest.param(12, 13, KVGroups(13, 1, 1), id="12 and 13: padded to the larger"),
        pytest.param(13, 12, KVGroups(13, 1, 1), id="13 and 12: gpt-oss with its drafter"),
        pytest.param(10, 14, KVGroups(14, 1, 1), id="10 and 14: just below half as many again"),
        pytest.param(10, 15, KVGroups(10, 1, 2), id="10 and 15: half as many again is not close"),
        pytest.param(15, 10, KVGroups(10, 2, 1), id="15 and 10"),
        pytest.param(20, 30, KVGroups(20, 1, 2), id="20 and 30: padded"),
        pytest.param(18, 18, KVGroups(18, 1, 1), id="18 and 18"),
        pytest.param(1, 1, KVGroups(1, 1, 1), id="1 and 1"),
        pytest.param(1, 7, KVGroups(1, 1, 7), id="1 and 7"),
        pytest.param(7, 1, KVGroups(1, 7, 1), id="7 and 1"),
        pytest.param(4, 22, KVGroups(4, 1, 6), id="4 and 22: Gemma 3, padded"),
        pytest.param(0, 32, KVGroups(32, 0, 1), id="all sliding"),
        pytest.param(40, 0, KVGroups(40, 1, 0), id="all full"),
    ],
)
def test_groups(full: int, sliding: int, groups: KVGroups) -> None:
    """Layers group as in vLLM: by the rarer kind, or by the other where there are less than half as many again."""
    assert group_layers(layout_of(full, sliding)) == groups
    assert groups.count == groups.full_groups + groups.sliding_groups


@pytest.mark.parametrize(
    ("window", "batched", "length", "block", "tokens", "blocks"),
    [
        pytest.param(4096, 8192, 32768, 64, 20_479, 321, id="H200: 20,479 tokens, not 4,096"),
        pytest.param(4096, 8192, 32768, 16, 20_479, 1281, id="H200, blocks of 16"),
        pytest.param(4096, 2048, 32768, 16, 8191, 513, id="below 70 GiB"),
        pytest.param(4096, 2048, 8191, 16, 8191, 513, id="the longest sequence is as long"),
        pytest.param(4096, 2048, 8000, 16, 8000, 501, id="the longest sequence is shorter"),
        pytest.param(1, 8, 32768, 16, 16, 2, id="a window of the token itself, in one full block"),
        pytest.param(2, 8, 32768, 16, 17, 3, id="one token more"),
    ],
)
def test_what_a_sliding_layer_reserves(
    window: int, batched: int, length: int, block: int, tokens: int, blocks: int
) -> None:
    """A sliding layer reserves its window and two batches in flight, and one block more for where it starts."""
    cache = planned(layout_of(0, 32, window), length=length, block=block, batched=batched).kv_cache
    assert (cache.sliding_tokens_per_request, cache.blocks_per_request) == (tokens, blocks)


@pytest.mark.parametrize(
    ("full", "sliding", "blocks"),
    [
        pytest.param(32, 0, 512, id="all full: each token"),
        pytest.param(0, 32, 321, id="all sliding"),
        pytest.param(9, 27, 512 + 3 * 321, id="one full group and three sliding"),
        pytest.param(12, 13, 512 + 321, id="one group each, padded"),
        pytest.param(20, 10, 2 * 512 + 321, id="two full groups and one sliding"),
    ],
)
def test_blocks_of_one_sequence(full: int, sliding: int, blocks: int) -> None:
    """Every group reserves blocks of its own kind."""
    assert planned(layout_of(full, sliding)).kv_cache.blocks_per_request == blocks


def test_mistral_7b_on_an_h200() -> None:
    """The whole plan of the best known model, number by number."""
    memory = planned(layout_of(0, 32))
    activations = 8192 * (3 * 14336 + 4 * 4096) * 2
    assert memory.total_bytes == H200_BYTES
    assert memory.usable_bytes == int(H200_BYTES * 0.92)
    assert memory.weights_bytes == WEIGHTS_7B
    assert memory.working_bytes == activations + GIB
    assert memory.kv_cache_bytes == memory.usable_bytes - memory.weights_bytes - memory.working_bytes
    cache = memory.kv_cache
    assert cache.bytes_per_token == 128 * 1024
    assert cache.blocks == memory.kv_cache_bytes // (64 * 128 * 1024)
    assert cache.concurrent_sequences == pytest.approx(cache.blocks / 321)
    assert cache.tokens == int(cache.blocks / 321 * 32768)
    assert memory.fits
    assert memory.largest_max_model_len_tokens == 131072


def test_too_small_a_gpu() -> None:
    """Where weights alone do not fit nothing is left, nothing fits, and nothing is negative."""
    memory = planned(layout_of(0, 32), gpu_bytes=8 * GIB)
    cache = memory.kv_cache
    assert (memory.kv_cache_bytes, cache.blocks, cache.tokens, cache.concurrent_sequences) == (0, 0, 0, 0)
    assert (memory.fits, memory.largest_max_model_len_tokens) == (False, 0)


def test_latent_attention_is_one_vector_on_every_gpu() -> None:
    """MLA keeps one latent vector a token, which tensor parallelism does not divide."""
    sizes = [planned(layout_of(32, 0), latent_rank=576, gpus=gpus).kv_cache.bytes_per_token for gpus in (1, 8)]
    assert sizes == [32 * 576 * 2] * 2


@pytest.mark.parametrize(
    ("gpus", "batched", "seqs", "widest"),
    [
        pytest.param(1, 8192, 1024, 8192 * (3 * 14336 + 4 * 4096) * 2, id="activations"),
        pytest.param(2, 8192, 1024, 8192 * (3 * 7168 + 4 * 4096) * 2, id="the MLP is shared"),
        pytest.param(1, 1, 1024, 2 * 1024 * 32000 * 4, id="the sampler's logits"),
    ],
)
def test_working_memory(gpus: int, batched: int, seqs: int, widest: int) -> None:
    """Working memory is the wider of activations and logits, and a fixed gibibyte."""
    geometry = Geometry(32, 4096, 32, 8, 128, 14336, 32000, 32768, rope_scaled=False)
    assert widest + GIB == estimate_working_bytes(
        geometry, tensor_parallel=gpus, dtype_bytes=2, max_num_batched_tokens=batched, max_num_seqs=seqs
    )


kinds = st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(any)
windows = st.integers(1, 70_000)
lengths = st.integers(1, 200_000)
blocks_of = st.sampled_from([1, 16, 32, 64, 128])
batches = st.integers(1, 20_000)
gpu_sizes = st.integers(14, 141).map(lambda size: size * GIB)


@given(kinds, windows, lengths, lengths, blocks_of, batches)
def test_longer_never_needs_less(
    layers: tuple[int, int], window: int, one: int, other: int, block: int, batched: int
) -> None:
    """A longer max_model_len never needs fewer blocks."""
    shorter, longer = sorted((one, other))
    layout = layout_of(*layers, window)
    needed = [
        planned(layout, length=length, block=block, batched=batched).kv_cache.blocks_per_request
        for length in (shorter, longer)
    ]
    assert 0 < needed[0] <= needed[1]


@given(kinds, windows, lengths, st.integers(1, 400_000), blocks_of, batches, gpu_sizes)
def test_largest_fits_and_one_more_does_not(
    layers: tuple[int, int], window: int, length: int, limit: int, block: int, batched: int, gpu_bytes: int
) -> None:
    """The largest max_model_len fits; one token more does not, or is beyond the config's limit."""
    layout = layout_of(*layers, window)

    def at(tokens: int) -> MemoryPlan:
        return planned(layout, length=tokens, limit=limit, block=block, batched=batched, gpu_bytes=gpu_bytes)

    largest = at(length).largest_max_model_len_tokens
    assert 0 <= largest <= max(limit, length)
    assert largest == 0 or at(largest).fits
    assert largest == max(limit, length) or not at(largest + 1).fits


@given(kinds.filter(all), windows, lengths, blocks_of, batches)
def test_interleaving_never_needs_much_more(
    layers: tuple[int, int], window: int, length: int, block: int, batched: int
) -> None:
    """Sliding groups need at most one block each more than if they were full."""
    layout = layout_of(*layers, window)
    groups = group_layers(layout)
    needed = planned(layout, length=length, block=block, batched=batched).kv_cache.blocks_per_request
    all_full = math.ceil(length / block) * groups.count
    assert needed <= all_full + groups.sliding_groups


@given(kinds, st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4, 8]))
def test_fp8_halves_and_tensor_parallelism_divides(layers: tuple[int, int], gpus: int, kv_heads: int) -> None:
    """An fp8 cache takes half the bytes; GPUs share KV heads down to one each, and weights."""
    layout = layout_of(*layers)
    plain = planned(layout, kv_heads=kv_heads)
    fp8 = planned(layout, kv_heads=kv_heads, kv_dtype_bytes=1)
    shared = planned(layout, kv_heads=kv_heads, gpus=gpus)
    assert fp8.kv_cache.bytes_per_token * 2 == plain.kv_cache.bytes_per_token
    assert fp8.kv_cache.blocks // 2 == plain.kv_cache.blocks
    assert shared.kv_cache.bytes_per_token * min(gpus, kv_heads) == plain.kv_cache.bytes_per_token
    assert shared.weights_bytes == math.ceil(WEIGHTS_7B / gpus)
    assert shared.working_bytes <= plain.working_bytes


@given(kinds, windows, lengths, blocks_of, batches, gpu_sizes)
def test_tokens_are_concurrency_times_length(
    layers: tuple[int, int], window: int, length: int, block: int, batched: int, gpu_bytes: int
) -> None:
    """Tokens are what vLLM logs, int(concurrency * max_model_len), to the token its floats may lose."""
    cache = planned(
        layout_of(*layers, window), length=length, block=block, batched=batched, gpu_bytes=gpu_bytes
    ).kv_cache
    exact = Fraction(cache.blocks, cache.blocks_per_request) * length
    assert cache.tokens == math.floor(exact)
    assert abs(cache.tokens - int(cache.blocks / cache.blocks_per_request * length)) <= 1


@given(kinds, windows, blocks_of, gpu_sizes, st.integers(0, 10**13), st.sampled_from([1, 2, 4, 8]))
def test_the_parts_never_exceed_the_gpu(
    layers: tuple[int, int], window: int, block: int, gpu_bytes: int, weights: int, gpus: int
) -> None:
    """A plan that fits takes no more than vLLM may, and its cache no more than is left."""
    memory = planned(layout_of(*layers, window), block=block, gpu_bytes=gpu_bytes, weights=weights, gpus=gpus)
    per_block = (
        block * memory.kv_cache.bytes_per_token // sum(layers) * group_layers(layout_of(*layers)).layers_per_group
    )
    assert memory.kv_cache.blocks * per_block <= memory.kv_cache_bytes
    assert memory.fits == (memory.kv_cache.blocks >= memory.kv_cache.blocks_per_request)
    if memory.fits:
        assert memory.weights_bytes + memory.working_bytes + memory.kv_cache_bytes <= memory.usable_bytes <= gpu_bytes
