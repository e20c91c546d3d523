"""The four public functions, as code inside vLLM and the operator calls them."""

import copy
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mistral_vllm.mistral_sliding_window import (
    BackendDecision,
    ComputeCapability,
    DecisionReason,
    LayerType,
    LayoutReason,
    NoValidBackend,
    RejectionReason,
    Unsupported,
    enhance_mistral_config_for_sliding_window,
    get_optimal_sliding_window_backend,
    has_sliding_window_attention,
    should_use_xformers_for_mistral,
)
from mistral_vllm.runtimes import get_runtime

F, S = "full_attention", "sliding_attention"
MISTRAL_7B = {
    "model_type": "mistral",
    "architectures": ["MistralForCausalLM"],
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
    "torch_dtype": "bfloat16",
}
PATTERN = {"sliding_window": [None, 4096, None, 4096], "num_hidden_layers": 32}
HOPPER = ComputeCapability(9, 0)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(MISTRAL_7B, True, id="Mistral-7B-v0.1"),
        pytest.param(PATTERN, True, id="pattern"),
        pytest.param({**MISTRAL_7B, "sliding_window": None}, False, id="null"),
        pytest.param({"model_type": "mistral"}, True, id="absent from config.json"),
        pytest.param({"dim": 64, "n_layers": 4}, False, id="absent from params.json"),
        pytest.param({"sliding_window": 4096}, True, id="a window needs no layer count to be one"),
        pytest.param({"sliding_window": [None, 64]}, True, id="nor does a pattern"),
        pytest.param({"sliding_window": None}, False, id="nor does its absence"),
        pytest.param({}, False, id="nothing is no window"),
        pytest.param(SimpleNamespace(sliding_window=4096), True, id="an object's window"),
        pytest.param(SimpleNamespace(sliding_window=None), False, id="an object's null"),
        pytest.param(SimpleNamespace(hidden_size=64), False, id="an object without the word"),
        pytest.param(SimpleNamespace(layer_types=[F, S]), True, id="an object's sliding layers"),
        pytest.param(SimpleNamespace(layer_types=[F, F], sliding_window=64), False, id="an object's full layers"),
        pytest.param(
            SimpleNamespace(text_config=SimpleNamespace(sliding_window=64, num_hidden_layers=2)),
            True,
            id="nested object",
        ),
        pytest.param({"layer_types": [F, S], "sliding_window": None, "num_hidden_layers": 2}, False, id="no size"),
    ],
)
def test_detection(config: object, expected: bool) -> None:
    """A model uses sliding-window attention when at least one layer has a window."""
    assert has_sliding_window_attention(config) is expected


@pytest.mark.parametrize("window", [True, 1.5, "4k", [None, 1, 2], {}])
def test_detection_refuses_to_guess(window: Any) -> None:
    """A value that no one can read raises the typed error, and nothing else."""
    with pytest.raises(Unsupported):
        has_sliding_window_attention({**MISTRAL_7B, "sliding_window": window})


@pytest.mark.parametrize(
    ("config", "window", "layer_types"),
    [
        pytest.param(MISTRAL_7B, 4096, [S] * 32, id="every layer"),
        pytest.param(PATTERN, 4096, [F, S] * 16, id="pattern"),
        pytest.param({"model_type": "mistral"}, 4096, [S] * 32, id="class default"),
        pytest.param({"n_layers": 4, "sliding_window": [None, 8]}, 8, [F, S] * 2, id="params.json"),
        pytest.param({**MISTRAL_7B, "sliding_window": -1}, None, None, id="minus one"),
        pytest.param({**MISTRAL_7B, "sliding_window": "null"}, None, None, id="text"),
        pytest.param({**MISTRAL_7B, "layer_types": [F] * 32}, None, [F] * 32, id="all full"),
        pytest.param(
            {"num_hidden_layers": 2, "sliding_window": None, "layer_types": [F, S]}, None, [F, F], id="sliding, no size"
        ),
    ],
)
def test_enhancement(config: dict[str, Any], window: int | None, layer_types: list[str] | None) -> None:
    """sliding_window and layer_types say the same; the original is unchanged, and a second time changes nothing."""
    original = copy.deepcopy(config)
    enhanced = enhance_mistral_config_for_sliding_window(config)
    assert config == original
    assert enhanced["sliding_window"] == window
    assert enhanced.get("layer_types") == layer_types
    assert enhance_mistral_config_for_sliding_window(enhanced) == enhanced
    assert has_sliding_window_attention(enhanced) is (window is not None)
    untouched = {key: value for key, value in enhanced.items() if key not in ("sliding_window", "layer_types")}
    assert untouched.items() <= original.items()


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({**MISTRAL_7B, "sliding_window": None}, id="null"),
        pytest.param({"n_layers": 4, "dim": 8}, id="absent"),
        pytest.param({"model_type": "mixtral", "num_hidden_layers": 2}, id="mixtral"),
        pytest.param({"model_type": "mistral3", "text_config": {"sliding_window": None}}, id="nested"),
    ],
)
def test_a_model_without_a_window_is_untouched(config: dict[str, Any]) -> None:
    """There is nothing to make consistent."""
    assert enhance_mistral_config_for_sliding_window(config) is config


def test_enhancement_of_a_nested_decoder() -> None:
    """Only the decoder's part changes."""
    config = {"model_type": "mistral3", "text_config": {"num_hidden_layers": 2}, "vision_config": {"hidden_size": 8}}
    enhanced = enhance_mistral_config_for_sliding_window(config)
    assert enhanced["text_config"] == {"num_hidden_layers": 2, "sliding_window": 4096, "layer_types": [S, S]}
    assert "sliding_window" not in enhanced
    assert config["text_config"] == {"num_hidden_layers": 2}


def test_enhancement_of_an_object() -> None:
    """Objects come back as the same kind, copied."""
    config = SimpleNamespace(text_config=SimpleNamespace(sliding_window=[None, 8], num_hidden_layers=4))
    enhanced = enhance_mistral_config_for_sliding_window(config)
    assert enhanced.text_config == SimpleNamespace(sliding_window=8, num_hidden_layers=4, layer_types=[F, S, F, S])
    assert config.text_config == SimpleNamespace(sliding_window=[None, 8], num_hidden_layers=4)


def test_recommendation() -> None:
    """A windowed model on a measured GPU gets the measured fastest backend, and every other one keeps its reason."""
    decision = get_optimal_sliding_window_backend(MISTRAL_7B, compute_capability=HOPPER, max_model_len=32768)
    assert isinstance(decision, BackendDecision)
    assert decision.backends == {LayerType.SLIDING: "XFORMERS"}
    assert decision.reason is DecisionReason.MEASURED_FASTEST
    assert {rejection.backend for rejection in decision.rejected} == {
        "FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "FLEX_ATTENTION",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "arguments", "expected"),
    [
        pytest.param(MISTRAL_7B, {"compute_capability": HOPPER}, True, id="windowed on Hopper"),
        pytest.param(MISTRAL_7B, {}, True, id="GPU unknown"),
        pytest.param(PATTERN, {}, True, id="interleaved"),
        pytest.param({**MISTRAL_7B, "sliding_window": None}, {}, False, id="no window"),
        pytest.param(MISTRAL_7B, {"max_model_len": 4096}, False, id="window as long as the context"),
        pytest.param(MISTRAL_7B, {"xformers_installed": False}, False, id="not installed"),
        pytest.param(MISTRAL_7B, {"compute_capability": ComputeCapability(7, 5)}, False, id="Turing"),
        pytest.param(MISTRAL_7B, {"runtime": get_runtime("vllm-cpu")}, False, id="CPU"),
        pytest.param(MISTRAL_7B, {"attention_backend": "FLASH_ATTN"}, False, id="the user's own choice"),
        pytest.param(MISTRAL_7B, {"attention_backend": "Auto"}, True, id="Auto is no choice"),
        pytest.param(MISTRAL_7B, {"runtime": get_runtime("vllm", "0.11.2")}, False, id="0.11 ignores the window"),
        pytest.param(
            MISTRAL_7B,
            {"runtime": get_runtime("vllm", "0.11.2"), "attention_backend": "XFORMERS"},
            False,
            id="no valid backend is no XFormers",
        ),
    ],
)
def test_whether_to_use_xformers(config: dict[str, Any], arguments: dict[str, Any], expected: bool) -> None:
    """XFormers runs a model where it is installed, on CUDA, able, and preferred."""
    assert should_use_xformers_for_mistral(config, **arguments) is expected


def test_a_refused_choice_raises() -> None:
    """An explicit request for a backend that ignores the window is refused with the reason."""
    with pytest.raises(NoValidBackend) as refused:
        get_optimal_sliding_window_backend(
            MISTRAL_7B, runtime=get_runtime("vllm", "0.11.2"), attention_backend="XFORMERS"
        )
    assert refused.value.reason is RejectionReason.WINDOW_IGNORED


def test_an_unreadable_layout_raises() -> None:
    """No backend is recommended for a layout nobody can read."""
    with pytest.raises(Unsupported) as refused:
        get_optimal_sliding_window_backend({"sliding_window": 4096})
    assert refused.value.reason is LayoutReason.LAYER_COUNT_MISSING


def test_it_needs_the_standard_library_alone() -> None:
    """The module imports in an interpreter without any installed package."""
    package = str(__import__("pathlib").Path(sys.modules["mistral_vllm"].__path__[0]).parent)
    code = f"import sys; sys.path.insert(0, {package!r}); import mistral_vllm.mistral_sliding_window"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)  # noqa: S603 - our own interpreter
