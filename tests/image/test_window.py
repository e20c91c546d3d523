"""A model with a window, served over HTTP by what the operator planned: it attends to what transformers attends to."""

import pytest

from image.generating import TOKENS
from image.serving import Serving
from image.tiny import LAYERS, PROMPT, WINDOW_TOKENS, TinyModel


@pytest.fixture(scope="module")
def completed(server: Serving) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return what the server decodes greedily after the prompt: tokens, log-probabilities."""
    return server.complete(PROMPT, TOKENS)


def test_the_window_is_honoured(windowed: TinyModel, completed: tuple[tuple[int, ...], tuple[float, ...]]) -> None:
    """Greedy tokens are transformers' own with the same window, and so are their log-probabilities."""
    tokens, logprobs = completed
    expected = windowed.scores(tokens)
    assert tokens == expected.likeliest
    assert logprobs == pytest.approx(expected.logprobs, abs=1e-4)


def test_the_window_matters(windowed: TinyModel, completed: tuple[tuple[int, ...], tuple[float, ...]]) -> None:
    """Without the window transformers says something else, so the test above can fail."""
    tokens, logprobs = completed
    without = windowed.scores(tokens, sliding_window=None)
    assert tokens != without.likeliest
    assert max(abs(ours - theirs) for ours, theirs in zip(logprobs, without.logprobs, strict=True)) > 0.1


def test_it_is_logged_once(server: Serving) -> None:
    """One line for the log's reader: window, layers, backend, xFormers."""
    lines = [line for line in server.log.read_text().splitlines() if "mistral_vllm: " in line]
    assert len(lines) == 1
    assert (
        f"mistral_vllm: architecture=MistralForCausalLM sliding_window={WINDOW_TOKENS} sliding_layers={LAYERS} "
        "full_layers=0 sliding_attention=CPU_ATTN xformers=NotOnCUDA"
    ) in lines[0]
