"""The windows that layers got against those that the config means, and the line that tells of them."""

import pytest

from mistral_vllm.integration.windows import BuiltLayer, WindowMismatch, check_windows, summary
from mistral_vllm.layout import AttentionLayout, read_layout

INTERLEAVED = read_layout({"sliding_window": [None, 16], "n_layers": 6, "dim": 64})


def built(*windows: int | None, first: int = 0, backend: str = "CUSTOM") -> list[BuiltLayer]:
    """Return layers with these windows, in order."""
    return [
        BuiltLayer(f"model.layers.{place}.self_attn.attn", place, window, backend)
        for place, window in enumerate(windows, start=first)
    ]


def test_all_as_meant() -> None:
    """Nothing is said."""
    check_windows(INTERLEAVED, built(None, 16, None, 16, None, 16))


def test_a_stage_of_a_pipeline() -> None:
    """A process holds some of the layers; they are compared by their place in the model."""
    check_windows(INTERLEAVED, built(16, None, first=3))
    with pytest.raises(WindowMismatch, match=r"2 of 2 .*layers\.3\.\S+ has no window instead of a window of 16"):
        check_windows(INTERLEAVED, built(None, 16, first=3))


def test_one_differs() -> None:
    """It is named with both values, with the config's word for it and the next step."""
    with pytest.raises(WindowMismatch) as refused:
        check_windows(INTERLEAVED, built(None, 16, 16, 16, None, 16))
    assert str(refused.value) == (
        "refusing to serve: 1 of 6 attention layers did not get the window that the model's config means (params.json: "
        "sliding_window): model.layers.2.self_attn.attn has a window of 16 instead of no window; correct "
        "--hf-overrides, or the model's sliding_window and layer_types"
    )


@pytest.mark.parametrize("window", [15, 17, -1, 0])
def test_another_size_differs(window: int) -> None:
    """A window of another size is wrong, and so is a number that this release takes for none."""
    with pytest.raises(WindowMismatch, match=f"has a window of {window} instead of a window of 16"):
        check_windows(INTERLEAVED, built(None, window))


def test_many_differ() -> None:
    """Four are named, the others counted."""
    with pytest.raises(
        WindowMismatch, match=r"6 of 6 .*layers\.3\.\S+ has no window instead of a window of 16 and 2 more;"
    ):
        check_windows(INTERLEAVED, built(16, None, 16, None, 16, None))


def test_a_layer_too_many() -> None:
    """A layer that the config does not have cannot be as it means, window or not."""
    with pytest.raises(
        WindowMismatch, match=r"1 of 1 .*layers\.6\.self_attn\.attn has a window of 16 instead of no window"
    ):
        check_windows(INTERLEAVED, built(16, first=6))
    with pytest.raises(WindowMismatch, match=r"1 of 1"):
        check_windows(INTERLEAVED, built(None, first=6))


@pytest.mark.parametrize(
    ("layout", "layers", "expected"),
    [
        pytest.param(
            INTERLEAVED,
            [*built(None, backend="FLASH_ATTN"), *built(16, first=1)],
            "sliding_window=16 sliding_layers=3 full_layers=3 sliding_attention=XFORMERS full_attention=FLASH_ATTN",
            id="interleaved",
        ),
        pytest.param(
            read_layout({"model_type": "mistral", "num_hidden_layers": 2}),
            built(4096, 4096),
            "sliding_window=4096 sliding_layers=2 full_layers=0 sliding_attention=XFORMERS",
            id="all slide",
        ),
        pytest.param(
            read_layout({"model_type": "mistral", "num_hidden_layers": 2, "sliding_window": None}),
            [*built(None, backend="FLASH_ATTN"), *built(None, first=1, backend="TRITON_ATTN")],
            "sliding_window=none sliding_layers=0 full_layers=2 full_attention=FLASH_ATTN|TRITON_ATTN",
            id="no window",
        ),
    ],
)
def test_summary(layout: AttentionLayout, layers: list[BuiltLayer], expected: str) -> None:
    """People's names of backends, by kind of layer."""
    said = summary("MistralForCausalLM", layout, layers, "Available")
    assert said == f"architecture=MistralForCausalLM {expected} xformers=Available"


def test_a_sentence_is_one_word() -> None:
    """What has spaces is quoted, so that the line can be taken apart."""
    said = summary("M", INTERLEAVED, [], 'no "CUDA" here')
    assert said.endswith(r'xformers="no \"CUDA\" here"')
