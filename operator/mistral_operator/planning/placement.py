"""Where a model may run: one plan, and the classes of GPU that it holds for.

A spec's constraints filter the classes first; :mod:`mistral_operator.planning.admission` asks those that remain.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mistral_operator.api.conditions import Reason
from mistral_operator.api.spec import GpuSpec, MistralDeploymentSpec
from mistral_operator.planning.admission import LeftOut, admit, refuse_what_does_not_fit
from mistral_operator.planning.batches import with_batch_defaults
from mistral_operator.planning.context_length import plan_what_fits
from mistral_operator.planning.facts import GpuClass, ModelFacts
from mistral_operator.planning.fit import Remedies
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.problems import Problem, Unplannable
from mistral_operator.planning.quantity import parse_bytes
from mistral_operator.planning.request import PlanRequest
from mistral_operator.planning.wishes import MEMORY_TOLERANCE, Defaults, request_of
from mistral_vllm.backends import ComputeCapability, Platform
from mistral_vllm.profiles import Profile

IN_THE_SPEC: Final = Remedies(
    shorter="set spec.engine.maxModelLen to {tokens} or less",
    more_gpus="raise spec.parallelism.tensor to {gpus}",
    larger_gpus="add larger GPUs",
    match="Widen spec.gpu, lower spec.parallelism, or add such a node",
    length="spec.engine.maxModelLen",
    shared="set spec.engine.gpuMemoryUtilization to {part} or less, or name the product in spec.gpu.products to take "
    "it all the same",
)
"""What helps a model of a spec on the GPUs of a cluster."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One plan, and what it holds for. No classes: the cluster's are not known, or no GPU is needed."""

    plan: Plan
    classes: tuple[GpuClass, ...]
    left_out: tuple[LeftOut, ...]
    reason: Reason
    message: str
    memory: MemoryPlan | None  # on the smallest of the classes

    @property
    def known(self) -> bool:
        """Whether the plan was made for GPUs that the cluster is known to have, or needs none."""
        return self.reason in (Reason.GPU_FOUND, Reason.NO_GPU_NEEDED)


def place(
    facts: ModelFacts,
    spec: MistralDeploymentSpec,
    inventory: Inventory,
    defaults: Defaults,
    profiles: Sequence[Profile] = (),
    remedies: Remedies = IN_THE_SPEC,
) -> Placement:
    """Plan a model on the GPUs of a cluster.

    Raises
    ------
    Unplannable
        When no class of GPU admits a plan; with one class, its own error.
    """
    request = request_of(spec, _described(spec.gpu), defaults)
    if request.runtime.platform is not Platform.CUDA:
        return _on_the_cpu(facts, request, profiles)
    there = inventory.of_resource(spec.gpu.resource_name)
    if not there:
        return _on_the_spec_alone(facts, spec, request, inventory, profiles, remedies)
    admitted, left_out = _filter(there, lambda gpu: _excluded(spec, gpu, remedies))
    return _lead(facts, request, admitted, left_out, profiles, remedies)


def place_request(
    facts: ModelFacts,
    request: PlanRequest,
    inventory: Inventory,
    profiles: Sequence[Profile],
    remedies: Remedies,
) -> Placement:
    """Plan a model on the GPUs of a cluster without a spec: any product will do, ``request.gpu`` is looked up.

    Raises
    ------
    Unplannable
        As :func:`place`; and when the cluster has no GPU that labels describe.
    """
    if request.runtime.platform is not Platform.CUDA:
        return _on_the_cpu(facts, request, profiles)
    resource = request.gpu.resource_name
    there = inventory.of_resource(resource)
    if not there:
        raise Unplannable(
            Problem.HARDWARE,
            Reason.NO_GPU_NODES,
            f"no node offers {resource} with GPU Feature Discovery's labels",
            remedies.match,
        )
    admitted, left_out = _filter(
        there,
        lambda gpu: _too_few(gpu, request.tensor_parallel) or _shared(gpu, request.gpu_memory_utilization, remedies),
    )
    return _lead(facts, request, admitted, left_out, profiles, remedies)


def _on_the_cpu(facts: ModelFacts, request: PlanRequest, profiles: Sequence[Profile]) -> Placement:
    plan = make_plan(facts, replace(request, gpu=GpuClass(0, None)), profiles)
    return _unplaced(plan, Reason.NO_GPU_NEEDED, f"{request.runtime} runs on the CPU")


def _described(gpu: GpuSpec) -> GpuClass:
    """Return the GPU as far as the spec itself describes it."""
    return GpuClass(
        memory_bytes=parse_bytes(gpu.min_memory) if gpu.min_memory else None,
        compute_capability=ComputeCapability.parse(gpu.min_compute_capability) if gpu.min_compute_capability else None,
        resource_name=gpu.resource_name,
    )


def _on_the_spec_alone(
    facts: ModelFacts,
    spec: MistralDeploymentSpec,
    request: PlanRequest,
    inventory: Inventory,
    profiles: Sequence[Profile],
    remedies: Remedies,
) -> Placement:
    plan = plan_what_fits(facts, request, profiles, remedies)
    refuse_what_does_not_fit(plan, remedies)
    described = "spec.gpu" if spec.gpu.min_memory or spec.gpu.min_compute_capability else "the model"
    if not inventory.readable:
        message = (
            f"the operator may not read nodes, so the plan rests on {described} alone; grant it list and watch on nodes"
        )
        return _unplaced(plan, Reason.NODES_NOT_READABLE, message)
    message = (
        f"no node offers {spec.gpu.resource_name} with GPU Feature Discovery's labels, "
        f"so the plan rests on {described} alone; pods wait for such a node"
    )
    return _unplaced(plan, Reason.NO_GPU_NODES, message)


def _unplaced(plan: Plan, reason: Reason, message: str) -> Placement:
    return Placement(plan, (), (), reason, message, plan.memory)


def _filter(
    there: Sequence[GpuClass], excluded: Callable[[GpuClass], str | None]
) -> tuple[list[GpuClass], list[LeftOut]]:
    admitted, left_out = [], []
    for gpu in there:
        why = excluded(gpu)
        if why is None:
            admitted.append(gpu)
        else:
            left_out.append(LeftOut(gpu, Reason.NO_MATCHING_GPU, why))
    return admitted, left_out


def _excluded(spec: MistralDeploymentSpec, gpu: GpuClass, remedies: Remedies) -> str | None:
    """Say which constraint of the spec a class does not meet; what no label tells cannot be met.

    Only a class that flags describe has no product: it stands for those that the spec names.
    """
    wanted, needed = spec.gpu, spec.parallelism.tensor * spec.parallelism.pipeline
    if wanted.products and gpu.product is not None and gpu.product not in wanted.products:
        return "not among spec.gpu.products"
    if lacks_memory(wanted, gpu):
        return f"less memory than spec.gpu.minMemory {wanted.min_memory}"
    if lacks_capability(wanted, gpu):
        return f"below spec.gpu.minComputeCapability {wanted.min_compute_capability}"
    named = gpu.product in (wanted.products or ())  # who names it wants it, shared or not
    return _too_few(gpu, needed) or (None if named else _shared(gpu, spec.engine.gpu_memory_utilization, remedies))


def lacks_memory(wanted: GpuSpec, gpu: GpuClass) -> bool:
    """Tell whether a class is not known to have the memory that a spec asks for."""
    if not wanted.min_memory:
        return False
    return (gpu.memory_bytes or 0) < parse_bytes(wanted.min_memory) * MEMORY_TOLERANCE


def lacks_capability(wanted: GpuSpec, gpu: GpuClass) -> bool:
    """Tell whether a class is not known to have the compute capability that a spec asks for."""
    if not wanted.min_compute_capability:
        return False
    least = ComputeCapability.parse(wanted.min_compute_capability)
    return gpu.compute_capability is None or gpu.compute_capability < least


def _shared(gpu: GpuClass, utilization: float, remedies: Remedies) -> str | None:
    """Say why a GPU that several pods share is none to plan on: vLLM takes its part of the whole memory."""
    if utilization * gpu.shared_by <= 1:
        return None
    step = remedies.shared.format(part=math.floor(100 / gpu.shared_by) / 100)
    return f"shared by {gpu.shared_by} pods, of which vLLM would take {utilization:.0%} of the memory: {step}"


def _too_few(gpu: GpuClass, needed: int) -> str | None:
    if gpu.is_mig and needed > 1:
        return f"a MIG profile, of which CUDA shows a process one, and a pod needs {needed}"
    if gpu.only_one_a_pod and needed > 1:
        return f"shared by {gpu.shared_by} pods: one that needs {needed} may be handed the same GPU twice"
    if (gpu.per_node or 0) >= needed:
        return None
    return f"a node has at most {gpu.per_node} of them, a pod needs {needed}"


def _no_match(left_out: Sequence[LeftOut], remedies: Remedies) -> Unplannable:
    told = "; ".join(f"{left.gpu}: {left.message}" for left in left_out)
    return Unplannable(Problem.HARDWARE, Reason.NO_MATCHING_GPU, f"no GPU matches: {told}", remedies.match)


def _lead(
    facts: ModelFacts,
    request: PlanRequest,
    admitted: Sequence[GpuClass],
    left_out: Sequence[LeftOut],
    profiles: Sequence[Profile],
    remedies: Remedies,
) -> Placement:
    if not admitted:
        raise _no_match(left_out, remedies)
    admission = admit(facts, request, admitted, profiles, remedies)
    leader, unfit = admission.plans[0], (*left_out, *admission.left_out)
    classes = tuple(plan.request.gpu for plan in admission.plans)
    message = f"planned for {_listed(classes)}{_batches_told(request, leader, classes)}"
    if unfit:
        message += f"; left out: {'; '.join(f'{left.gpu}: {left.message}' for left in unfit)}"
    memory = (plan.memory for plan in admission.plans if plan.memory is not None)
    smallest = min(memory, key=lambda found: found.total_bytes, default=None)
    if all(gpu.memory_bytes is None for gpu in classes):
        message += "; no label tells the GPU's memory, so whether the model fits is not known"
        return Placement(leader, classes, unfit, Reason.GPU_NOT_DESCRIBED, message, None)
    return Placement(leader, classes, unfit, Reason.GPU_FOUND, message, smallest)


def _batches_told(request: PlanRequest, leader: Plan, classes: Iterable[GpuClass]) -> str:
    """Say whose batch sizes all classes get, where vLLM would take others on some of them."""
    taken = leader.request
    for gpu in classes:
        own = with_batch_defaults(replace(request, gpu=gpu))
        if (own.max_num_batched_tokens, own.max_num_seqs) != (taken.max_num_batched_tokens, taken.max_num_seqs):
            return (
                f", all with the batches that vLLM has for {leader.request.gpu.product}: "
                f"{taken.max_num_batched_tokens:,} tokens, {taken.max_num_seqs:,} sequences"
            )
    return ""


def _listed(classes: Sequence[GpuClass]) -> str:
    *others, last = map(str, classes)
    return f"{', '.join(others)} and {last}" if others else last
