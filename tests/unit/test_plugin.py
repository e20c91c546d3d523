"""The plugin before vLLM: what it makes of a release, and what a problem costs."""

import logging

import pytest

from mistral_vllm.plugin import REQUIRED_VARIABLE, PluginError, give_up, wrong_release

PROBLEM = "xFormers is not installed: install xformers==0.0.35"


@pytest.mark.parametrize("found", ["0.26.0", "0.26.0+cu130", "0.26.0+cpu"])
def test_the_tested_release(found: str) -> None:
    """How a release was built does not matter."""
    assert wrong_release(found) is None


@pytest.mark.parametrize(
    "found", ["0.25.1", "0.26.1", "0.26.0rc1", "0.26", "0.27.0", "0.33.0+cu130", "1.0.0", "dev", ""]
)
def test_another_release(found: str) -> None:
    """One sentence has the release found, the one tested, the next step and the fallback."""
    problem = wrong_release(found)
    assert problem is not None
    assert problem.startswith(f"vLLM {found} is installed and vLLM 0.26.0 is the one release tested: install that, ")
    assert problem.endswith("vLLM serves without the plugin, on its own attention backends")


def test_required() -> None:
    """A problem ends the process where the plugin is required."""
    with pytest.raises(PluginError, match=f"{REQUIRED_VARIABLE}=1 forbids its fallback: {PROBLEM}"):
        give_up(PROBLEM, {REQUIRED_VARIABLE: "1"})


@pytest.mark.parametrize("environment", [{}, {REQUIRED_VARIABLE: "0"}, {REQUIRED_VARIABLE: ""}])
def test_not_required(environment: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Elsewhere it is one warning, below vLLM's own logger so that a pod shows it."""
    give_up(PROBLEM, environment)
    assert caplog.record_tuples == [("vllm.mistral_vllm.plugin", logging.WARNING, f"mistral_vllm: {PROBLEM}")]
