"""How many parameters a model has, by its dimensions, against the published totals."""

import json
from pathlib import Path
from typing import Any

import pytest

import devcluster.hub
from mistral_operator.planning.geometry import read_geometry
from mistral_operator.planning.parameters import count_parameters
from mistral_vllm.decoder import ConfigFormat, find_decoder
from mistral_vllm.layout import count_layers

MODELS = Path(devcluster.hub.__file__).with_name("models")
MISTRAL = {"model_type": "mistral"}


def counted(config: dict[str, Any], config_format: ConfigFormat) -> int | None:
    """Count the parameters one file describes."""
    decoder = find_decoder(config, config_format)
    return count_parameters(read_geometry(decoder, count_layers(decoder)[0]), decoder, config)


@pytest.mark.parametrize(
    ("model", "total"),
    [
        ("mistralai__Mistral-7B-v0.1", 7_241_732_096),
        ("mistralai__Mistral-7B-Instruct-v0.1", 7_241_732_096),
        ("mistralai__Mistral-7B-Instruct-v0.3", 7_248_023_552),
        ("mistralai__Mixtral-8x7B-Instruct-v0.1", 46_702_792_704),
        ("mistralai__Mistral-Nemo-Instruct-2407", 12_247_782_400),
        ("mistralai__Ministral-8B-Instruct-2410", 8_019_808_256),
        ("mistralai__Ministral-8B-Instruct-2410--with-layer_types", 8_019_808_256),
        ("mistralai__Ministral-3-3B-Reasoning-2512", 3_849_090_048),
        ("mistralai__Codestral-22B-v0.1", 22_247_282_688),
        ("mistralai__Mistral-Small-3.1-24B-Instruct-2503", 24_011_361_280),
        ("mistralai__Devstral-2-123B-Instruct-2512", 125_025_988_608),
        ("intfloat__e5-mistral-7b-instruct", 7_110_660_096),
        ("Locutusque__TinyMistral-248M", 248_024_064),
        # 24 layers, a 16-pixel patch convolution, its norm, and two linear layers with biases between the two
        ("mistralai__Pixtral-12B-2409", 12_247_782_400 + 402_702_336 + 786_432 + 1024 + 31_467_520),
    ],
)
def test_published_totals(model: str, total: int) -> None:
    """Every file of every known model counts to its published total."""
    files = [(MODELS / model / kind.file_name, kind) for kind in ConfigFormat]
    found = {path.name: counted(json.loads(path.read_text()), kind) for path, kind in files if path.exists()}
    assert found
    assert found == dict.fromkeys(found, total)


def test_every_known_model_is_in_the_table() -> None:
    """A model added to the development hub is added here."""
    marks = test_published_totals.pytestmark  # type: ignore[attr-defined]
    assert {model for model, _ in marks[0].args[1]} == {path.name for path in MODELS.iterdir() if path.is_dir()}


EMBEDDINGS = 32000 * 4096


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        pytest.param({"tie_word_embeddings": True}, -EMBEDDINGS, id="a tied head is the embeddings"),
        pytest.param({"architectures": ["MistralModel"]}, -EMBEDDINGS, id="an embedding model has no head"),
        pytest.param({"architectures": ["MistralForCausalLM"]}, 0, id="a causal model has one"),
        pytest.param({"num_key_value_heads": 32}, 32 * 2 * 24 * 128 * 4096, id="KV heads"),
        pytest.param({"head_dim": 256}, 32 * 2 * 4096 * (32 + 8) * 128, id="head size"),
        pytest.param({"num_hidden_layers": 31}, -218_112_000, id="a layer"),
        pytest.param({"num_local_experts": 0}, 0, id="no experts"),
        pytest.param({"num_local_experts": True}, 0, id="a boolean is no number of experts"),
        pytest.param({"vision_config": None}, 0, id="a null tower is none"),
    ],
)
def test_what_changes_the_total(config: dict[str, Any], difference: int) -> None:
    """Each part counts where it is, and nowhere else."""
    plain = counted(MISTRAL, ConfigFormat.HF)
    assert plain == 7_241_732_096
    assert counted(MISTRAL | config, ConfigFormat.HF) == plain + difference


def test_tied_embeddings_of_params_json() -> None:
    """params.json calls it tied_embeddings."""
    params = json.loads((MODELS / "mistralai__Mistral-7B-v0.1" / "params.json").read_text())
    assert counted(params | {"tied_embeddings": True}, ConfigFormat.MISTRAL) == 7_241_732_096 - EMBEDDINGS


def test_experts_of_params_json() -> None:
    """params.json has its experts in moe."""
    params = json.loads((MODELS / "mistralai__Mistral-7B-v0.1" / "params.json").read_text())
    moe = {"num_experts": 8, "num_experts_per_tok": 2}
    assert counted(params | {"moe": moe}, ConfigFormat.MISTRAL) == 46_702_792_704


TOWER = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "patch_size": 14}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"kv_lora_rank": 512}, id="latent attention"),
        pytest.param({"audio_config": {}}, id="audio"),
        pytest.param({"multimodal": {}}, id="params.json's newer towers"),
        pytest.param({"vision_config": []}, id="a tower that is a list"),
        pytest.param({"vision_config": {}}, id="a tower without dimensions"),
        pytest.param({"vision_config": TOWER | {"hidden_size": "1024"}}, id="a text for a dimension"),
        pytest.param({"vision_config": TOWER | {"patch_size": True}}, id="a boolean for a dimension"),
        pytest.param({"vision_config": TOWER | {"num_hidden_layers": 2**40}}, id="a dimension beyond reason"),
    ],
)
def test_what_the_formula_does_not_cover(config: dict[str, Any]) -> None:
    """An architecture the formula was not made for has no total rather than a wrong one."""
    assert counted(MISTRAL | config, ConfigFormat.HF) is None
