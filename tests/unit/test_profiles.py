"""Measured profiles: what they hold, and what may be concluded from them."""

from typing import Any

import pytest

from mistral_vllm.backends import Backend, ComputeCapability, Phase
from mistral_vllm.profiles import Profile, ProfileError, find_profile, load_profiles, parse_profile
from mistral_vllm.runtimes import get_runtime

OURS = get_runtime()


def backend(name: str) -> Backend:
    """Return a backend of this project's runtime."""
    found = OURS.backend(name)
    assert found is not None
    return found


@pytest.fixture
def hopper() -> Profile:
    """Return the profile of compute capability 9.0."""
    (profile,) = load_profiles()
    return profile


def test_every_table_has_its_provenance(hopper: Profile) -> None:
    """A figure without its origin is worth nothing."""
    assert {table.phase for table in hopper.tables} == set(Phase)
    for table in hopper.tables:
        assert table.device.startswith("NVIDIA ")
        assert len(table.provenance) > 20


@pytest.mark.parametrize(
    ("name", "other", "phase", "low", "high"),
    [
        ("XFORMERS", "FLASH_ATTN", Phase.DECODE, 1.02, 1.43),
        ("XFORMERS", "FLASH_ATTN", Phase.PREFILL, 1.0, 1.0),
        ("FLASH_ATTN", "XFORMERS", Phase.DECODE, 0.70, 0.98),
        ("XFORMERS", "TRITON_ATTN", Phase.DECODE, 1.19, 14.2),
        ("FLASH_ATTN", "TRITON_ATTN", Phase.PREFILL, 1.84, 9.6),
    ],
)
def test_speedups(hopper: Profile, name: str, other: str, phase: Phase, low: float, high: float) -> None:
    """Backends are compared row by row, each by its fastest kernel, and the same kernel is worth the same."""
    speedups = hopper.speedups(backend(name), backend(other), phase)
    assert speedups is not None
    assert low <= min(speedups) <= max(speedups) <= high


def test_what_was_not_measured_is_not_compared(hopper: Profile) -> None:
    """No figures, no conclusion."""
    assert hopper.speedups(backend("XFORMERS"), backend("FLASHINFER"), Phase.DECODE) is None
    assert hopper.speedups(backend("FLASHINFER"), backend("XFORMERS"), Phase.PREFILL) is None


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"compute_capability": ComputeCapability(8, 0)}, False),
        ({"compute_capability": None}, False),
        ({"head_size": 64}, False),
        ({"dtype": "float16"}, False),
        ({"vllm_version": "0.33.0"}, False),
    ],
)
def test_a_profile_holds_for_exactly_what_was_measured(hopper: Profile, changes: dict[str, Any], found: bool) -> None:
    """Another GPU, head size, dtype or release has no profile."""
    key: dict[str, Any] = {
        "compute_capability": ComputeCapability(9, 0), "head_size": 128, "dtype": "bfloat16", "vllm_version": "0.26.0",
    }  # fmt: skip
    assert (find_profile([hopper], **{**key, **changes}) is hopper) is found


_GOOD: dict[str, Any] = {
    "compute_capability": "9.0",
    "head_size": 128,
    "dtype": "bfloat16",
    "vllm_versions": ["0.26.0"],
    "window_tokens": 4096,
    "tables": [
        {
            "phase": "decode",
            "device": "NVIDIA X",
            "unit": "ms",
            "higher_is_better": False,
            "provenance": "somewhere",
            "rows": [{"shape": {"batch": 1}, "figures": {"flash_attn": 1.0}}],
        }
    ],
}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing"),
        pytest.param({**_GOOD, "compute_capability": 9}, id="capability a number"),
        pytest.param({**_GOOD, "tables": [{**_GOOD["tables"][0], "phase": "training"}]}, id="another phase"),
        pytest.param({**_GOOD, "tables": [{**_GOOD["tables"][0], "rows": []}]}, id="no rows"),
        pytest.param(
            {**_GOOD, "tables": [{**_GOOD["tables"][0], "rows": [{"shape": {}, "figures": {"a": 0}}]}]}, id="zero"
        ),
    ],
)
def test_a_profile_that_says_too_little_is_refused(broken: Any) -> None:
    """A torn profile is an error that names the file, never a wrong choice."""
    assert parse_profile(_GOOD, "good.json").head_size == 128
    with pytest.raises(ProfileError, match=r"broken\.json"):
        parse_profile(broken, "broken.json")
