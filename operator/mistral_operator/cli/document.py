"""A plan as one object with the status's field names: what ``-o json`` and ``-o yaml`` print.

Sizes are bytes, lengths are tokens. A key that does not apply is absent.
"""

from typing import TYPE_CHECKING, Any

from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.fit import smallest_gpu_count
from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.plan import Plan

if TYPE_CHECKING:  # a plan without a file and without a cluster needs neither
    from mistral_operator.cli.deployments import PlannedDeployment
    from mistral_operator.planning.placement import Placement


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return _present(
        {
            "model": _model(plan),
            "runtime": {"name": str(plan.request.runtime.name), "version": plan.request.runtime.version},
            "attention": _attention(plan),
            "memory": None if plan.memory is None else _memory(plan, plan.memory),
            "args": list(plan.command_args),
            "env": plan.command_env,
            "warnings": [{"reason": str(found.reason), "message": found.message} for found in plan.findings],
            "assumptions": list(plan.assumptions),
        }
    )


def placement_document(placement: "Placement") -> dict[str, Any]:
    """Return a plan on a cluster's GPUs as JSON values."""
    admitted = [_gpu_class(gpu) | {"admitted": True} for gpu in placement.classes]
    left_out = [
        _gpu_class(left.gpu) | {"admitted": False, "reason": str(left.reason), "message": left.message}
        for left in placement.left_out
    ]
    hardware = {"reason": str(placement.reason), "message": placement.message}
    return {**plan_document(placement.plan), "hardware": hardware, "gpuClasses": [*admitted, *left_out]}


def deployment_document(planned: "PlannedDeployment") -> dict[str, Any]:
    """Return the plan of a MistralDeployment as JSON values."""
    whose = {"name": planned.name, "namespace": planned.namespace}
    return {**whose, **placement_document(planned.placement), "status": planned.status}


def _gpu_class(gpu: GpuClass) -> dict[str, Any]:
    capability = None if gpu.compute_capability is None else str(gpu.compute_capability)
    return _present({"product": gpu.product, "memory": gpu.memory_bytes, "computeCapability": capability})


def _model(plan: Plan) -> dict[str, Any]:
    return _present(
        {
            "id": plan.facts.id,
            "revision": plan.facts.revision if plan.facts.commit is not None else None,
            "commit": plan.facts.commit,
            "architecture": plan.architecture,
            "source": plan.config_format.file_name,
            "parameters": plan.parameters,
            "weights": plan.weights_bytes,
            "dtype": plan.precision.dtype,
            "quantization": plan.precision.quantization,
            "headSize": plan.geometry.head_size,
            "maxModelLen": plan.max_model_len_tokens,
        }
    )


def _attention(plan: Plan) -> dict[str, Any]:
    decision, layout = plan.decision, plan.layout
    return _present(
        {
            "slidingWindow": layout.window_tokens,
            "layers": {"sliding": layout.sliding, "full": layout.full},
            "backends": {str(kind): backend for kind, backend in decision.backends.items()},
            "reason": str(decision.reason),
            "message": decision.message,
            "rejected": [
                {"backend": rejected.backend, "reason": str(rejected.reason), "message": rejected.message}
                for rejected in decision.rejected
            ],
            "xformers": str(decision.xformers),
        }
    )


def _memory(plan: Plan, memory: MemoryPlan) -> dict[str, Any]:
    cache = memory.kv_cache
    sizes = {
        "perGPU": memory.total_bytes,
        "usable": memory.usable_bytes,
        "weights": memory.weights_bytes,
        "working": memory.working_bytes,
        "kvCache": memory.kv_cache_bytes,
        "kvCachePerToken": cache.bytes_per_token,
        "kvCacheTokens": cache.tokens,
        "kvCacheBlocks": cache.blocks,
        "kvCacheBlocksPerSequence": cache.blocks_per_request,
        "kvCacheBlockSize": cache.block_size_tokens,
        "slidingTokensPerSequence": cache.sliding_tokens_per_request,
        "concurrentSequences": round(cache.concurrent_sequences, 2),
        "largestMaxModelLen": memory.largest_max_model_len_tokens,
        "gpus": plan.request.tensor_parallel,
        "smallestGPUs": smallest_gpu_count(plan),
        "fits": memory.fits,
    }
    return _present(sizes)


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
