"""What the plugin's config parsers make of a model's files, and of models that are none of theirs."""

import json
from pathlib import Path
from typing import Any

import pytest
from vllm.transformers_utils.config import HFConfigParser, MistralConfigParser

from mistral_vllm.integration.config_parsers import EnhancingHFConfigParser, EnhancingMistralConfigParser
from mistral_vllm.reasons import Unsupported

SLIDING, FULL = "sliding_attention", "full_attention"
MISTRAL = {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "num_hidden_layers": 2}
MINISTRAL3 = {"model_type": "ministral3", "architectures": ["Ministral3ForCausalLM"], "num_hidden_layers": 2}
MIXTRAL = {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_hidden_layers": 2}
MISTRAL3 = {
    "model_type": "mistral3",
    "architectures": ["Mistral3ForConditionalGeneration"],
    "vision_config": {"model_type": "pixtral"},
}
PARAMS = {
    "dim": 64, "n_layers": 4, "head_dim": 32, "hidden_dim": 128, "n_heads": 2, "n_kv_heads": 2, "norm_eps": 1e-5,
    "vocab_size": 256, "max_position_embeddings": 1024, "dtype": "bfloat16",
}  # fmt: skip
VISION = {
    "hidden_size": 64, "num_channels": 3, "image_size": 32, "patch_size": 16, "rope_theta": 1e4,
    "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "image_token_id": 10,
}  # fmt: skip


def parsed_config(folder: Path, config: dict[str, Any], parser: type[HFConfigParser] = EnhancingHFConfigParser) -> Any:
    """Parse a config.json."""
    (folder / "config.json").write_text(json.dumps(config))
    return parser().parse(folder, trust_remote_code=False)[1]


def parsed_params(
    folder: Path, params: dict[str, Any], parser: type[MistralConfigParser] = EnhancingMistralConfigParser
) -> Any:
    """Parse a params.json."""
    (folder / "params.json").write_text(json.dumps(params))
    return parser().parse(str(folder), trust_remote_code=False)[1]


def layout_of(config: Any) -> tuple[int | None, list[str] | None]:
    """Return the two words that vLLM goes by."""
    decoder = config.get_text_config()
    return decoder.sliding_window, getattr(decoder, "layer_types", None)


@pytest.mark.parametrize(
    ("config", "window", "layer_types"),
    [
        pytest.param(MISTRAL, 4096, [SLIDING] * 2, id="window of the class"),
        pytest.param(MISTRAL | {"sliding_window": 16}, 16, [SLIDING] * 2, id="window"),
        pytest.param(MISTRAL | {"sliding_window": None}, None, None, id="no window"),
        pytest.param(MISTRAL | {"sliding_window": -1}, None, None, id="a number that means none"),
        pytest.param(
            MISTRAL | {"sliding_window": 16, "layer_types": [FULL, SLIDING]}, 16, [FULL, SLIDING], id="interleaved"
        ),
        pytest.param(
            MISTRAL | {"sliding_window": 16, "layer_types": [FULL, FULL]}, None, [FULL, FULL], id="no layer slides"
        ),
        pytest.param(
            {"model_type": "mistral", "num_hidden_layers": 2, "sliding_window": 8},
            8,
            [SLIDING] * 2,
            id="no architectures",
        ),
        pytest.param(MINISTRAL3 | {"sliding_window": 16}, 16, [SLIDING] * 2, id="Ministral 3"),
        pytest.param(MIXTRAL | {"sliding_window": 16}, 16, [SLIDING] * 2, id="Mixtral"),
        pytest.param(
            MISTRAL3 | {"text_config": MISTRAL | {"sliding_window": 16}}, 16, [SLIDING] * 2, id="with pictures"
        ),
    ],
)
def test_config_json(tmp_path: Path, config: dict[str, Any], window: int | None, layer_types: list[str] | None) -> None:
    """A Mistral's decoder has one window or none, and with a window a type for each layer."""
    assert layout_of(parsed_config(tmp_path, config)) == (window, layer_types)


@pytest.mark.parametrize(
    ("params", "window", "layer_types"),
    [
        pytest.param(PARAMS | {"sliding_window": 16}, 16, [SLIDING] * 4, id="window"),
        pytest.param(PARAMS | {"sliding_window": [None, 16]}, 16, [FULL, SLIDING] * 2, id="pattern"),
        pytest.param(PARAMS | {"sliding_window": None}, None, None, id="no window"),
        pytest.param(
            PARAMS | {"sliding_window": [None, 16], "vision_encoder": VISION},
            16,
            [FULL, SLIDING] * 2,
            id="with pictures",
        ),
    ],
)
def test_params_json(tmp_path: Path, params: dict[str, Any], window: int | None, layer_types: list[str] | None) -> None:
    """The same from params.json, whose model_type is "transformer" whatever it is."""
    assert layout_of(parsed_params(tmp_path, params)) == (window, layer_types)


def test_params_json_filled_from_config_json(tmp_path: Path) -> None:
    """Words that params.json lacks come from config.json, as vLLM has it; then they are made consistent."""
    (tmp_path / "config.json").write_text(json.dumps(MISTRAL | {"sliding_window": 16}))
    assert layout_of(parsed_params(tmp_path, PARAMS)) == (16, [SLIDING] * 4)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "sliding_window": -1},
        {
            "model_type": "qwen2",
            "architectures": ["Qwen2ForCausalLM"],
            "use_sliding_window": True,
            "sliding_window": 16,
        },
        {"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]},
        {"model_type": "mistral4", "architectures": ["Mistral4ForCausalLM"], "sliding_window": 16},
        {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]},
        {
            "model_type": "llava",
            "architectures": ["LlavaForConditionalGeneration"],
            "text_config": {"model_type": "llama"},
        },
    ],
    ids=lambda config: config["model_type"],
)
def test_no_other_model_changes(tmp_path: Path, config: dict[str, Any]) -> None:
    """Of any other family vLLM's own parser is the last word, windows included."""
    ours = parsed_config(tmp_path, config)
    assert ours.to_dict() == parsed_config(tmp_path, config, HFConfigParser).to_dict()


def test_a_layout_that_cannot_be_read(tmp_path: Path) -> None:
    """A Mistral of two window sizes in layer_types' words is not served by a guess."""
    config = MISTRAL | {"sliding_window": 16, "layer_types": [SLIDING, "chunked_attention"]}
    with pytest.raises(Unsupported, match="layer_types holds 'chunked_attention', expected sliding_attention or"):
        parsed_config(tmp_path, config)
