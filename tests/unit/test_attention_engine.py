"""What the benchmark of whole engines asks for, and how it compares."""

from typing import Any

import pytest

from bench.attention.engine import compared
from bench.attention.one_engine import Run, largest_batch


def test_a_run_is_read_from_the_largest_batch_down() -> None:
    """Smaller batches are what is left of larger ones."""
    assert Run.parse("8192:1,32,8") == Run(8192, (32, 8, 1))


@pytest.mark.parametrize("text", ["", "8192", "8192:", "8192:a", "8192:0", "0:1"])
def test_any_other_text_is_refused(text: str) -> None:
    """The sentence quotes it."""
    with pytest.raises(ValueError, match=repr(text)):
        Run.parse(text)


@pytest.mark.parametrize(("cache_tokens", "batch"), [(20_000, 0), (29_000, 1), (600_000, 132)])
def test_no_more_sequences_than_windows_fit(cache_tokens: int, batch: int) -> None:
    """Beside what is being prefilled, every sequence needs its window."""
    assert largest_batch(Run(8192, (1,)), cache_tokens) == batch


def engine(backend: str, tokens_per_second: int, ms_per_step: float) -> dict[str, Any]:
    """Return what one engine measured."""
    return {
        "backend": backend,
        "prefill": [{"context": 8192, "batch": 1, "tokens_per_second": tokens_per_second}],
        "decode": [{"context": 8192, "batch": 8, "ms_per_step": ms_per_step}],
    }


def test_ours_is_held_against_the_best_of_the_others() -> None:
    """In each phase another one may be the best; above 1 ours is faster."""
    rows = compared([engine("FLASH_ATTN:64", 40, 5.0), engine("XFORMERS", 38, 4.0), engine("TRITON_ATTN", 20, 4.4)])
    assert [(row["phase"], row["best_other"], row["ratio"]) for row in rows] == [
        ("prefill", "FLASH_ATTN:64", 0.95),
        ("decode", "TRITON_ATTN", 1.1),
    ]


def test_rows_that_only_ours_has_are_not_compared() -> None:
    """Nothing is made up for what was left out."""
    other = engine("FLASH_ATTN", 40, 5.0)
    other["decode"] = []
    assert [row["phase"] for row in compared([engine("XFORMERS", 38, 4.0), other])] == ["prefill"]
