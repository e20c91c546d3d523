"""What each vLLM release does with the same files, and how it is brought to do what they mean."""

from typing import Any

import pytest

from mistral_vllm.engine_reading import engine_override, engine_reading
from mistral_vllm.files import ConfigFiles, read_files
from mistral_vllm.layer_types import LayerType
from mistral_vllm.reasons import EngineReason, Unsupported
from mistral_vllm.runtimes import Release, find_release

F, S = LayerType.FULL, LayerType.SLIDING
REFUSES = "refuses"
W = 4096


def release(version: str) -> Release:
    """Return a release of the catalogue."""
    found = find_release(version)
    assert found is not None
    return found


def shown(files: ConfigFiles, version: str, overrides: dict[str, Any] | None = None) -> str:
    """Write each layer's window as a letter, and any window but 4096 as itself."""
    reading = engine_reading(files, release(version), overrides=overrides)
    if reading.refusal is not None:
        assert len(reading.refusal) > 20
        return REFUSES
    return "".join("F" if window is None else "S" if window == W else f"({int(window)})" for window in reading.windows)


MISSING = "missing"
ALL_S, ALL_F = "SSSSSSSS", "FFFFFFFF"


@pytest.mark.parametrize(
    ("window", "config", "v0_33", "v0_26", "v0_11"),
    [
        pytest.param(MISSING, None, ALL_F, ALL_F, ALL_F, id="absent in both"),
        pytest.param(None, None, ALL_F, ALL_F, ALL_F, id="null"),
        pytest.param(W, None, ALL_S, ALL_S, ALL_S, id="integer"),
        pytest.param(0, None, ALL_F, ALL_F, "(0)" * 8, id="zero"),
        pytest.param(-1, None, "(-1)" * 8, "(-1)" * 8, "(-1)" * 8, id="minus one"),
        pytest.param([None, W, W, W], None, "FSSSFSSS", "FSSSFSSS", "FSSSFSSS", id="pattern"),
        pytest.param([W], None, ALL_S, ALL_S, ALL_S, id="pattern of one window"),
        pytest.param([None], None, ALL_F, ALL_F, ALL_F, id="pattern of one null"),
        pytest.param([], None, REFUSES, REFUSES, REFUSES, id="empty list"),
        pytest.param([None, 2048, W, W], None, REFUSES, REFUSES, "F(2048)(2048)(2048)F(2048)(2048)(2048)", id="sizes"),
        pytest.param([0, W], None, REFUSES, REFUSES, ALL_S, id="zero in a list"),
        pytest.param([None, W, W], None, REFUSES, REFUSES, REFUSES, id="3 do not divide 8"),
        pytest.param([None] + [W] * 8, None, REFUSES, REFUSES, ALL_S, id="longer than the model"),
        pytest.param("4096", None, REFUSES, REFUSES, REFUSES, id="text"),
        pytest.param(4096.0, None, REFUSES, REFUSES, REFUSES, id="float"),
        pytest.param(True, None, "(1)" * 8, "(1)" * 8, "(1)" * 8, id="true is 1"),
        pytest.param(MISSING, {"sliding_window": W}, ALL_S, ALL_S, ALL_F, id="absent, config.json has it"),
        pytest.param(None, {"sliding_window": W}, ALL_F, ALL_F, ALL_F, id="null, config.json has it"),
        pytest.param(
            [None, W], {"sliding_window": 9, "layer_types": [S] * 8}, "FS" * 4, "FS" * 4, "FS" * 4, id="list wins"
        ),
        pytest.param(
            W, {"sliding_window": W, "layer_types": [F, S] * 4}, ALL_S, ALL_S, ALL_S, id="integer loses layer_types"
        ),
    ],
)
def test_params_json(window: Any, config: dict[str, Any] | None, v0_33: str, v0_26: str, v0_11: str) -> None:
    """params.json reaches the layers as each release's parser leaves it."""
    params = {"n_layers": 8} | ({} if window == MISSING else {"sliding_window": window})
    files = ConfigFiles(config, params, has_consolidated=True)
    assert [shown(files, version) for version in ("0.33.0", "0.26.0", "0.11.2")] == [v0_33, v0_26, v0_11]


def test_an_integer_beside_layer_types_in_params_json_is_refused_since_0_16() -> None:
    """_remap_mistral_sliding_window takes an integer only where there are no layer_types."""
    files = ConfigFiles(None, {"n_layers": 2, "sliding_window": W, "layer_types": [F, S]})
    assert [shown(files, version) for version in ("0.33.0", "0.26.0", "0.16.0", "0.15.1", "0.11.2")] == [
        REFUSES, REFUSES, REFUSES, "FS", "FS",
    ]  # fmt: skip


@pytest.mark.parametrize(("version", "expected"), [("0.15.1", REFUSES), ("0.16.0", "FSFSFSFS"), ("0.26.0", "FSFSFSFS")])
def test_a_list_in_a_multimodal_params_json_is_remapped_since_0_16(version: str, expected: str) -> None:
    """Older parsers convert top-level lists only, and leave one inside text_config."""
    params = {"n_layers": 8, "sliding_window": [None, W], "vision_encoder": {"hidden_size": 8}}
    assert shown(ConfigFiles(None, params), version) == expected


@pytest.mark.parametrize(
    ("words", "v0_33", "v0_26", "v0_11"),
    [
        pytest.param({}, ALL_S, ALL_S, ALL_S, id="absent means 4096"),
        pytest.param({"sliding_window": None}, ALL_F, ALL_F, ALL_F, id="null"),
        pytest.param({"sliding_window": -1}, "(-1)" * 8, "(-1)" * 8, "(-1)" * 8, id="minus one"),
        pytest.param({"sliding_window": "4096"}, REFUSES, REFUSES, REFUSES, id="text"),
        pytest.param({"sliding_window": [None, W]}, REFUSES, REFUSES, REFUSES, id="list"),
        pytest.param({"sliding_window": W, "layer_types": [F, S] * 4}, "FS" * 4, "FS" * 4, "FS" * 4, id="interleaved"),
        pytest.param({"sliding_window": W, "layer_types": [F] * 8}, ALL_F, ALL_S, ALL_S, id="all full slide to 0.26"),
        pytest.param({"sliding_window": W, "layer_types": [S] * 8}, ALL_S, ALL_S, ALL_S, id="all sliding"),
        pytest.param({"sliding_window": None, "layer_types": [F, S] * 4}, ALL_F, ALL_F, ALL_F, id="sliding, null"),
        pytest.param({"sliding_window": W, "layer_types": [F, S]}, REFUSES, REFUSES, REFUSES, id="too short"),
        pytest.param({"sliding_window": W, "layer_types": []}, REFUSES, REFUSES, ALL_S, id="empty layer_types"),
        pytest.param({"model_type": "mixtral", "sliding_window": W}, ALL_S, ALL_S, ALL_S, id="mixtral"),
        pytest.param(
            {"model_type": "mixtral", "sliding_window": W, "layer_types": [F, S] * 4},
            ALL_F,
            ALL_F,
            ALL_F,
            id="mixed mixtral has no window at all",
        ),
        pytest.param({"model_type": "ministral3", "sliding_window": W}, ALL_S, ALL_S, REFUSES, id="ministral3"),
        pytest.param({"model_type": "gemma2"}, "SF" * 4, "SF" * 4, "SF" * 4, id="gemma2"),
        pytest.param(
            {"model_type": "gemma2", "sliding_window_pattern": 4}, "SF" * 4, "SF" * 4, "SF" * 4, id="not gemma2's word"
        ),
        pytest.param(
            {"model_type": "gemma3_text", "sliding_window_pattern": 4}, "SSSF" * 2, "SSSF" * 2, "SSSF" * 2, id="gemma3"
        ),
        *(
            pytest.param(
                {"model_type": "gemma3_text", "sliding_window": None, "sliding_window_pattern": pattern},
                *(REFUSES, REFUSES, REFUSES),
                id=f"gemma3's pattern is {pattern}",
            )
            for pattern in (0, "six", None)
        ),
    ],
)
def test_config_json(words: dict[str, Any], v0_33: str, v0_26: str, v0_11: str) -> None:
    """config.json reaches the layers through transformers, the cache's window and each layer's own."""
    files = ConfigFiles({"model_type": "mistral", "num_hidden_layers": 8, **words}, None)
    assert [shown(files, version) for version in ("0.33.0", "0.26.0", "0.11.2")] == [v0_33, v0_26, v0_11]


@pytest.mark.parametrize(
    ("config", "params", "version", "override"),
    [
        pytest.param({"sliding_window": W}, None, "0.26.0", None, id="nothing to mend"),
        pytest.param({"sliding_window": None}, None, "0.26.0", None, id="no window"),
        pytest.param(
            {"sliding_window": W, "layer_types": [F] * 8}, None, "0.26.0", {"sliding_window": None}, id="all full"
        ),
        pytest.param({"sliding_window": W, "layer_types": [F] * 8}, None, "0.27.0", None, id="all full since 0.27"),
        pytest.param({"sliding_window": -1}, None, "0.26.0", {"sliding_window": None}, id="minus one"),
        pytest.param({"sliding_window": 0}, None, "0.18.1", {"sliding_window": None}, id="zero to 0.18"),
        pytest.param({"sliding_window": 0}, None, "0.19.0", None, id="zero since 0.19"),
        pytest.param({"sliding_window": W}, {}, "0.11.2", {"sliding_window": W}, id="0.11 does not fill params.json"),
    ],
)
def test_overrides(
    config: dict[str, Any], params: dict[str, Any] | None, version: str, override: dict[str, Any] | None
) -> None:
    """Where a release would run something else, an override makes it run what the file means."""
    files = ConfigFiles(
        {"model_type": "mistral", "num_hidden_layers": 8, **config},
        None if params is None else {"n_layers": 8, **params},
        has_consolidated=params is not None,
    )
    layout = read_files(files)
    found = engine_override(files, layout, release(version))
    assert (None if found is None else found.values) == override
    if found is not None:
        assert engine_reading(files, release(version), overrides=found.values).windows == layout.windows
        assert found.finding.reason is EngineReason.ENGINE_OVERRIDDEN


def test_an_override_of_a_nested_decoder_is_nested() -> None:
    """Words for a multimodal model's decoder go under text_config."""
    files = ConfigFiles(
        {"model_type": "mistral3", "text_config": {"num_hidden_layers": 2, "sliding_window": W, "layer_types": [F, F]}},
        None,
    )
    found = engine_override(files, read_files(files), release("0.26.0"))
    assert found is not None
    assert found.values == {"text_config": {"sliding_window": None}}


@pytest.mark.parametrize(
    ("config", "version", "reason"),
    [
        pytest.param({"sliding_window": "4096"}, "0.26.0", EngineReason.ENGINE_REFUSES_CONFIG, id="text"),
        pytest.param({"sliding_window": [None, W]}, "0.26.0", EngineReason.ENGINE_REFUSES_CONFIG, id="list"),
        pytest.param({"model_type": "ministral3"}, "0.19.0", EngineReason.ENGINE_REFUSES_CONFIG, id="unknown to it"),
        pytest.param(
            {"model_type": "mixtral", "sliding_window": W, "layer_types": [F, S] * 4},
            "0.26.0",
            EngineReason.ENGINE_IGNORES_LAYOUT,
            id="mixed mixtral",
        ),
    ],
)
def test_what_no_override_mends_is_refused(config: dict[str, Any], version: str, reason: EngineReason) -> None:
    """A pod that would die at start, or attend to other tokens, is refused before it exists."""
    files = ConfigFiles({"model_type": "mistral", "num_hidden_layers": 8, **config}, None)
    with pytest.raises(Unsupported) as refused:
        engine_override(files, read_files(files), release(version))
    assert refused.value.reason is reason
