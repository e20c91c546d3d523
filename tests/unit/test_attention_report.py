"""The tables of docs/attention.md: made from what was measured, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from bench.attention.report import NOTHING, Runs, fill, tables

PAGE = Path(__file__).parents[2] / "docs" / "attention.md"
KERNELS: dict[str, Any] = {
    "gpu": "NVIDIA X1",
    "date": "2026-01-01",
    "versions": {"vllm": "0.26.0"},
    "bandwidth": {"copy_bytes_per_second": 2e12, "nominal_bytes_per_second": 3e12},
    "decode": [
        {
            "batch": 8,
            "context": 8192,
            "floor_ms": 0.018,
            "launch": [8, 4, 2],
            "milliseconds": {"FLASH_ATTN": 0.05, "FLASH_ATTN, pages of 16": 0.04, "XFORMERS": 0.02},
        }
    ],
    "prefill": [{"new": 512, "context": 8192, "milliseconds": {"FLASH_ATTN": 1.0, "XFORMERS": 1.25}}],
}
ENGINE: dict[str, Any] = {
    "date": "2026-01-01",
    "model": "a model",
    "backends": [
        {
            "backend": backend,
            "gpu": "NVIDIA X1",
            "vllm": "0.26.0",
            "prefill": [{"context": 8192, "batch": 1, "tokens_per_second": 40000}],
            "decode": [{"context": 8192, "batch": batch, "ms_per_step": milliseconds} for batch in batches],
        }
        for backend, milliseconds, batches in (("XFORMERS", 4.5, (1, 8)), ("FLASH_ATTN", 5.0, (1,)))
    ],
    "compared": [{"phase": "decode", "context": 8192, "batch": 1, "ratio": 1.1111}],
}


def test_a_row_is_held_against_the_faster_page_size_of_the_other() -> None:
    """Whoever reads it never sees ours against the worse of two."""
    table = tables(Runs(kernels={"kernels": KERNELS}))["decode"]
    assert "**NVIDIA X1**, vllm 0.26.0, 2026-01-01; a copy reaches 2.00 TB/s (vendor: 3.00)." in table
    assert "| 8 | 8,192 | 0.0180 | 0.0200 | 0.0400 | 2.00× | 0.90 | 8, 4, 2 |" in table
    assert "](attention/kernels.svg)" in table
    assert "| 512 | 8,192 | 1.250 | 1.000 |" in tables(Runs(kernels={"kernels": KERNELS}))["prefill"]


def test_what_an_engine_left_out_stays_empty() -> None:
    """A batch that one backend had no memory for is not compared."""
    table = tables(Runs(engine={"engine": ENGINE}))["engine"]
    assert "| 8,192 | 1 | 4.5 | 5.0 | 1.111× |" in table
    assert "| 8,192 | 8 | 4.5 |  |  |" in table


def test_the_backend_has_people_s_name() -> None:
    """VLLM calls it CUSTOM."""
    row = {"backend": "CUSTOM", "dtype": "bfloat16", "requests": 4000, "max": 0.0071, "mean": 0.0019}
    assert "| XFORMERS | bfloat16 | 4,000 | 7.1e-03 | 1.9e-03 |" in tables(Runs(errors=[row]))["errors"]


def test_engines_are_told_beside_the_noise() -> None:
    """Mean distances, and the tokens that rounding turned of those that it hardly could."""
    figures = {"prompt": 0.11591, "decode": 0.0937, "cached": 0.0921, "wrong_tokens": 1, "sure_tokens": 891}
    run = {
        "gpu": "NVIDIA X1",
        "vllm": "0.26.0",
        "date": "2026-01-01",
        "engines": [{"engine": "XFORMERS-V1", **figures}],
    }
    assert "| XFORMERS-V1 | 0.116 | 0.094 | 0.092 | 1 of 891 |" in tables(Runs(agree={"agree": run}))["agree"]


def test_two_gpus_are_held_against_one() -> None:
    """Each backend's distance from itself, by layout."""
    figures = {"backend": "XFORMERS", "layout": "sliding", "prompt": 0.00371, "decode": 0.0042, "decoded_tokens": 1024}
    run = {"gpu": "NVIDIA X1", "gpus": 2, "vllm": "0.26.0", "date": "2026-01-01", "engines": [figures]}
    table = tables(Runs(parallel={"parallel": run}))["parallel"]
    assert table.startswith("**2 × NVIDIA X1**, vLLM 0.26.0, 2026-01-01.")
    assert "| sliding | XFORMERS | 0.0037 | 0.0042 | 1,024 |" in table


def test_layouts_that_ran_apart_are_one_table() -> None:
    """Of one machine and day; ranks on one GPU are told from two GPUs."""
    figures = {"backend": "XFORMERS", "prompt": 0.00371, "decode": 0.0042, "decoded_tokens": 1024}
    one, other = (
        {
            "gpu": "NVIDIA X1",
            "gpus": 1,
            "vllm": "0.26.0",
            "date": "2026-01-01",
            "engines": [{**figures, "layout": layout}],
        }
        for layout in ("sliding", "interleaved")
    )
    table = tables(Runs(parallel={"one": one, "other": other, "two": {**one, "gpus": 2}}))["parallel"]
    assert table.count("Two ranks on one **NVIDIA X1**, vLLM 0.26.0") == 1
    assert table.count("**2 × NVIDIA X1**") == 1
    assert "| sliding | XFORMERS | 0.0037 | 0.0042 | 1,024 |\n| interleaved | XFORMERS |" in table


def test_engines_stand_in_one_order() -> None:
    """Ours first, then by name, however they were measured: a run side by side writes them as they end."""
    base = ENGINE["backends"][1]
    run = {**ENGINE, "backends": [base, {**base, "backend": "AUTO"}, {**ENGINE["backends"][0], "gpus": 2}]}
    table = tables(Runs(engine={"engine": run}))["engine"]
    assert table.startswith("**2 × NVIDIA X1**")
    assert "| context | batch | XFORMERS | AUTO | FLASH_ATTN |" in table


def test_filling_a_page_twice_changes_nothing() -> None:
    """Old figures are replaced, and text around them stays."""
    made = tables(Runs(kernels={"kernels": KERNELS}, engine={"engine": ENGINE}))
    page = fill(PAGE.read_text(encoding="utf-8"), made)
    assert fill(page, made) == page
    assert made["decode"] in page
    assert NOTHING in page


def test_a_page_without_the_comments_is_an_error() -> None:
    """Or a table would silently stay as it was."""
    with pytest.raises(ValueError, match="no comments <!-- decode -->"):
        fill("# A page\n", {"decode": "x"})
