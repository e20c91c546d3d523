"""What a spec asks of a plan: the bridge from the resource to :class:`PlanRequest`."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from mistral_operator.api.rendered import RENDERED_FLAGS, RENDERED_VOLUMES
from mistral_operator.api.spec import Backend, ImageSpec, MistralDeploymentSpec, ModelSource, RuntimeSpec
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.runtimes import Runtime, UnknownRuntime, get_runtime

MODELS_FOLDER: Final = RENDERED_VOLUMES["models"]
"""Where the pod mounts the volume that holds weights."""
MEMORY_TOLERANCE: Final = 0.95
"""Share of spec.gpu.minMemory that will do: an 80 GB card reports 81,559 MiB."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the operator's own settings say where a spec is silent."""

    image_repository: str
    image_tag: str
    runtime: RuntimeSpec
    hf_endpoint: str | None = None


def request_of(spec: MistralDeploymentSpec, gpu: GpuClass, defaults: Defaults) -> PlanRequest:
    """Return what a spec asks for on one class of GPU.

    Raises
    ------
    Unplannable
        When the image's runtime does not exist, or a pipeline is asked for.
    """
    if spec.parallelism.pipeline > 1:
        raise Unplannable(
            Problem.PLACEMENT,
            PlanReason.PIPELINE_UNSUPPORTED,
            f"spec.parallelism.pipeline is {spec.parallelism.pipeline}, and a pipeline is not planned for yet",
            "Leave it at 1 and use spec.parallelism.tensor",
        )
    engine = spec.engine
    wanted = engine.attention_backend
    return PlanRequest(
        runtime=_runtime(runtime_of(spec, defaults)),
        gpu=gpu,
        tensor_parallel=spec.parallelism.tensor,
        attention_backend=None if wanted is Backend.AUTO else wanted.value,
        max_model_len_tokens=engine.max_model_len,
        dtype=engine.dtype,
        kv_cache_dtype=engine.kv_cache_dtype or "auto",
        gpu_memory_utilization=engine.gpu_memory_utilization,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        enforce_eager=engine.enforce_eager,
        extra_args=tuple(spec.extra_args or ()),
        env={entry["name"]: entry.get("value") or "" for entry in spec.env or ()},
        hf_endpoint=defaults.hf_endpoint,
        weights_path=f"{MODELS_FOLDER}/{spec.model.path}" if spec.model.source is ModelSource.PVC else None,
        refused_flags=frozenset(RENDERED_FLAGS),
    )


def runtime_of(spec: MistralDeploymentSpec, defaults: Defaults) -> RuntimeSpec:
    """Return what the image contains: the spec's word, else the operator's default. Tags are never parsed."""
    return (spec.image and spec.image.runtime) or defaults.runtime


def image_of(spec: MistralDeploymentSpec, defaults: Defaults) -> str:
    """Return the image to run; what the spec leaves out is the operator's default."""
    image = spec.image or ImageSpec()
    repository = image.repository or defaults.image_repository
    if image.digest:
        return f"{repository}@{image.digest}"
    return f"{repository}:{image.tag or defaults.image_tag}"


def inputs_digest(spec: MistralDeploymentSpec) -> str:
    """Return a digest of those parts of a spec that a plan depends on.

    A change of anything else, replicas above all, keeps the plan: scaling must not move a branch's commit. What is at
    its default does not count, so that a field which a newer operator adds is no new wish.
    """
    inputs = spec.model_dump(
        mode="json",
        by_alias=True,
        exclude_defaults=True,
        include={"model", "gpu", "parallelism", "engine", "image", "env", "extra_args"},
        exclude={"model": {"served_name"}, "image": {"pull_policy"}},
    )
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _runtime(spec: RuntimeSpec) -> Runtime:
    try:
        return get_runtime(spec.name, spec.version)
    except UnknownRuntime as error:
        raise Unplannable(
            Problem.PLACEMENT,
            PlanReason.RUNTIME_UNKNOWN,
            f"spec.image.runtime: {error}",
            "Name a runtime and a vLLM release that exist",
        ) from error
