"""Every way to write a layout down, in the engine: what runs is what transformers runs of the same weights."""

from typing import Any, NamedTuple

import pytest

from image.generating import Engines, Ran
from image.tiny import INTERLEAVED, LAYERS, WINDOW_TOKENS, TinyModel, save_tiny, save_tiny_params

FULL = ["full_attention"] * LAYERS


class Case(NamedTuple):
    """A model and what vLLM is told of it; what transformers runs as it is meant; what is logged."""

    tiny: TinyModel
    job: dict[str, Any]
    reference: TinyModel
    logged: str


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Write the models: the weights are the same in all of them."""
    folder = tmp_path_factory.mktemp("layouts")
    alternating = save_tiny(folder / "layer_types", sliding_window=WINDOW_TOKENS, layer_types=list(INTERLEAVED))
    a_list = save_tiny_params(folder / "list", sliding_window=[None, WINDOW_TOKENS])
    all_full = save_tiny(folder / "full", sliding_window=WINDOW_TOKENS, layer_types=FULL)
    windowed = save_tiny(folder / "refused", sliding_window=WINDOW_TOKENS)
    interleaved = f"sliding_window={WINDOW_TOKENS} sliding_layers=2 full_layers=2 sliding_attention=CPU_ATTN"
    return {
        "layer_types": Case(alternating, {}, alternating, interleaved),
        "params.json, a list": Case(
            a_list, {"config_format": "mistral", "load_format": "mistral"}, alternating, interleaved
        ),
        # left alone, vLLM 0.26 slides every layer
        "all full, and a window": Case(
            all_full,
            {},
            save_tiny(folder / "no_window", sliding_window=None),
            f"sliding_window=none sliding_layers=0 full_layers={LAYERS} full_attention=CPU_ATTN",
        ),
        # so does it when it is told the same by an override, which comes after the config is corrected
        "refused": Case(windowed, {"hf_overrides": {"layer_types": FULL}}, windowed, ""),
    }


@pytest.fixture(scope="module")
def ran(engines: Engines, cases: dict[str, Case]) -> Ran:
    """Run all of them in one process, the one that is refused last."""
    return engines.run("layouts", [{"model": str(case.tiny.folder)} | case.job for case in cases.values()])


@pytest.mark.parametrize("name", ["layer_types", "params.json, a list", "all full, and a window"])
def test_what_is_meant_runs(name: str, cases: dict[str, Case], ran: Ran) -> None:
    """Greedy tokens and log-probabilities are transformers' own."""
    assert len(ran.answers) == len(cases) - 1, ran.log[-3000:]
    case, answer = cases[name], ran.answers[list(cases).index(name)]
    expected = case.reference.scores(answer.tokens)
    assert answer.tokens == expected.likeliest
    assert answer.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert f"architecture=MistralForCausalLM {case.logged}" in ran.log


def test_the_layouts_differ(ran: Ran) -> None:
    """The weights and the prompt are the same, so nothing but the layout tells their tokens apart."""
    assert len({answer.tokens for answer in ran.answers}) == 2  # the interleaved ones are alike


def test_another_window_than_meant_is_refused(ran: Ran) -> None:
    """The model is not served, and the log names layers and both values."""
    assert ran.exit_code == 1
    assert (
        f"refusing to serve: {LAYERS} of {LAYERS} attention layers did not get the window that the model's config "
        f"means (sliding_window): model.layers.0.self_attn.attn has a window of {WINDOW_TOKENS} instead of no window"
    ) in ran.log
