"""A decoder's dimensions as its file and its class give them, and the longest sequence as vLLM derives it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import devcluster.hub
from mistral_operator.planning.geometry import Geometry, read_geometry
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_vllm.decoder import ConfigFormat, find_decoder
from mistral_vllm.layout import count_layers

MODELS = Path(devcluster.hub.__file__).with_name("models")
MISTRAL = {"model_type": "mistral"}
PARAMS = {
    "dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "head_dim": 128, "hidden_dim": 14336,
    "vocab_size": 32000,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def of_config(config: Mapping[str, Any]) -> Geometry:
    """Read the geometry of a config.json."""
    decoder = find_decoder(config, ConfigFormat.HF)
    return read_geometry(decoder, count_layers(decoder)[0])


def of_params(params: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> Geometry:
    """Read the geometry of a params.json, with the config.json beside it."""
    decoder = find_decoder(params, ConfigFormat.MISTRAL)
    return read_geometry(decoder, count_layers(decoder)[0], beside=beside)


def file_of(model: str, name: str) -> dict[str, Any]:
    """Load one file of a known model."""
    content: dict[str, Any] = json.loads((MODELS / model / name).read_text())
    return content


@pytest.mark.parametrize(
    ("config", "head_size"),
    [
        pytest.param({"head_dim": 128, "hidden_size": 5120, "num_attention_heads": 32}, 128, id="Nemo, written"),
        pytest.param({"head_dim": None, "hidden_size": 5120, "num_attention_heads": 32}, 160, id="null is derived"),
        pytest.param({"hidden_size": 1024, "num_attention_heads": 32}, 32, id="TinyMistral, derived"),
        pytest.param({"hidden_size": 2560, "num_attention_heads": 32}, 80, id="Minerva, derived"),
        pytest.param({"hidden_size": 3072, "num_attention_heads": 32}, 96, id="Phi-3 as Mistral, derived"),
        pytest.param({}, 128, id="class defaults, derived"),
        pytest.param({"model_type": "ministral3", "hidden_size": 3072}, 128, id="class default, not derived"),
    ],
)
def test_head_size(config: dict[str, Any], head_size: int) -> None:
    """The head size is what the file or the class writes, else hidden size over heads."""
    assert of_config(MISTRAL | config).head_size == head_size


@pytest.mark.parametrize(
    ("config", "kv_heads"),
    [
        pytest.param({"num_key_value_heads": 2}, 2, id="written"),
        pytest.param({}, 8, id="absent is Mistral's class default"),
        pytest.param({"num_key_value_heads": None, "num_attention_heads": 16}, 16, id="null is one for each head"),
        pytest.param({"model_type": "llama", "num_attention_heads": 16}, 16, id="absent in llama is one for each head"),
    ],
)
def test_kv_heads(config: dict[str, Any], kv_heads: int) -> None:
    """KV heads are those written, else the class default, else the query heads."""
    assert of_config(MISTRAL | config).kv_heads == kv_heads


def test_a_minimal_file_is_its_class_defaults() -> None:
    """A config.json that only names its type is the type's own default model."""
    assert of_config(MISTRAL) == Geometry(32, 4096, 32, 8, 128, 14336, 32000, 131072, rope_scaled=False)


def test_a_nested_decoder_counts() -> None:
    """The dimensions of a multimodal model are those of its text_config, whatever the top level says."""
    outer = {"model_type": "mistral3", "hidden_size": 9, "vocab_size": 9, "text_config": {"hidden_size": 2048}}
    geometry = of_config(outer)
    assert (geometry.hidden_size, geometry.vocab_size, geometry.head_size) == (2048, 32000, 64)


def test_params_json_names() -> None:
    """params.json says dim, n_layers, n_heads, n_kv_heads and hidden_dim."""
    params = PARAMS | {"max_position_embeddings": 4000}
    assert of_params(params) == Geometry(32, 4096, 32, 8, 128, 14336, 32000, 4000, rope_scaled=False)


@pytest.mark.parametrize(
    ("params", "beside", "tokens"),
    [
        pytest.param({"max_position_embeddings": 4000}, {"max_position_embeddings": 32768}, 4000, id="its own"),
        pytest.param({}, {"max_position_embeddings": 32768}, 32768, id="config.json beside it"),
        pytest.param({}, {}, 128_000, id="config.json beside it has none"),
        pytest.param({}, None, 128_000, id="no config.json"),
        pytest.param({"max_position_embeddings": None}, {"max_position_embeddings": 32768}, 32768, id="null"),
    ],
)
def test_longest_sequence_of_params_json(params: dict[str, Any], beside: dict[str, Any] | None, tokens: int) -> None:
    """Where params.json has no longest sequence, vLLM asks config.json, else takes 128000."""
    assert of_params(PARAMS | params, beside).max_model_len_tokens == tokens


@pytest.mark.parametrize(
    ("beside", "tokens"),
    [
        pytest.param({"text_config": {"max_position_embeddings": 8192}}, 8192, id="nested under text_config"),
        pytest.param({"model_type": "mistral"}, 131072, id="the class default"),
    ],
)
def test_the_config_beside_params_json_is_read_as_its_class_reads_it(beside: dict[str, Any], tokens: int) -> None:
    """VLLM asks get_config(...).get_text_config(): nested decoders count, and class defaults are filled in."""
    assert of_params(PARAMS, {"model_type": "mistral3"} | beside).max_model_len_tokens == tokens


def test_max_seq_len_of_params_json_is_a_limit_too() -> None:
    """VLLM takes the smallest of the words for a longest sequence; params.json has max_seq_len as well."""
    assert of_params(PARAMS | {"max_seq_len": 32768}).max_model_len_tokens == 32768


@pytest.mark.parametrize(
    ("rope", "tokens", "scaled"),
    [
        pytest.param({}, 4000, False, id="none"),
        pytest.param({"rope_parameters": {"rope_theta": 1e6}}, 4000, False, id="theta alone"),
        pytest.param({"rope_parameters": {"rope_type": "default"}}, 4000, False, id="default"),
        pytest.param({"rope_parameters": YARN}, 131072, True, id="yarn in rope_parameters"),
        pytest.param({"rope_scaling": YARN}, 131072, True, id="yarn in rope_scaling"),
        pytest.param(
            {"rope_scaling": {"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 8192}},
            131072,
            True,
            id="the older word type",
        ),
        pytest.param({"rope_scaling": {"type": "yarn", "factor": 4.0}}, 16000, True, id="yarn without its original"),
        pytest.param({"rope_scaling": {"type": "linear", "factor": 2.0}}, 8000, True, id="linear"),
        pytest.param({"rope_scaling": {"type": "dynamic", "factor": 1.5}}, 6000, True, id="dynamic"),
        pytest.param({"rope_scaling": {"type": "linear", "factor": None}}, 4000, False, id="a null factor is 1"),
        pytest.param({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 4000, False, id="llama3"),
        pytest.param({"rope_scaling": {"rope_type": "longrope", "factor": 8.0}}, 4000, False, id="longrope"),
        pytest.param({"rope_scaling": {"rope_type": "su", "factor": 8.0}}, 4000, False, id="su"),
        pytest.param({"rope_scaling": None}, 4000, False, id="null"),
        pytest.param({"rope_scaling": {}, "rope_parameters": YARN}, 131072, True, id="an empty one beside"),
        pytest.param(
            {"rope_parameters": {"full_attention": YARN, "sliding_attention": {"rope_type": "default"}}},
            131072,
            True,
            id="one for each layer type",
        ),
    ],
)
def test_rope_scaling(rope: dict[str, Any], tokens: int, scaled: bool) -> None:
    """The factor multiplies the longest sequence, for yarn the original one; llama3 and longrope are in it already."""
    geometry = of_config(MISTRAL | {"max_position_embeddings": 4000} | rope)
    assert (geometry.max_model_len_tokens, geometry.rope_scaled) == (tokens, scaled)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -4.0, 0, True, "4", [4]], ids=repr)
def test_a_senseless_factor_scales_nothing(factor: Any) -> None:
    """A factor that is no sensible number leaves the length alone."""
    rope = {"rope_scaling": {"type": "linear", "factor": factor}}
    geometry = of_config(MISTRAL | {"max_position_embeddings": 4000} | rope)
    assert (geometry.max_model_len_tokens, geometry.rope_scaled) == (4000, False)


def test_gemma3_is_scaled_already() -> None:
    """Gemma 3's longest sequence includes its scaling."""
    config = {"model_type": "gemma3_text", "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    assert of_config(config).max_model_len_tokens == 131072


@pytest.mark.parametrize(
    ("yarn", "tokens", "scaled"),
    [
        pytest.param({"original_max_position_embeddings": 4096, "factor": 64}, 262144, True, id="Devstral-2's"),
        pytest.param({}, 4000, False, id="empty"),
        pytest.param(None, 4000, False, id="null"),
    ],
)
def test_yarn_of_params_json(yarn: Any, tokens: int, scaled: bool) -> None:
    """params.json has a yarn object of its own."""
    geometry = of_params(PARAMS | {"max_position_embeddings": 4000, "yarn": yarn})
    assert (geometry.max_model_len_tokens, geometry.rope_scaled) == (tokens, scaled)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        pytest.param("mistralai__Devstral-2-123B-Instruct-2512", 262144, id="Devstral-2"),
        pytest.param("mistralai__Ministral-3-3B-Reasoning-2512", 262144, id="Ministral-3"),
        pytest.param("mistralai__Mistral-Nemo-Instruct-2407", 131072, id="Nemo"),
        pytest.param("mistralai__Mistral-Small-3.1-24B-Instruct-2503", 131072, id="Mistral-Small-3.1"),
        pytest.param("mistralai__Ministral-8B-Instruct-2410", 32768, id="Ministral-8B"),
        pytest.param("mistralai__Mistral-7B-v0.1", 32768, id="Mistral-7B-v0.1"),
    ],
)
def test_longest_sequence_of_known_models(model: str, tokens: int) -> None:
    """The published context lengths come out."""
    assert of_config(file_of(model, "config.json")).max_model_len_tokens == tokens


def test_yarn_mistral() -> None:
    """Yarn-Mistral-7b-128k writes 32768 and a factor of 16 over 8192."""
    rope = {"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 8192, "finetuned": True}
    geometry = of_config(MISTRAL | {"max_position_embeddings": 32768, "rope_scaling": rope})
    assert geometry.max_model_len_tokens == 131072


def test_both_files_of_devstral_agree() -> None:
    """config.json and params.json of one model give one geometry."""
    model = "mistralai__Devstral-2-123B-Instruct-2512"
    assert of_params(file_of(model, "params.json")) == of_config(file_of(model, "config.json"))


@pytest.mark.parametrize(
    ("keys", "latent_rank"),
    [
        pytest.param({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 576, id="Mistral-Large-3's"),
        pytest.param({"kv_lora_rank": 256}, 256, id="no rope part"),
        pytest.param({"kv_lora_rank": 512, "qk_rope_head_dim": None}, 512, id="a null rope part"),
        pytest.param({"kv_lora_rank": None, "qk_rope_head_dim": None}, 0, id="explicit nulls, as in Devstral-2"),
        pytest.param({"kv_lora_rank": 0, "qk_rope_head_dim": 64}, 0, id="zero"),
        pytest.param({"qk_rope_head_dim": 64}, 0, id="absent"),
    ],
)
def test_latent_attention(keys: dict[str, Any], latent_rank: int) -> None:
    """MLA caches one latent vector with its rope part; a null rank is no MLA."""
    assert of_params(PARAMS | keys).latent_rank == latent_rank


@pytest.mark.parametrize(
    ("kv_heads", "latent_rank", "gpus", "elements"),
    [
        pytest.param(8, 0, 1, 2 * 8 * 128, id="keys and values"),
        pytest.param(8, 0, 4, 2 * 2 * 128, id="shared by 4"),
        pytest.param(8, 0, 16, 2 * 1 * 128, id="more GPUs than KV heads hold one each"),
        pytest.param(8, 576, 1, 576, id="MLA"),
        pytest.param(8, 576, 8, 576, id="MLA is not shared"),
    ],
)
def test_kv_elements_per_token(kv_heads: int, latent_rank: int, gpus: int, elements: int) -> None:
    """One layer keeps keys and values of this GPU's heads, or MLA's whole vector."""
    geometry = Geometry(1, 4096, 32, kv_heads, 128, 1, 1, 1, rope_scaled=False, latent_rank=latent_rank)
    assert geometry.kv_elements_per_token(gpus) == elements


INVALID = [
    pytest.param(True, "the boolean true", id="boolean"),
    pytest.param(4096.0, "4096.0", id="float"),
    pytest.param("4096", "a string", id="string"),
    pytest.param(0, "0", id="zero"),
    pytest.param(-1, "-1", id="negative"),
    pytest.param(2**31 + 1, "2147483649", id="huge"),
    pytest.param(10**40, "1" + "0" * 19 + "…", id="enormous"),
    pytest.param(float("nan"), "nan", id="NaN"),
    pytest.param(float("inf"), "inf", id="infinity"),
    pytest.param([4096], "a list", id="list"),
    pytest.param({"a": 1}, "an object", id="object"),
]
DIMENSIONS = (
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "kv_lora_rank",
    "qk_rope_head_dim",
)


@pytest.mark.parametrize("key", DIMENSIONS)
@pytest.mark.parametrize(("value", "shown"), INVALID)
def test_invalid_dimensions(key: str, value: Any, shown: str) -> None:
    """A dimension that is no sensible positive integer is refused with the file, the key and what stands there."""
    config = MISTRAL | {"head_dim": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64, key: value}
    if key == "kv_lora_rank" and value == 0:
        assert of_config(config).latent_rank == 0
        return
    with pytest.raises(Unplannable) as refusal:
        of_config(config)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.MODEL, PlanReason.GEOMETRY_INVALID)
    assert refusal.value.message.startswith(f"config.json: {key} is {shown}, ")
    assert refusal.value.next_step


@pytest.mark.parametrize(("value", "shown"), INVALID)
def test_invalid_head_dim(value: Any, shown: str) -> None:
    """A head_dim that is written and is no sensible positive integer is refused, never derived in its place."""
    with pytest.raises(Unplannable, match=f"config.json: head_dim is {shown}") as refusal:
        of_config(MISTRAL | {"head_dim": value})
    assert refusal.value.reason == PlanReason.GEOMETRY_INVALID


def test_the_key_that_is_wrong_is_named() -> None:
    """A wrong hidden size is blamed itself where the head size would be derived from it."""
    with pytest.raises(Unplannable, match=r"config\.json: hidden_size is a string"):
        of_config(MISTRAL | {"hidden_size": "4096"})


@pytest.mark.parametrize("key", ["dim", "n_heads", "n_kv_heads", "hidden_dim"])
def test_the_files_own_word_is_named(key: str) -> None:
    """A wrong dimension of params.json is named as params.json names it."""
    with pytest.raises(Unplannable, match=rf"params\.json: {key} is a string"):
        of_params(PARAMS | {key: "4096"})


@pytest.mark.parametrize(
    ("config", "where"),
    [
        pytest.param({"text_config": {"vocab_size": 0}}, "config.json: text_config.vocab_size is 0", id="nested"),
        pytest.param(
            {"text_config": {"max_position_embeddings": 0}},
            "config.json: text_config.max_position_embeddings is 0",
            id="nested, longest sequence",
        ),
    ],
)
def test_invalid_nested_dimensions(config: dict[str, Any], where: str) -> None:
    """The path of a nested key is part of its name."""
    with pytest.raises(Unplannable) as refusal:
        of_config({"model_type": "mistral3"} | config)
    assert refusal.value.message.startswith(where)


@pytest.mark.parametrize("key", ["dim", "n_heads", "hidden_dim", "vocab_size"])
def test_missing_dimensions_of_params_json(key: str) -> None:
    """params.json has no class to fill in what it lacks."""
    with pytest.raises(Unplannable, match=r"params\.json: \w+ is null") as refusal:
        of_params({name: value for name, value in PARAMS.items() if name != key})
    assert refusal.value.reason == PlanReason.GEOMETRY_INVALID


def test_a_null_longest_sequence_is_refused() -> None:
    """An explicit null in config.json is no length, whatever the class default."""
    with pytest.raises(Unplannable, match=r"config\.json: max_position_embeddings is null"):
        of_config(MISTRAL | {"max_position_embeddings": None})


def test_more_heads_than_hidden_size() -> None:
    """A head size of nothing is refused."""
    with pytest.raises(Unplannable, match="head_dim") as refusal:
        of_config(MISTRAL | {"hidden_size": 16, "num_attention_heads": 32})
    assert refusal.value.reason == PlanReason.GEOMETRY_INVALID
