"""A plan as vLLM is told it: the arguments after ``vllm serve`` and the environment.

Nothing is left to a release's own choice where releases differ: formats, lengths, batch sizes and memory are always
said.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mistral_operator.api.rendered import RENDERED_ENV
from mistral_operator.planning.facts import ModelFacts, WeightFormat
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import AUTO, Platform
from mistral_vllm.decision import BackendDecision
from mistral_vllm.decoder import ConfigFormat
from mistral_vllm.layer_types import LayerType
from mistral_vllm.runtimes import DEFAULT_VERSION, Runtime, RuntimeName, Selector

PLUGIN_NAME: Final = "mistral_vllm"
_KIND_IN_VLLM: Final = {LayerType.SLIDING: "sliding_window", LayerType.FULL: "full_attention"}  # KVCacheSpecKind
_OWN_NAMES: Final = frozenset({"tokenizer"})  # flags of vLLM that begin like rendered ones
_CONFIG: Final = "config"
_PIPELINE: Final = "pipeline-parallel-size"
_DATA_PARALLEL: Final = "data-parallel-"
# flags of vLLM 0.26 by which a server takes other GPUs than its pod is given: tensor times pipeline, on one node
_OTHER_GPUS: Final = ("data-parallel-size", "prefill-context-parallel-size", "nnodes", "node-rank", "headless")
_SHORT: Final = {
    "tp": "tensor-parallel-size", "ac": "attention-config", "pp": _PIPELINE, "dp": "data-parallel-size", "n": "nnodes",
    "r": "node-rank", **{f"dp{letter}": _DATA_PARALLEL for letter in "nrlapbhem"},
}  # fmt: skip


def model_args(
    facts: ModelFacts,
    config_format: ConfigFormat,
    load_format: WeightFormat,
    request: PlanRequest,
    max_model_len: int,
) -> list[str]:
    """Return the model and everything about it that is always said: formats, lengths, batch sizes, memory, dtypes."""
    args = [request.weights_path or facts.id]
    if facts.commit is not None and request.weights_path is None:
        args += ["--revision", facts.commit, "--tokenizer-revision", facts.commit]
    args += ["--config-format", config_format.value]
    explicit = request.runtime.release is None or request.runtime.release.explicit_hf_formats
    args += ["--load-format", "auto" if load_format is WeightFormat.HF and not explicit else load_format.value]
    args += ["--tokenizer-mode", _tokenizer_mode(facts, config_format, explicit=explicit)]
    args += ["--max-model-len", str(max_model_len)]
    args += ["--max-num-batched-tokens", str(request.max_num_batched_tokens)]
    args += ["--max-num-seqs", str(request.max_num_seqs)]
    if request.runtime.platform is Platform.CUDA:
        args += ["--gpu-memory-utilization", str(request.gpu_memory_utilization)]
    elif not says(request.extra_args, "--block-size"):
        args += ["--block-size", "16"]  # without AMX, vLLM 0.26's CPU kernel dies on any other
    if request.dtype not in (None, "auto"):
        args += ["--dtype", request.dtype]
    if request.kv_cache_dtype != "auto":
        args += ["--kv-cache-dtype", request.kv_cache_dtype]
    if request.tensor_parallel > 1:
        args += ["--tensor-parallel-size", str(request.tensor_parallel)]
    if request.enforce_eager:
        args += ["--enforce-eager"]
    return args


def says(extra_args: Iterable[str], flag: str) -> bool:
    """Tell whether a user's arguments hold a flag, with a value behind "=" or not, in either spelling."""
    return any(argument.replace("_", "-").startswith(flag) for argument in extra_args)


def hub_env(request: PlanRequest) -> dict[str, str]:
    """Return what makes the pod read the hub the plan was made from."""
    return {"HF_ENDPOINT": request.hf_endpoint} if request.hf_endpoint else {}


def attention_args(decision: BackendDecision, runtime: Runtime) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment that make this release run the decision."""
    told = {
        kind: backend.engine_name
        for kind, name in decision.backends.items()
        if name != AUTO and (backend := runtime.backend(name)) is not None
    }
    names = set(told.values())
    if not told or runtime.selector is Selector.NONE:
        return [], {}
    if runtime.selector is Selector.ENV:
        return [], {"VLLM_ATTENTION_BACKEND": names.pop()}
    if len(names) == 1 and len(told) == len(decision.backends):
        return ["--attention-backend", names.pop()], {}
    per_kind = {_KIND_IN_VLLM[kind]: name for kind, name in told.items()}
    return ["--attention-config", _compact({"backend_per_kind": per_kind})], {}


def override_args(overrides: Mapping[str, Any]) -> list[str]:
    """Return ``--hf-overrides``, or nothing."""
    return ["--hf-overrides", _compact(overrides)] if overrides else []


def plugin_env(runtime: Runtime) -> dict[str, str]:
    """Return what makes this project's plugin load, and stop the pod where it is needed and cannot do its work.

    On the CPU it only tells what runs: an image without it serves the same plan, since vLLM skips a name that it lacks.
    """
    if runtime.name is RuntimeName.MISTRAL_VLLM:
        return {"VLLM_PLUGINS": PLUGIN_NAME, "MISTRAL_VLLM_REQUIRED": "1"}
    if runtime.name is RuntimeName.VLLM_CPU and runtime.version == DEFAULT_VERSION:
        return {"VLLM_PLUGINS": PLUGIN_NAME}
    return {}


def refuse_conflicts(request: PlanRequest) -> None:
    """Refuse a user's argument or variable that the plan renders itself.

    Raises
    ------
    Unplannable
        Naming the argument or the variable.
    """
    for argument in request.extra_args:
        written = argument.split("=", 1)[0].split(".", 1)[0]
        cause = _conflict(written, request.refused_flags)
        if cause is not None:
            raise Unplannable(
                Problem.PLACEMENT,
                PlanReason.ARGUMENT_CONFLICT,
                f"extra argument {written} {cause}",
                "Remove it, and say it through the plan's own setting where there is one",
            )
    for name in sorted(RENDERED_ENV.keys() & request.env.keys()):
        raise Unplannable(
            Problem.PLACEMENT,
            PlanReason.ARGUMENT_CONFLICT,
            f"environment variable {name} is set by the plan itself",
            "Remove it, and say it through the plan's own setting",
        )


def _conflict(written: str, refused: frozenset[str]) -> str | None:
    """Say what is wrong with an argument's name; argparse takes the beginning of a long name for the whole."""
    long = written.startswith("--")
    name = written[2:].replace("_", "-") if long else _SHORT.get(written[1:], "") if written.startswith("-") else ""
    if not name or name in _OWN_NAMES:
        return None
    if name == _CONFIG:
        return "names a file of arguments that the plan does not see"
    if _PIPELINE.startswith(name):
        return "asks for a pipeline of several stages, which is not planned for yet"
    if name.startswith(_DATA_PARALLEL) or any(flag.startswith(name) for flag in _OTHER_GPUS):
        return "asks for other GPUs than the pod gets, which are those of spec.parallelism"
    if any(rendered.startswith(name) for rendered in refused):
        return "repeats what the plan renders itself"
    return None


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _tokenizer_mode(facts: ModelFacts, config_format: ConfigFormat, *, explicit: bool) -> str:
    """Return vLLM's own automatic choice, said aloud: Mistral's tokenizer wherever the model brings it."""
    brings_it = any(name == "tekken.json" or name.startswith("tokenizer.model.v") for name in facts.tokenizer_files)
    if brings_it or config_format is ConfigFormat.MISTRAL:
        return "mistral"
    return "hf" if explicit else "auto"
