"""Decode in CUDA graphs: captured once, replayed with other lengths and other pages."""

import random
from pathlib import Path

import pytest
import torch

from bench.attention.batch import Batch
from bench.attention.geometry import Geometry
from bench.attention.graph import DecodeGraph
from bench.attention.scheduling import decodes
from gpu.conftest import Check, Layers

SMALL = Geometry(8, 2)
# warps and stages of every kind that is tuned over, one split, more splits than pages, and no power of two
LAUNCHES = ("1,2,3", "2,2,2", "5,4,2", "32,4,2", "flash_attn", "rule")


@pytest.fixture(autouse=True)
def _needs_a_gpu(on_cpu: bool) -> None:
    if on_cpu:
        pytest.skip("CUDA graphs need a GPU")


@pytest.mark.parametrize("backend", ["XFORMERS", "FLASH_ATTN"])
@pytest.mark.parametrize("window", [16, 100, 4096])
def test_replay(layers: Layers, check: Check, backend: str, window: int) -> None:
    """Each replay sees its own step: growing and shrinking batches, every length, rows of padding."""
    (group,) = layers(backend, SMALL, [window, window])
    graph = DecodeGraph(group, 8)
    rng = random.Random(window)  # noqa: S311 - batches are no secret
    for step in range(20):
        lengths = [rng.choice((rng.randint(1, 3 * window), window + rng.randint(-2, 66))) for _ in range(8)]
        batch = Batch(group, decodes(*(max(1, tokens) for tokens in lengths[: rng.randint(1, 8)])), seed=step)
        batch.fill_caches()
        for index, output in enumerate(graph.run(batch)):
            check(batch, output, index)


@pytest.mark.parametrize("decode", LAUNCHES)
def test_every_launch(layers: Layers, check: Check, decode: str) -> None:
    """Whatever a kernel is launched with, it is right."""
    (group,) = layers("XFORMERS", SMALL, [512], decode=decode)
    for size in (1, 16):
        graph = DecodeGraph(group, size)
        batch = Batch(group, decodes(*range(505, 505 + size)), seed=size)
        batch.fill_caches()
        check(batch, graph.run(batch)[0])
    assert group.told["decodeTableSource"] == ("Rule" if decode == "rule" else "Pinned")


def test_measured_at_start_up(layers: Layers, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Launches are measured once a machine: the next start reads what the first one kept."""
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(tmp_path / "cache"))
    for source in ("Measured", "Cached"):
        (group,) = layers("XFORMERS", SMALL, [640], decode="auto", engine={"max_num_seqs": 4})
        graph = DecodeGraph(group, 4)
        batch = Batch(group, decodes(1, 639, 641, 1300))
        batch.fill_caches()
        check(batch, graph.run(batch)[0])
        assert group.told["decodeTableSource"] == source
        assert [entry["batch"] for entry in group.told["decodeTable"]][:3] == [1, 2, 4]


def test_building_a_step_never_waits_for_the_gpu(layers: Layers) -> None:
    """Nothing of a step's metadata is copied back to the host."""
    (group,) = layers("XFORMERS", SMALL, [100])
    batch = Batch(group, decodes(5, 99, 300))
    batch.build()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch.build()
    finally:
        torch.cuda.set_sync_debug_mode("default")
