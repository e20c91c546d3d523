"""Which dtypes a deployment runs in: asked for, written, or told by the stored weights."""

from collections.abc import Mapping
from typing import Any

import pytest

from mistral_operator.planning.facts import ModelFacts, WeightFormat, Weights
from mistral_operator.planning.precision import Precision, resolve_precision
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_vllm.backends import ComputeCapability, Platform
from mistral_vllm.decoder import ConfigFormat, find_decoder

HOPPER, TURING, VOLTA = ComputeCapability(9, 0), ComputeCapability(7, 5), ComputeCapability(7, 0)
MISTRAL = {"model_type": "mistral"}


def resolved(
    config: Mapping[str, Any] | None = None,
    *,
    dtype: str | None = None,
    kv_cache_dtype: str = "auto",
    capability: ComputeCapability | None = HOPPER,
    platform: Platform = Platform.CUDA,
    stored: Mapping[str, int] | None = None,
    weight_format: WeightFormat = WeightFormat.HF,
) -> Precision:
    """Resolve the precision of a config.json, beside weights stored in those dtypes."""
    config = MISTRAL | dict(config or {})
    weights = () if stored is None else (Weights(WeightFormat.HF, 1, ("model.safetensors",), None, stored),)
    return resolve_precision(
        ModelFacts("a/model", "main", None, config, None, weights),
        config,
        find_decoder(config, ConfigFormat.HF),
        weight_format=weight_format,
        dtype=dtype,
        kv_cache_dtype=kv_cache_dtype,
        compute_capability=capability,
        platform=platform,
    )


def reasons(precision: Precision) -> list[str]:
    """Return the reasons of the findings."""
    return [str(finding.reason) for finding in precision.findings]


@pytest.mark.parametrize(
    ("config", "stored", "dtype"),
    [
        pytest.param({"dtype": "float16"}, None, "float16", id="dtype"),
        pytest.param({"torch_dtype": "float16"}, None, "float16", id="torch_dtype, the older word"),
        pytest.param({"torch_dtype": "torch.float16"}, None, "float16", id="with torch's prefix"),
        pytest.param({"dtype": "half"}, None, "float16", id="half"),
        pytest.param({"dtype": "bfloat16", "torch_dtype": "float16"}, None, "bfloat16", id="dtype before torch_dtype"),
        pytest.param({"dtype": None, "torch_dtype": "float16"}, None, "float16", id="null is not written"),
        pytest.param({}, None, "bfloat16", id="neither, nothing stored"),
        pytest.param({}, {"F16": 7, "I32": 99}, "float16", id="neither: as stored, packed types apart"),
        pytest.param({}, {"BF16": 7}, "bfloat16", id="neither: stored in bfloat16"),
        pytest.param({}, {"BF16": 9, "F32": 2}, "bfloat16", id="neither: a few norms in float32"),
        pytest.param({}, {"F32": 9}, "bfloat16", id="neither: float32 is never computed in on a GPU"),
        pytest.param({}, {"I32": 9}, "bfloat16", id="neither: packed alone"),
        pytest.param({"dtype": "float16"}, {"BF16": 9}, "float16", id="written, whatever is stored"),
        pytest.param({"dtype": "float32"}, None, "bfloat16", id="float32"),
        pytest.param({"dtype": "float"}, None, "bfloat16", id="float is float32"),
        pytest.param({"dtype": "float8_e4m3fn"}, None, "bfloat16", id="a storage dtype is not computed in"),
        pytest.param({"dtype": ["bfloat16"]}, None, "bfloat16", id="no text"),
    ],
)
def test_automatic_dtype(config: dict[str, Any], stored: dict[str, int] | None, dtype: str) -> None:
    """The file says, else the stored weights do; on a GPU float32 becomes bfloat16."""
    precision = resolved(config, stored=stored)
    assert (precision.dtype, precision.dtype_bytes, precision.findings) == (dtype, 2, ())
    assert resolved(config, stored=stored, dtype="auto") == precision


def test_float16_with_some_float32_stored() -> None:
    """Like vLLM: the dtype all stored ones can be cast to: float32, which on a GPU becomes bfloat16."""
    assert resolved(stored={"F16": 9, "F32": 2}).dtype == "bfloat16"


def test_weights_of_the_other_format_say_nothing() -> None:
    """Only the weights that are loaded tell their dtype."""
    assert resolved(stored={"F16": 7}, weight_format=WeightFormat.MISTRAL).dtype == "bfloat16"


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"model_type": "mistral3", "dtype": "float16", "text_config": {}}, id="at the top"),
        pytest.param({"model_type": "mistral3", "text_config": {"torch_dtype": "float16"}}, id="in text_config"),
    ],
)
def test_dtype_of_a_multimodal_model(config: dict[str, Any]) -> None:
    """Multimodal files write the dtype at the top, or in the decoder."""
    assert resolved(config).dtype == "float16"


@pytest.mark.parametrize(
    ("asked", "dtype", "size"),
    [("half", "float16", 2), ("float16", "float16", 2), ("bfloat16", "bfloat16", 2), ("float", "float32", 4),
     ("float32", "float32", 4)],
)  # fmt: skip
def test_a_dtype_asked_for_is_kept(asked: str, dtype: str, size: int) -> None:
    """What a user asks for is run, float32 too, under its full name."""
    precision = resolved({"dtype": "float16"}, dtype=asked)
    assert (precision.dtype, precision.dtype_bytes, precision.kv_cache_dtype_bytes) == (dtype, size, size)


@pytest.mark.parametrize("capability", [TURING, VOLTA], ids=str)
def test_bfloat16_falls_back_below_ampere(capability: ComputeCapability) -> None:
    """A bfloat16 checkpoint runs in float16 where the GPU has no bfloat16, and the plan says so."""
    precision = resolved({"dtype": "bfloat16"}, capability=capability)
    assert (precision.dtype, reasons(precision)) == ("float16", ["DTypeFallback"])
    assert str(capability) in precision.findings[0].message


@pytest.mark.parametrize(
    ("capability", "platform", "dtype"),
    [
        pytest.param(ComputeCapability(8, 0), Platform.CUDA, "bfloat16", id="8.0 has it"),
        pytest.param(ComputeCapability(10, 0), Platform.CUDA, "bfloat16", id="10.0 is above 8.0"),
        pytest.param(None, Platform.CUDA, "bfloat16", id="an unknown GPU is taken to have it"),
        pytest.param(None, Platform.CPU, "bfloat16", id="the CPU"),
    ],
)
def test_bfloat16_stays(capability: ComputeCapability | None, platform: Platform, dtype: str) -> None:
    """Everywhere else bfloat16 stays, without a word."""
    precision = resolved({"dtype": "bfloat16"}, capability=capability, platform=platform)
    assert (precision.dtype, precision.findings) == (dtype, ())


def test_a_float32_checkpoint_is_not_called_bfloat16() -> None:
    """Below Ampere float32 becomes float16, and nothing claims that the checkpoint was bfloat16."""
    precision = resolved({"dtype": "float32"}, capability=TURING)
    assert precision.dtype == "float16"
    assert not any("is bfloat16" in finding.message for finding in precision.findings)


def test_float32_on_the_cpu() -> None:
    """An automatic dtype is never float32, on the CPU neither."""
    assert resolved({"dtype": "float32"}, platform=Platform.CPU, capability=None).dtype == "bfloat16"


@pytest.mark.parametrize("capability", [TURING, VOLTA], ids=str)
def test_bfloat16_asked_for_is_refused_below_ampere(capability: ComputeCapability) -> None:
    """What a GPU cannot compute in is refused when it is asked for, with both numbers."""
    with pytest.raises(
        Unplannable, match=rf"bfloat16 needs compute capability 8\.0, the GPU has {capability}"
    ) as refusal:
        resolved(dtype="bfloat16", capability=capability)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.PLACEMENT, PlanReason.DTYPE_UNKNOWN)


@pytest.mark.parametrize("dtype", ["fp16", "int8", "float64", "", "BFLOAT16"])
def test_unknown_dtypes(dtype: str) -> None:
    """A dtype vLLM does not have is refused with those it has."""
    with pytest.raises(Unplannable, match="Use one of float16, bfloat16, float32") as refusal:
        resolved(dtype=dtype)
    assert refusal.value.reason == PlanReason.DTYPE_UNKNOWN
    assert repr(dtype) in refusal.value.message


@pytest.mark.parametrize(
    ("asked", "size"),
    [("auto", 2), ("float16", 2), ("bfloat16", 2), ("fp8", 1), ("fp8_e4m3", 1), ("fp8_e5m2", 1)],
)
def test_kv_cache_dtype_asked_for(asked: str, size: int) -> None:
    """The KV cache's dtype is what is asked for."""
    precision = resolved(kv_cache_dtype=asked)
    assert (precision.kv_cache_dtype, precision.kv_cache_dtype_bytes, precision.findings) == (asked, size, ())


def test_unknown_kv_cache_dtype() -> None:
    """A KV cache dtype nobody has is refused."""
    with pytest.raises(Unplannable, match="KV cache dtype 'int3' is unknown") as refusal:
        resolved(kv_cache_dtype="int3")
    assert refusal.value.reason == PlanReason.DTYPE_UNKNOWN


SCHEME = {"num_bits": 8, "type": "float", "dynamic": False}


@pytest.mark.parametrize(
    ("config", "method", "kv_cache_dtype"),
    [
        pytest.param({}, None, "auto", id="none"),
        pytest.param({"quantization_config": {"quant_method": "fp8"}}, "fp8", "auto", id="fp8 weights alone"),
        pytest.param(
            {"quantization_config": {"quant_method": "compressed-tensors", "kv_cache_scheme": SCHEME}},
            "compressed-tensors",
            "fp8",
            id="kv_cache_scheme",
        ),
        pytest.param(
            {"quantization_config": {"quant_method": "compressed-tensors", "kv_cache_scheme": None}},
            "compressed-tensors",
            "auto",
            id="a null kv_cache_scheme",
        ),
        pytest.param(
            {"compression_config": {"quant_method": "compressed-tensors", "kv_cache_scheme": SCHEME}},
            "compressed-tensors",
            "fp8",
            id="compression_config, the older word",
        ),
        pytest.param(
            {"quantization_config": {"quant_method": "modelopt", "quantization": {"kv_cache_quant_algo": "FP8"}}},
            "modelopt",
            "fp8",
            id="ModelOpt, nested",
        ),
        pytest.param(
            {"quantization_config": {"quant_method": "modelopt", "kv_cache_quant_algo": "fp8"}},
            "modelopt",
            "fp8",
            id="ModelOpt, flat",
        ),
        pytest.param(
            {"quantization_config": {"quant_method": "modelopt", "quantization": {"kv_cache_quant_algo": None}}},
            "modelopt",
            "auto",
            id="ModelOpt without one",
        ),
        pytest.param(
            {"quantization": {"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}},
            "fp8_e4m3",
            "auto",
            id="params.json's",
        ),
        pytest.param({"quantization_config": None, "compression_config": {}}, None, "auto", id="null and empty"),
        pytest.param({"quantization_config": {"quant_method": 8}}, None, "auto", id="a method that is no text"),
        pytest.param({"quantization_config": "fp8"}, None, "auto", id="no object"),
        pytest.param(
            {"model_type": "mistral3", "text_config": {"quantization_config": {"quant_method": "compressed-tensors",
             "kv_cache_scheme": SCHEME}}},
            "compressed-tensors",
            "fp8",
            id="nested under text_config",
        ),
    ],
)  # fmt: skip
def test_quantization(config: dict[str, Any], method: str | None, kv_cache_dtype: str) -> None:
    """A checkpoint's own scheme turns an automatic KV cache into fp8, and the plan says so."""
    precision = resolved(config)
    assert (precision.quantization, precision.kv_cache_dtype) == (method, kv_cache_dtype)
    assert reasons(precision) == (["CheckpointKVCache"] if kv_cache_dtype == "fp8" else [])
    assert precision.kv_cache_dtype_bytes == (1 if kv_cache_dtype == "fp8" else 2)


def test_a_kv_cache_dtype_asked_for_wins_over_the_checkpoint() -> None:
    """An explicit choice is kept, as vLLM keeps it."""
    config = {"quantization_config": {"quant_method": "compressed-tensors", "kv_cache_scheme": SCHEME}}
    precision = resolved(config, kv_cache_dtype="bfloat16")
    assert (precision.kv_cache_dtype, precision.findings) == ("bfloat16", ())
