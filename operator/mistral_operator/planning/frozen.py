"""The frozen plan: what pods are rendered from until somebody asks for a new one.

A plan follows from the spec and from facts: what a branch means, which GPUs there are, which image is the default.
Facts change by themselves, and running pods must not. So a plan is written into ``status.resolved``, and newer facts
are only told.
"""

import hashlib
import json

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import Resolved, ResolvedGpuClass
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.placement import Placement
from mistral_operator.planning.wishes import Defaults, image_of, inputs_digest, runtime_of


def freeze(
    placement: Placement, spec: MistralDeploymentSpec, defaults: Defaults, *, generation: int, replan: str | None
) -> Resolved:
    """Return the plan as ``status.resolved`` keeps it."""
    plan = placement.plan
    return Resolved(
        generation=generation,
        inputs=inputs_digest(spec),
        replan=replan,
        commit=plan.facts.commit,
        image=image_of(spec, defaults),
        runtime=runtime_of(spec, defaults),
        backends={str(kind): name for kind, name in plan.decision.backends.items()},
        max_model_len=plan.max_model_len_tokens,
        weights=plan.weights_bytes,
        gpu_classes=[_frozen(gpu) for gpu in placement.classes],
        args=list(plan.args),
        env=dict(plan.env),
    )


def plan_digest(resolved: Resolved) -> str:
    """Return a digest of what pods are rendered from: pods with the same digest run the same plan.

    What is at its default does not count: a field that a newer operator adds must not roll anything.
    """
    rendered = resolved.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"generation", "inputs", "replan", "scheduled"}
    )
    return hashlib.sha256(json.dumps(rendered, sort_keys=True).encode()).hexdigest()[:16]


def same_wishes(frozen: Resolved, spec: MistralDeploymentSpec, replan: str | None) -> bool:
    """Tell whether a frozen plan answers this spec: the same inputs, and no newer wish to plan again."""
    return frozen.inputs == inputs_digest(spec) and (replan is None or frozen.replan == replan)


def changes(frozen: Resolved, today: Resolved) -> list[str]:
    """Say in what a plan of today's facts would differ, one phrase each; empty when in nothing that pods run."""
    told = []
    if frozen.commit != today.commit:
        told.append(f"commit {_short(frozen.commit)} would become {_short(today.commit)}")
    if frozen.image != today.image:
        told.append(f"image {frozen.image} would become {today.image}")
    if frozen.runtime != today.runtime:
        told.append(f"runtime {_runtime(frozen)} would become {_runtime(today)}")
    if frozen.backends != today.backends:
        told.append(f"attention {_backends(frozen)} would become {_backends(today)}")
    if frozen.max_model_len != today.max_model_len:
        told.append(f"maxModelLen {frozen.max_model_len} would become {today.max_model_len}")
    if frozen.gpu_classes != today.gpu_classes:
        same = _products(frozen) == _products(today)
        named = _described if same else _products  # another driver may report another memory of the same GPU
        told.append(f"GPUs {named(frozen)} would become {named(today)}")
    if not told and (frozen.args, frozen.env) != (today.args, today.env):
        told.append("vLLM's arguments would change")
    return told


def _frozen(gpu: GpuClass) -> ResolvedGpuClass:
    return ResolvedGpuClass(
        product=gpu.product,
        memory=gpu.memory_bytes,
        compute_capability=str(gpu.compute_capability) if gpu.compute_capability else None,
    )


def _short(commit: str | None) -> str:
    return commit[:12] if commit else "none"


def _runtime(resolved: Resolved) -> str:
    return f"{resolved.runtime.name} {resolved.runtime.version}"


def _backends(resolved: Resolved) -> str:
    return ", ".join(f"{kind}: {name}" for kind, name in resolved.backends.items())


def _described(resolved: Resolved) -> str:
    return ", ".join(
        f"{gpu.product or 'unnamed'} ({'unknown memory' if gpu.memory is None else f'{gpu.memory >> 20:,} MiB'}, "
        f"compute capability {gpu.compute_capability or 'unknown'})"
        for gpu in resolved.gpu_classes
    )


def _products(resolved: Resolved) -> str:
    return ", ".join(gpu.product or "unnamed" for gpu in resolved.gpu_classes) or "unknown"
