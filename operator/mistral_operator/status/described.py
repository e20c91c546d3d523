"""A plan in the status's words."""

from mistral_operator.api.status import (
    AttentionStatus,
    Layers,
    MemoryStatus,
    MistralDeploymentStatus,
    ModelStatus,
    PlanWarning,
    RejectedBackend,
    Resolved,
)
from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.placement import Placement
from mistral_operator.planning.plan import Plan
from mistral_operator.planning.quantity import gib, kib


def describe_plan(placement: Placement, resolved: Resolved | None) -> MistralDeploymentStatus:
    """Return a status that says all of a plan that was adopted, and nothing else."""
    plan = placement.plan
    return MistralDeploymentStatus(
        resolved=resolved,
        gpu=None if resolved is None else describe_gpu(resolved),
        model=describe_model(plan),
        attention=describe_attention(plan),
        memory=None if placement.memory is None else describe_memory(placement.memory),
        warnings=describe_warnings(plan),
    )


def describe_model(plan: Plan) -> ModelStatus:
    """Return ``status.model``."""
    return ModelStatus(
        commit=plan.facts.commit,
        architecture=plan.architecture,
        parameters=plan.parameters,
        weights=None if plan.weights_bytes is None else gib(plan.weights_bytes),
        source=plan.config_format.file_name,
    )


def describe_attention(plan: Plan) -> AttentionStatus:
    """Return ``status.attention``."""
    decision, layout = plan.decision, plan.layout
    return AttentionStatus(
        sliding_window=layout.window_tokens,
        layers=Layers(sliding=layout.sliding, full=layout.full),
        backend=",".join(dict.fromkeys(decision.backends.values())),
        backends={str(kind): backend for kind, backend in decision.backends.items()},
        reason=str(decision.reason),
        message=decision.message,
        rejected=[
            RejectedBackend(backend=rejected.backend, reason=str(rejected.reason), message=rejected.message)
            for rejected in decision.rejected
        ],
        xformers=str(decision.xformers),
    )


def describe_memory(memory: MemoryPlan) -> MemoryStatus:
    """Return ``status.memory``."""
    return MemoryStatus(
        weights=gib(memory.weights_bytes),
        kv_cache_per_token=kib(memory.kv_cache.bytes_per_token),
        kv_cache_tokens=memory.kv_cache.tokens,
        per_gpu=gib(memory.total_bytes),
        fits=memory.fits,
    )


def describe_gpu(resolved: Resolved) -> str | None:
    """Return ``status.gpu``."""
    return ",".join(gpu.product for gpu in resolved.gpu_classes if gpu.product) or None


def describe_warnings(plan: Plan) -> list[PlanWarning]:
    """Return ``status.warnings``."""
    return [PlanWarning(reason=str(found.reason), message=found.message) for found in plan.findings]
