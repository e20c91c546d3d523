"""One window and one attention type per layer, from every shape of config there is."""

from typing import Any

import pytest

from mistral_vllm.decoder import ConfigFormat
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import LAYERS_MAX, AttentionLayout, read_layout
from mistral_vllm.reasons import FindingReason, LayoutReason, Unsupported

F, S = LayerType.FULL, LayerType.SLIDING


def mistral(**words: Any) -> dict[str, Any]:
    """Return an eight-layer config.json."""
    return {"model_type": "mistral", "num_hidden_layers": 8, **words}


def shown(layout: AttentionLayout) -> str:
    """Write the layers as one letter each."""
    return "".join("S" if layer is S else "F" for layer in layout.layers)


@pytest.mark.parametrize(
    ("config", "window", "layers", "findings"),
    [
        pytest.param(mistral(sliding_window=4096), 4096, "S" * 8, set(), id="window"),
        pytest.param(mistral(sliding_window=None), None, "F" * 8, set(), id="null"),
        pytest.param(mistral(), 4096, "S" * 8, {FindingReason.CLASS_DEFAULT_WINDOW}, id="absent means 4096"),
        pytest.param(
            {"model_type": "mistral"},
            4096,
            "S" * 32,
            {FindingReason.CLASS_DEFAULT_WINDOW, FindingReason.CLASS_DEFAULT_LAYER_COUNT},
            id="nothing but a model_type",
        ),
        pytest.param(mistral(sliding_window=0), None, "F" * 8, {FindingReason.NON_POSITIVE_WINDOW}, id="zero"),
        pytest.param(mistral(sliding_window=-1), None, "F" * 8, {FindingReason.NON_POSITIVE_WINDOW}, id="minus one"),
        pytest.param(mistral(sliding_window="4096"), 4096, "S" * 8, {FindingReason.NUMERIC_STRING}, id="text"),
        pytest.param(
            mistral(sliding_window=[None, 4096]), 4096, "FS" * 4, {FindingReason.LIST_IN_CONFIG_JSON}, id="list"
        ),
        pytest.param(mistral(sliding_window=4096, layer_types=[F, S] * 4), 4096, "FS" * 4, set(), id="layer_types"),
        pytest.param(
            mistral(layer_types=[F, S] * 4),
            4096,
            "FS" * 4,
            {FindingReason.CLASS_DEFAULT_WINDOW},
            id="layer_types with an absent window",
        ),
        pytest.param(
            mistral(sliding_window=None, layer_types=[F, S] * 4),
            None,
            "F" * 8,
            {FindingReason.SLIDING_LAYERS_WITHOUT_WINDOW},
            id="sliding layers and null",
        ),
        pytest.param(
            mistral(sliding_window=4096, layer_types=[F] * 8),
            None,
            "F" * 8,
            {FindingReason.ALL_LAYERS_FULL},
            id="all full with a window",
        ),
        pytest.param(mistral(sliding_window=4096, layer_types=[S] * 8), 4096, "S" * 8, set(), id="all sliding"),
        pytest.param(mistral(sliding_window=4096, layer_types=None), 4096, "S" * 8, set(), id="layer_types null"),
        pytest.param(
            mistral(sliding_window=4096, layer_types=[S] * 7 + [F]), 4096, "SSSSSSSF", set(), id="last layer differs"
        ),
        pytest.param(
            mistral(sliding_window=4096, layer_types=[F] + [S] * 7), 4096, "FSSSSSSS", set(), id="first layer differs"
        ),
        pytest.param({"model_type": "mixtral", "num_hidden_layers": 4}, None, "FFFF", set(), id="mixtral absent"),
        pytest.param({"model_type": "ministral3", "num_hidden_layers": 4}, None, "FFFF", set(), id="ministral3 absent"),
        pytest.param(
            {"model_type": "ministral", "num_hidden_layers": 4},
            4096,
            "SSSS",
            {FindingReason.CLASS_DEFAULT_WINDOW},
            id="ministral absent",
        ),
        pytest.param(
            {"model_type": "ministral", "num_hidden_layers": 4, "sliding_window": None},
            None,
            "FFFF",
            set(),
            id="ministral null",
        ),
        pytest.param({"model_type": "llama", "num_hidden_layers": 4}, None, "FFFF", set(), id="llama"),
        pytest.param(
            {"model_type": "mistral3", "text_config": {"model_type": "mistral", "num_hidden_layers": 4}},
            4096,
            "SSSS",
            {FindingReason.CLASS_DEFAULT_WINDOW},
            id="nested absent",
        ),
        pytest.param(
            {"model_type": "mistral3", "text_config": {"num_hidden_layers": 4}},
            4096,
            "SSSS",
            {FindingReason.CLASS_DEFAULT_WINDOW},
            id="nested without model_type",
        ),
        pytest.param(
            {
                "model_type": "mistral3",
                "sliding_window": 77,
                "text_config": {"num_hidden_layers": 4, "sliding_window": None},
            },
            None,
            "FFFF",
            {FindingReason.OUTER_WINDOW_IGNORED},
            id="a top-level window is ignored",
        ),
        pytest.param(
            {"model_type": "mistral3"},
            None,
            "F" * 40,
            {FindingReason.CLASS_DEFAULT_LAYER_COUNT},
            id="mistral3 without text_config",
        ),
        pytest.param(
            {"model_type": "voxtral_realtime"},
            8192,
            "S" * 26,
            {FindingReason.CLASS_DEFAULT_LAYER_COUNT, FindingReason.CLASS_DEFAULT_WINDOW},
            id="voxtral realtime without text_config",
        ),
        pytest.param(
            {"model_type": "voxtral", "text_config": {"model_type": "llama", "sliding_window": None}},
            None,
            "F" * 30,
            {FindingReason.CLASS_DEFAULT_LAYER_COUNT},
            id="voxtral",
        ),
        pytest.param(
            {"model_type": "internvl", "llm_config": {"model_type": "mistral", "num_hidden_layers": 2}},
            4096,
            "SS",
            {FindingReason.CLASS_DEFAULT_WINDOW},
            id="llm_config",
        ),
        pytest.param(
            {"architectures": ["MistralForCausalLM"], "num_hidden_layers": 2},
            4096,
            "SS",
            {FindingReason.MODEL_TYPE_MISSING, FindingReason.CLASS_DEFAULT_WINDOW},
            id="model_type from architectures",
        ),
        pytest.param(
            {"model_type": "qwen2", "num_hidden_layers": 4, "sliding_window": 512},
            None,
            "FFFF",
            {FindingReason.WINDOW_SWITCHED_OFF},
            id="qwen2 switched off",
        ),
        pytest.param(
            {
                "model_type": "qwen2",
                "num_hidden_layers": 4,
                "sliding_window": 512,
                "use_sliding_window": True,
                "max_window_layers": 3,
            },
            512,
            "FFFS",
            set(),
            id="qwen2 switched on",
        ),
        pytest.param(
            {"model_type": "gemma2", "num_hidden_layers": 4},
            4096,
            "SFSF",
            {FindingReason.CLASS_DEFAULT_WINDOW},
            id="gemma2",
        ),
        pytest.param(
            {"model_type": "gemma3_text", "num_hidden_layers": 8, "sliding_window": 512},
            512,
            "SSSSSFSS",
            set(),
            id="gemma3",
        ),
        pytest.param(
            {"model_type": "gpt_oss", "num_hidden_layers": 4, "sliding_window": 128, "layer_types": [S, F] * 2},
            128,
            "SFSF",
            set(),
            id="unknown family with layer_types",
        ),
        pytest.param(
            {"model_type": "gpt_oss", "num_hidden_layers": 2, "sliding_window": None},
            None,
            "FF",
            set(),
            id="unknown family with null",
        ),
        pytest.param(
            {"sliding_window": [None, 4096, None, 4096], "num_hidden_layers": 32},
            4096,
            "FS" * 16,
            {FindingReason.LIST_IN_CONFIG_JSON},
            id="a pattern over 32 layers",
        ),
    ],
)
def test_config_json(config: dict[str, Any], window: int | None, layers: str, findings: set[FindingReason]) -> None:
    """config.json is read with its class's defaults, nested decoders and family rules."""
    layout = read_layout(config)
    assert (layout.window_tokens, shown(layout)) == (window, layers)
    assert {found.reason for found in layout.findings} == findings


@pytest.mark.parametrize(
    ("params", "beside", "window", "layers", "findings"),
    [
        pytest.param({}, None, None, "F" * 8, set(), id="absent"),
        pytest.param({"sliding_window": None}, None, None, "F" * 8, set(), id="null"),
        pytest.param({"sliding_window": 4096}, None, 4096, "S" * 8, set(), id="integer"),
        pytest.param({"sliding_window": [None, 4096, 4096, 4096]}, None, 4096, "FSSSFSSS", set(), id="pattern"),
        pytest.param({"sliding_window": [4096]}, None, 4096, "S" * 8, set(), id="pattern of one window"),
        pytest.param({"sliding_window": [None]}, None, None, "F" * 8, set(), id="pattern of one null"),
        pytest.param(
            {"sliding_window": [None] * 7 + [512]}, None, 512, "FFFFFFFS", set(), id="pattern as long as the model"
        ),
        pytest.param({"sliding_window": 0}, None, None, "F" * 8, {FindingReason.NON_POSITIVE_WINDOW}, id="zero"),
        pytest.param(
            {"_sliding_window": [None, 32768]},
            None,
            None,
            "F" * 8,
            {FindingReason.UNDERSCORE_WINDOW_IGNORED},
            id="underscore",
        ),
        pytest.param(
            {},
            {"model_type": "mistral", "sliding_window": 4096},
            4096,
            "S" * 8,
            {FindingReason.WINDOW_FROM_CONFIG_JSON},
            id="absent, config.json has it",
        ),
        pytest.param({}, {"model_type": "mistral"}, None, "F" * 8, set(), id="absent in both: no class default"),
        pytest.param({"sliding_window": None}, {"sliding_window": 4096}, None, "F" * 8, set(), id="null wins"),
        pytest.param(
            {},
            {"sliding_window": 512, "layer_types": [F, S] * 4},
            512,
            "FS" * 4,
            {FindingReason.WINDOW_FROM_CONFIG_JSON},
            id="absent, config.json is interleaved",
        ),
        pytest.param(
            {"sliding_window": 512},
            {"sliding_window": 512, "layer_types": [F, S] * 4},
            512,
            "S" * 8,
            set(),
            id="integer loses config.json's layer_types",
        ),
        pytest.param(
            {"sliding_window": [None, 512]},
            {"sliding_window": 64, "layer_types": [S] * 8},
            512,
            "FS" * 4,
            set(),
            id="list wins",
        ),
        pytest.param(
            {"vision_encoder": {"hidden_size": 8}},
            {"text_config": {"sliding_window": 64}, "sliding_window": 64},
            None,
            "F" * 8,
            set(),
            id="multimodal params.json takes nothing from config.json",
        ),
    ],
)
def test_params_json(
    params: dict[str, Any],
    beside: dict[str, Any] | None,
    window: int | None,
    layers: str,
    findings: set[FindingReason],
) -> None:
    """params.json has no class defaults; words it lacks come from the raw config.json beside it."""
    layout = read_layout({"n_layers": 8, "dim": 64, **params}, beside=beside)
    assert (layout.window_tokens, shown(layout)) == (window, layers)
    assert {found.reason for found in layout.findings} == findings


@pytest.mark.parametrize(
    ("config", "config_format", "reason"),
    [
        pytest.param(mistral(layer_types=[F, S]), None, LayoutReason.LAYER_TYPES_LENGTH, id="layer_types too short"),
        pytest.param(mistral(layer_types=[S] * 9), None, LayoutReason.LAYER_TYPES_LENGTH, id="layer_types too long"),
        pytest.param(mistral(layer_types=[]), None, LayoutReason.LAYER_TYPES_LENGTH, id="layer_types empty"),
        pytest.param(mistral(layer_types="full_attention"), None, LayoutReason.LAYER_TYPES_INVALID, id="no list"),
        pytest.param(
            mistral(layer_types=["chunked_attention"] * 8), None, LayoutReason.LAYER_TYPE_UNKNOWN, id="chunked"
        ),
        pytest.param(mistral(layer_types=[None] * 8), None, LayoutReason.LAYER_TYPE_UNKNOWN, id="layer_types of null"),
        pytest.param(mistral(layer_types=[{}] * 8), None, LayoutReason.LAYER_TYPE_UNKNOWN, id="layer_types of objects"),
        pytest.param(mistral(sliding_window=True), None, LayoutReason.WINDOW_TYPE, id="bool"),
        pytest.param(mistral(sliding_window="4k"), None, LayoutReason.WINDOW_TYPE, id="text"),
        pytest.param(mistral(sliding_window=[None, 2, 4, 4]), None, LayoutReason.WINDOW_SIZES_DIFFER, id="two sizes"),
        pytest.param(mistral(sliding_window=[None, 2, 2]), None, LayoutReason.WINDOW_PATTERN, id="3 do not divide 8"),
        pytest.param(mistral(sliding_window=[None] * 9), None, LayoutReason.WINDOW_PATTERN, id="longer than the model"),
        pytest.param(
            mistral(sliding_window=[None, 4], layer_types=[S] * 8),
            None,
            LayoutReason.LAYERS_CONFLICT,
            id="two patterns",
        ),
        pytest.param({"sliding_window": 4096}, None, LayoutReason.LAYER_COUNT_MISSING, id="window without layers"),
        pytest.param({"dim": 64, "sliding_window": 4}, None, LayoutReason.LAYER_COUNT_MISSING, id="params no layers"),
        pytest.param(mistral(num_hidden_layers=0), None, LayoutReason.LAYER_COUNT_INVALID, id="no layers"),
        pytest.param(mistral(num_hidden_layers=True), None, LayoutReason.LAYER_COUNT_INVALID, id="layers true"),
        pytest.param(mistral(num_hidden_layers="8"), None, LayoutReason.LAYER_COUNT_INVALID, id="layers text"),
        pytest.param(mistral(num_hidden_layers=None), None, LayoutReason.LAYER_COUNT_INVALID, id="layers null"),
        pytest.param(
            mistral(num_hidden_layers=LAYERS_MAX + 1), None, LayoutReason.LAYER_COUNT_INVALID, id="too many layers"
        ),
        pytest.param({"num_hidden_layers": 8}, ConfigFormat.HF, LayoutReason.MODEL_TYPE_UNKNOWN, id="no model_type"),
        pytest.param(
            {"model_type": "bert", "num_hidden_layers": 8}, None, LayoutReason.MODEL_TYPE_UNKNOWN, id="other family"
        ),
        pytest.param(
            {"model_type": "phi3", "num_hidden_layers": 8, "sliding_window": 512},
            None,
            LayoutReason.MODEL_TYPE_UNKNOWN,
            id="unknown family with a window",
        ),
        pytest.param(mistral(model_type=7), None, LayoutReason.MODEL_TYPE_UNKNOWN, id="model_type a number"),
        pytest.param({"model_type": "mistral", "n_layers": 8, "dim": 64}, None, LayoutReason.FOREIGN_KEYS, id="MLX"),
        pytest.param(mistral(text_config={"sliding_window": 5}), None, LayoutReason.DECODER_INVALID, id="two decoders"),
        pytest.param({"model_type": "mistral3", "text_config": 5}, None, LayoutReason.DECODER_INVALID, id="no object"),
        pytest.param(
            {"model_type": "qwen2", "num_hidden_layers": 4, "use_sliding_window": "yes"},
            None,
            LayoutReason.FAMILY_SETTING_INVALID,
            id="qwen2 setting",
        ),
        pytest.param(
            {"model_type": "gemma3_text", "num_hidden_layers": 4, "sliding_window_pattern": 0},
            None,
            LayoutReason.FAMILY_SETTING_INVALID,
            id="gemma3 pattern of zero",
        ),
    ],
)
def test_unsupported(config: dict[str, Any], config_format: ConfigFormat | None, reason: LayoutReason) -> None:
    """What cannot be told without guessing is refused, with a reason and one short sentence."""
    with pytest.raises(Unsupported) as refused:
        read_layout(config, config_format=config_format)
    assert refused.value.reason is reason
    assert 20 < len(refused.value.message) < 300


@pytest.mark.parametrize("period", range(1, 13))
@pytest.mark.parametrize("sliding", [0, 1, 5])
def test_local_global_ratios_of_any_period(period: int, sliding: int) -> None:
    """A pattern of any period repeats over the layers, and is found again as the layout's unit."""
    pattern = [None] * period + [64] * sliding
    layout = read_layout({"n_layers": len(pattern) * 4, "sliding_window": pattern})
    assert (layout.full, layout.sliding) == (period * 4, sliding * 4)
    assert layout.layers == layout.unit * (len(layout.layers) // len(layout.unit))
    assert len(pattern) % len(layout.unit) == 0


def test_a_window_that_no_sequence_outgrows_never_bites() -> None:
    """A window bites only where it is smaller than the longest sequence served."""
    layout = read_layout(mistral(sliding_window=4096))
    assert layout.bites(4097)
    assert not layout.bites(4096)
    assert layout.bites(None)
    assert not read_layout(mistral(sliding_window=None)).bites(None)
