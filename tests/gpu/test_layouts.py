"""Groups and caches as vLLM may lay them out: interleaved, merged, several of a kind, HND, padded pages."""

from collections.abc import Iterator

import pytest
from vllm.v1.attention.backends.utils import set_kv_cache_layout

from bench.attention.batch import Batch
from bench.attention.geometry import Geometry
from bench.attention.scheduling import Request, decodes
from gpu.conftest import Check, Layers

SMALL = Geometry(8, 2)
STEPS = {
    "decode": decodes(5, 99, 100, 101, 164, 700),
    "mixed": [Request(1, 300), Request(130, 130), Request(40, 500), Request(1, 99)],
}


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> list[Request]:
    """Return a decode step, and one that also prefills."""
    return STEPS[request.param]


@pytest.fixture
def heads_before_tokens(on_cpu: bool) -> Iterator[None]:
    """Let vLLM lay out KV caches as HND, as FlashInfer on sm_100 and some KV connectors do."""
    if on_cpu:
        pytest.skip("CPU_ATTN has this layout anyhow")
    set_kv_cache_layout("HND")
    yield
    set_kv_cache_layout(None)


def test_full_layers_beside_windowed_ones(layers: Layers, check: Check, step: list[Request], on_cpu: bool) -> None:
    """In an interleaved model each kind of layer has block tables of its own; full layers attend to everything."""
    groups = layers("XFORMERS", SMALL, [100, None, 100, None])
    assert [group.window for group in groups] == [100, None]
    batches = [Batch(group, step, seed=index) for index, group in enumerate(groups)]
    built = [batch.build() for batch in batches]  # the runners build for all groups, then run all layers
    for batch, metadata in zip(batches, built, strict=True):
        batch.fill_caches()
        for index in range(2):
            check(batch, batch.forward(index, metadata), index)
    assert on_cpu or [group.told["decodeKernel"] for group in groups] == ["xformers_splitk", "flash_attn"]


def test_groups_of_one_kind_do_not_share_a_table(layers: Layers, check: Check, step: list[Request]) -> None:
    """Several groups with the same window have block tables that differ in the same step (Ministral-8B has three)."""
    groups = layers("XFORMERS", SMALL, [100, 100, 100], alone=True)
    batches = [Batch(group, step, seed=index) for index, group in enumerate(groups)]
    built = [batch.build() for batch in batches]
    for batch, metadata in zip(batches, built, strict=True):
        batch.fill_caches()
        check(batch, batch.forward(0, metadata))
    assert not any(group.builder.supports_update_block_table for group in groups)


def test_a_merged_group_windows_only_windowed_layers(
    layers: Layers, check: Check, step: list[Request], on_cpu: bool
) -> None:
    """Where one spec carries the window for both kinds, each layer goes by its own."""
    (group,) = layers("XFORMERS", SMALL, [100, None], merged=True)
    assert on_cpu or group.window == 100
    batch = Batch(group, step)
    batch.fill_caches()
    built = batch.build()
    for index in range(2):
        check(batch, batch.forward(index, built), index)


@pytest.mark.usefixtures("heads_before_tokens")
def test_hnd_caches_are_decoded_by_flash_attention(layers: Layers, check: Check, step: list[Request]) -> None:
    """Split-K cannot read them in place: the answer stays right, and the layer warns."""
    (group,) = layers("XFORMERS", SMALL, [100])
    batch = Batch(group, step)
    batch.fill_caches()
    check(batch, batch.forward())
    assert group.told["decodeKernel"] == "flash_attn"
    assert "HND" in group.told["warnings"][0]


def test_pages_with_gaps_between_them(layers: Layers, check: Check, step: list[Request], on_cpu: bool) -> None:
    """Where pages are padded to another layer's size the answer stays right."""
    if on_cpu:
        pytest.skip("CPU_ATTN takes caches without gaps alone")
    (group,) = layers("XFORMERS", SMALL, [100], gap_elements=1024)
    batch = Batch(group, step)
    batch.fill_caches()
    check(batch, batch.forward())


def test_what_a_layer_tells(layers: Layers, on_cpu: bool) -> None:
    """Pending before the first step, and what it decodes with after it."""
    if on_cpu:
        pytest.skip("CPU_ATTN tells nothing")
    (group,) = layers("XFORMERS", SMALL, [100])
    assert group.told["decodeTableSource"] == "Pending"
    assert group.told["decodeTable"] == []
    Batch(group, decodes(5)).build()
    told = group.told
    assert (told["prefillKernel"], told["decodeKernel"]) == ("flash_attn", "xformers_splitk")
    assert told["decodeTableSource"] == "Pinned"
    assert told["decodeTable"][0] == {
        "batch": 1, "kernel": "xformers_splitk", "splitK": 3, "numWarps": 4, "numStages": 2,  # 3 pages hold the window
    }  # fmt: skip
