"""The window in every phase: lengths around the window, around pages and around chunks; both types; head counts."""

from dataclasses import replace
from typing import Any, Final

import pytest

from bench.attention.batch import Batch
from bench.attention.geometry import Geometry
from bench.attention.scheduling import Request, decodes
from gpu.conftest import Check, Layers

WINDOWS: Final = (1, 16, 100, 4096)
# The second shows how exact the harness can be at all
BACKENDS: Final = ("XFORMERS", "FLASH_ATTN")
SMALL: Final = Geometry(query_heads=8, kv_heads=2)


def lengths(window: int) -> list[int]:
    """Lengths in tokens on either side of the window, of pages of 64, of a chunk of 2,048, and of their sums."""
    edges = (1, 16, 64, 128, 2048, window, window + 64, 2 * window, 2 * window + 64, 3 * window)
    return sorted({edge + step for edge in edges for step in (-1, 0, 1) if edge + step > 0})


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest, on_cpu: bool) -> int:
    """Return each window, in tokens."""
    if on_cpu and request.param > 100:
        pytest.skip("a float32 reference of this size takes minutes on a CPU")
    return int(request.param)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_decode(layers: Layers, check: Check, backend: str, dtype: str, window: int) -> None:
    """One new token attends to itself and the window before it, at every length."""
    (group,) = layers(backend, Geometry(8, 2, 128, dtype), [window])
    batch = Batch(group, decodes(*lengths(window)))
    batch.fill_caches()
    check(batch, batch.forward())


@pytest.mark.parametrize("backend", BACKENDS)
def test_prefill(layers: Layers, check: Check, backend: str, window: int) -> None:
    """Whole prompts attend within the window, at every length."""
    (group,) = layers(backend, SMALL, [window])
    batch = Batch(group, [Request(tokens, tokens) for tokens in lengths(window)])
    batch.fill_caches()
    check(batch, batch.forward())


@pytest.mark.parametrize("chunk", [2, 63, 64, 65, 512])
def test_a_chunk_attends_to_cached_context(layers: Layers, check: Check, window: int, chunk: int) -> None:
    """Chunks of a prompt attend to what earlier chunks left in the cache, as far as the window reaches."""
    (group,) = layers("XFORMERS", SMALL, [window])
    batch = Batch(group, [Request(min(chunk, tokens), tokens) for tokens in lengths(window)])
    batch.fill_caches()
    check(batch, batch.forward())


def test_requests_share_pages(layers: Layers, check: Check, window: int) -> None:
    """A hit in the prefix cache gives several requests the same pages."""
    (group,) = layers("XFORMERS", SMALL, [window])
    first = Request(1, 2 * window + 130)
    for new in (1, 70):
        others = [Request(new, 2 * window + 130 + extra, prefix_of=0) for extra in (new, 64, 100)]
        batch = Batch(group, [first, *others])
        batch.fill_caches()
        check(batch, batch.forward())


@pytest.mark.parametrize(
    "geometry",
    [
        pytest.param(Geometry(query_heads, kv_heads, head_size), id=f"{query_heads}-{kv_heads}-{head_size}")
        for query_heads, kv_heads, head_size in (
            (8, 8, 128), (32, 8, 128), (16, 2, 128), (16, 1, 128), (32, 1, 128), (8, 2, 64), (8, 2, 32)
        )
    ],
)  # fmt: skip
def test_heads_that_split_k_has(layers: Layers, check: Check, geometry: Geometry, on_cpu: bool) -> None:
    """Any number of query heads to a KV head, even above 16, and one KV head alone as under tensor parallelism."""
    (group,) = layers("XFORMERS", geometry, [100])
    _decode_and_prefill(group, check)
    assert on_cpu or group.told["decodeKernel"] == "xformers_splitk"


@pytest.mark.parametrize("head_size", [80, 96])
def test_head_sizes_that_split_k_lacks(layers: Layers, check: Check, head_size: int, on_cpu: bool) -> None:
    """FlashAttention decodes inside the backend, and the layer says why."""
    (group,) = layers("XFORMERS", Geometry(8, 2, head_size), [100])
    _decode_and_prefill(group, check)
    if not on_cpu:
        assert group.told["decodeKernel"] == "flash_attn"
        assert f"head size {head_size}" in group.told["warnings"][0]
        assert group.told["decodeTableSource"] == "Fallback"


def _decode_and_prefill(group: Any, check: Check) -> None:
    tokens = lengths(100)
    for requests in (decodes(*tokens), [Request(min(70, count), count) for count in tokens]):
        batch = Batch(group, requests)
        batch.fill_caches()
        check(batch, batch.forward())


@pytest.mark.parametrize("wrong_by", [-1, 1])
@pytest.mark.parametrize("window", [16, 100])
def test_a_window_wrong_by_one_token_is_noticed(layers: Layers, window: int, wrong_by: int) -> None:
    """The comparison itself: held against a window one token off, a right answer is wrong at every length above it."""
    (group,) = layers("FLASH_ATTN", SMALL, [window])
    batch = Batch(group, decodes(*range(window + 2, window + 6)))
    batch.fill_caches()
    output = batch.forward()
    batch.group = replace(group, windows=(window + wrong_by,))
    assert max(batch.errors(output)) > 0.1
