"""Random batches as a scheduler mixes them: decodes, prompts, chunks, shared prefixes, random pages."""

import random

import pytest

from bench.attention.batch import Batch
from bench.attention.geometry import Geometry
from bench.attention.scheduling import Request, random_requests
from gpu.conftest import Check, Layers

_BATCHES_OF_A_SEED = 50


@pytest.mark.parametrize("seed", range(10))
def test_500_random_batches(layers: Layers, check: Check, seed: int) -> None:
    """Every request of every batch is right."""
    _run(layers, check, "XFORMERS", seed, _BATCHES_OF_A_SEED)


def test_flash_attn_is_as_exact(layers: Layers, check: Check) -> None:
    """What vLLM's own backend reaches on the first of these batches: the table shows it beside ours."""
    _run(layers, check, "FLASH_ATTN", 0, _BATCHES_OF_A_SEED)


def test_one_token_each_that_is_a_prompt(layers: Layers, check: Check) -> None:
    """Prompts of a single token look like a decode step, with nothing in the cache."""
    (group,) = layers("XFORMERS", Geometry(8, 2), [16])
    batch = Batch(group, [Request(1, 1)] * 5)
    batch.fill_caches()
    check(batch, batch.forward())


def _run(layers: Layers, check: Check, backend: str, seed: int, batches: int) -> None:
    window = (1, 16, 100, 100, 512)[seed % 5]
    (group,) = layers(backend, Geometry(8, 2), [window])
    rng = random.Random(seed)  # noqa: S311 - batches are no secret
    for index in range(batches):
        batch = Batch(group, random_requests(rng, window=window, longest=2000), seed=1000 * seed + index)
        batch.fill_caches()
        check(batch, batch.forward())
