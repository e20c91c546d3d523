"""A profile from measured kernels: what the package itself reads."""

from typing import Any

import pytest

from bench.attention.profile_file import profile
from mistral_vllm.backends import ComputeCapability, Phase
from mistral_vllm.profiles import parse_profile
from mistral_vllm.runtimes import get_runtime

DECODE = {"FLASH_ATTN": 0.05, "FLASH_ATTN, pages of 16": 0.04, "TRITON_ATTN": 0.09, "XFORMERS": 0.02}
PREFILL = {"FLASH_ATTN": 2.0, "FLASH_ATTN, pages of 16": 3.0, "TRITON_ATTN": 5.0, "XFORMERS": 2.1}
MEASURED: dict[str, Any] = {
    "date": "2026-01-01",
    "gpu": "NVIDIA X1",
    "compute_capability": "9.0",
    "versions": {"vllm": "0.26.0", "xformers": "0.0.35", "torch": "2.11.0", "triton": "3.6.0"},
    "geometry": {"query_heads": 32, "kv_heads": 8, "head_size": 128, "dtype": "bfloat16"},
    "window": 4096,
    "bandwidth": {"copy_bytes_per_second": 4e12},
    "decode_layers": "16 layers",
    "decode": [{"batch": 8, "context": 8192, "milliseconds": DECODE, "floor_ms": 0.018, "launch": [8, 4, 2]}],
    "prefill": [{"new": 8192, "context": 8192, "milliseconds": PREFILL}],
}


def test_the_package_reads_it() -> None:
    """GPU, heads, type, release and window are those of the run; every table says where it comes from."""
    made = parse_profile(profile(MEASURED), "made.json")
    assert (made.compute_capability, made.head_size, made.dtype) == (ComputeCapability(9, 0), 128, "bfloat16")
    assert (made.vllm_versions, made.window_tokens, made.devices) == (("0.26.0",), 4096, ("NVIDIA X1",))
    assert all("bench.attention.kernels on NVIDIA X1" in table.provenance for table in made.tables)


@pytest.mark.parametrize(
    ("other", "phase", "speedup"),
    [
        ("FLASH_ATTN", Phase.DECODE, 2.0),  # against the faster of its page sizes
        ("TRITON_ATTN", Phase.DECODE, 4.5),
        ("FLASH_ATTN", Phase.PREFILL, 1.0),  # the same kernel
        ("TRITON_ATTN", Phase.PREFILL, 2.5),
    ],
)
def test_what_is_concluded_from_it(other: str, phase: Phase, speedup: float) -> None:
    """XFORMERS against each backend, row by row."""
    runtime = get_runtime()
    ours, theirs = runtime.backend("XFORMERS"), runtime.backend(other)
    assert ours is not None
    assert theirs is not None
    assert parse_profile(profile(MEASURED), "made.json").speedups(ours, theirs, phase) == pytest.approx((speedup,))


def test_launch_and_floor_are_kept_with_their_row() -> None:
    """Who reads the file sees what was launched and how fast memory would allow."""
    (decode, prefill) = profile(MEASURED)["tables"]
    assert decode["rows"][0]["tuned_split_k_warps_stages"] == [8, 4, 2]
    assert decode["rows"][0]["bandwidth_floor"] == 0.018
    assert set(prefill["rows"][0]) == {"shape", "figures"}


def test_a_run_without_one_of_the_backends_makes_no_profile() -> None:
    """A row that lacks a kernel would be compared with nothing."""
    row = {**MEASURED["decode"][0], "milliseconds": {"FLASH_ATTN": 0.05}}
    with pytest.raises(ValueError, match="XFORMERS was not measured"):
        profile({**MEASURED, "decode": [row]})
