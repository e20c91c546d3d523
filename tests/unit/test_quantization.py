"""How checkpoints say that their weights are quantised, and on which GPUs they run."""

from dataclasses import replace
from typing import Any

import pytest

from mistral_operator.planning.facts import ModelFacts, WeightFormat, Weights
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.quantization import Quantization, read_quantization
from mistral_vllm.backends import ComputeCapability
from unit.planning_on_clusters import A100, DEFAULTS, GIB, H200, L4, T4, facts, gpus, spec

FP8_CACHE = {"num_bits": 8, "type": "float", "dynamic": False}
FLOAT8 = {"num_bits": 8, "type": "float", "strategy": "channel"}
DYNAMIC8 = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}
INT8 = {"num_bits": 8, "type": "int", "strategy": "channel", "group_size": None}
FLOAT4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
CT = {"quant_method": "compressed-tensors"}
NVFP4 = {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16, "exclude_modules": ["lm_head"]}


def groups(*pairs: tuple[dict[str, Any], dict[str, Any] | None]) -> dict[str, Any]:
    """Return config_groups, each of weights and input activations."""
    named = {
        f"group_{number}": {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
        for number, (weights, inputs) in enumerate(pairs)
    }
    return {"config_groups": named}


@pytest.mark.parametrize(
    ("config", "scheme", "capability", "input_group", "kv_cache_dtype"),
    [
        pytest.param({"quant_method": "fp8", "activation_scheme": "static"}, None, "7.5", None, None, id="fp8"),
        pytest.param(
            {"quant_method": "fp8", "weight_block_size": [128, 64]}, None, "7.5", 64, None, id="fp8 in blocks"
        ),
        pytest.param({"qformat_weight": "fp8_e4m3"}, None, "7.5", None, None, id="params.json"),
        pytest.param({"quant_method": "gptq", "bits": 4, "group_size": 128}, None, "6.0", 128, None, id="GPTQ"),
        pytest.param({"quant_method": "gptq", "bits": 4, "group_size": -1}, None, "6.0", None, None, id="by channel"),
        pytest.param({"quant_method": "awq", "bits": 4, "group_size": 128}, None, "7.5", 128, None, id="AWQ"),
        pytest.param({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, None, "7.5", 64, None, id="AWQ, older"),
        pytest.param({"quant_method": "experts_int8"}, None, "8.0", None, None, id="experts in int8"),
        pytest.param({"quant_method": "hqq"}, None, None, None, None, id="a method that is left to vLLM"),
        pytest.param(
            {"quant_method": "modelopt", "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}},
            "FP8", "8.9", None, "fp8", id="ModelOpt FP8",
        ),
        pytest.param(
            {"quant_method": "modelopt_fp4", "quantization": NVFP4}, "NVFP4", "7.5", 16, "fp8", id="ModelOpt NVFP4"
        ),
        pytest.param(
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": FP8_CACHE},
            "NVFP4", "7.5", 16, "fp8", id="ModelOpt NVFP4, flat",
        ),
        pytest.param(
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": FP8_CACHE | {"num_bits": 4}},
            "NVFP4", "7.5", 16, "nvfp4", id="with a cache in four bits",
        ),
        pytest.param(
            {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}},
            "FP8", "8.9", None, None, id="ModelOpt, told by its producer",
        ),
        pytest.param(CT | groups((INT4, None)), "W4A16", "7.5", 128, None, id="W4A16"),
        pytest.param(CT | groups((INT8, None)), "W8A16", "7.5", None, None, id="W8A16"),
        pytest.param(CT | groups((INT8, INT8)), "W8A8-INT8", "7.5", None, None, id="W8A8 in int8"),
        pytest.param(CT | groups((FLOAT8, DYNAMIC8)), "W8A8-FP8", "7.5", None, None, id="W8A8 in fp8"),
        pytest.param(CT | groups((FLOAT8, None)), "W8A16-FP8", "7.5", None, None, id="W8A16 in fp8"),
        pytest.param(CT | groups((INT4, DYNAMIC8)), "W4A8-FP8", "9.0", 128, None, id="W4A8"),
        pytest.param(CT | groups((FLOAT4, FLOAT4)), "NVFP4", "7.5", 16, None, id="NVFP4"),
        pytest.param(CT | groups((FLOAT4, None)), "NVFP4A16", "7.5", 16, None, id="NVFP4A16"),
        pytest.param(CT | groups((FLOAT4 | {"group_size": 32}, None)), "MXFP4", "8.0", 32, None, id="MXFP4"),
        pytest.param(
            CT | groups((INT4, None), (FLOAT8, DYNAMIC8)), "W4A16 and W8A8-FP8", "7.5", 128, None, id="two groups"
        ),
        pytest.param(
            CT | groups((INT4, None)) | {"kv_cache_scheme": FP8_CACHE}, "W4A16", "7.5", 128, "fp8", id="and the cache"
        ),
        pytest.param(CT, None, "7.0", None, None, id="no groups"),
        pytest.param(CT | {"config_groups": {"group_0": None, "group_1": {"weights": 4}}}, None, "7.0", None, None,
                     id="groups that say nothing"),
        pytest.param({"quant_method": "compressed_tensors"}, None, "7.0", None, None, id="with an underscore"),
    ],
)  # fmt: skip
def test_what_a_file_says(
    config: dict[str, Any],
    scheme: str | None,
    capability: str | None,
    input_group: int | None,
    kv_cache_dtype: str | None,
) -> None:
    """Method, scheme, the least GPU, the groups that GPUs may not cut, and what the cache becomes."""
    found = read_quantization([{"quantization_config": config}])
    assert found is not None
    least = None if capability is None else ComputeCapability.parse(capability)
    said = (found.scheme, found.min_compute_capability, found.input_group, found.kv_cache_dtype)
    assert said == (scheme, least, input_group, kv_cache_dtype)


def test_where_it_is_written() -> None:
    """At the top or in the decoder, under any of three words; the first that says something counts."""
    fp8 = {"quant_method": "fp8"}
    for word in ("quantization_config", "compression_config", "quantization"):
        assert read_quantization([{}, {word: fp8}]) == read_quantization([{word: fp8}])
    assert read_quantization([{"quantization_config": {}}, {"quantization": None}]) is None
    assert str(read_quantization([{"quantization_config": CT | groups((INT4, None))}])) == "compressed-tensors W4A16"
    assert str(Quantization(None)) == "unnamed"


def quantised(config: dict[str, Any], *classes: Any, size_gib: float = 7) -> Placement:
    """Plan a quantised Mistral-7B on classes of GPU."""
    plain = facts(quantization_config=config)
    weights = Weights(WeightFormat.HF, int(size_gib * GIB), ("model.safetensors",))
    read = ModelFacts(plain.id, plain.revision, plain.commit, plain.config, None, (weights,))
    return place(read, spec(engine={"maxModelLen": 4096}), Inventory(frozenset(classes)), DEFAULTS)


def test_a_gpu_without_the_kernels_is_left_out() -> None:
    """The class is named with what the weights need; the plan is made for those that have it."""
    config = {"quant_method": "modelopt", "quant_algo": "FP8"}
    placement = quantised(config, H200, A100, L4, T4)
    assert [gpu.product for gpu in placement.classes] == ["NVIDIA-H200", "NVIDIA-L4"]
    needs = "weights quantised with modelopt FP8 need compute capability 8.9, the GPU has"
    assert [(left.gpu, left.reason, left.message) for left in placement.left_out] == [
        (A100, PlanReason.GPU_TOO_OLD, f"{needs} 8.0"),
        (T4, PlanReason.GPU_TOO_OLD, f"{needs} 7.5"),
    ]


def test_no_gpu_has_the_kernels() -> None:
    """It is refused before a pod exists."""
    with pytest.raises(Unplannable, match=r"W4A8-FP8 need compute capability 9\.0, the GPU has 8\.9") as refusal:
        quantised(CT | groups((INT4, DYNAMIC8)), L4)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.HARDWARE, PlanReason.GPU_TOO_OLD)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"quant_method": "gptq", "group_size": 128}, id="GPTQ"),
        pytest.param({"quant_method": "awq", "group_size": 128}, id="AWQ"),
        pytest.param({"quant_method": "fp8"}, id="fp8"),
        pytest.param({"quant_method": "modelopt_fp4", "quantization": NVFP4}, id="NVFP4"),
        pytest.param(CT | groups((INT4, None)), id="W4A16"),
        pytest.param(CT | groups((FLOAT8, DYNAMIC8)), id="W8A8"),
    ],
)
def test_weights_count_as_stored(config: dict[str, Any]) -> None:
    """Whatever the method, the bytes are those of the files, and what remains is the cache's."""
    small, large = (quantised(config, gpus("X", "10.0", 40), size_gib=size).plan.memory for size in (4, 7))
    assert small is not None
    assert large is not None
    assert (small.weights_bytes, large.weights_bytes) == (4 * GIB, 7 * GIB)
    assert small.kv_cache_bytes - large.kv_cache_bytes == 3 * GIB
    assert small.kv_cache.bytes_per_token == (65536 if "quantization" in config else 131072)


def test_a_file_beside_the_config() -> None:
    """What config.json leaves to hf_quant_config.json counts; a word in config.json comes first."""
    beside = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    inventory = Inventory(frozenset({H200, A100}))
    placement = place(replace(facts(), quantization=beside), spec(), inventory, DEFAULTS)
    assert placement.classes == (H200,)
    assert (placement.plan.precision.quantization, placement.plan.precision.kv_cache_dtype) == ("modelopt", "fp8")
    first = replace(facts(quantization_config={"quant_method": "awq"}), quantization=beside)
    assert place(first, spec(), inventory, DEFAULTS).plan.precision.quantization == "awq"
