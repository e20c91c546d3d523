"""Which classes of GPU one plan holds for.

The most capable class that admits a plan leads: its backend and its batch sizes are taken. Every other class that
would run exactly the same command in the same dtype, and has the memory for it, is admitted beside it; the rest is left
out, each with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mistral_operator.api.conditions import Reason
from mistral_operator.planning.batches import with_batch_defaults
from mistral_operator.planning.context_length import deciding, shortened
from mistral_operator.planning.facts import GpuClass, ModelFacts
from mistral_operator.planning.fit import (
    Remedies,
    gpus_in_words,
    gpus_of_a_pod,
    length_to_set,
    memory_as,
    smallest_gpu_count,
    what_is_too_large,
    what_would_fit,
    why_it_does_not_fit,
)
from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.parallelism import MOST_GPUS
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.profiles import Profile


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A class of GPU that pods may not run on, and why."""

    gpu: GpuClass
    reason: str  # one CamelCase word
    message: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The plan on each class that it holds for, the leader's first."""

    plans: tuple[Plan, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Answers:
    """What each class came to."""

    plans: tuple[Plan, ...]
    others: tuple[Plan, ...]  # it fits, and is another command than the leader's
    too_small: tuple[Plan, ...]
    refused: tuple[tuple[GpuClass, Unplannable], ...]


def admit(
    facts: ModelFacts,
    request: PlanRequest,
    classes: Sequence[GpuClass],
    profiles: Sequence[Profile],
    remedies: Remedies,
) -> Admission:
    """Plan a model on classes of GPU, the most capable first.

    The model's own longest sequence counts where none is asked for, and narrows the classes to those that hold it; only
    where none does it is set to what fits (:mod:`mistral_operator.planning.context_length`).

    Raises
    ------
    Unplannable
        When no class admits a plan: with what comes nearest to one, and why the others do not.
    """
    answers = _ask(facts, request, classes, profiles)
    if not answers.plans and request.max_model_len_tokens is None and (full := deciding(answers.too_small)) is not None:
        shorter = _ask(facts, replace(request, max_model_len_tokens=length_to_set(full)), classes, profiles)
        if shorter.plans:
            leader, *others = shorter.plans
            answers = replace(shorter, plans=(shortened(leader, full, remedies), *others))
    if not answers.plans:
        raise _nowhere(answers, remedies)
    return Admission(answers.plans, tuple(_left_out(request, answers)))


def refuse_what_does_not_fit(plan: Plan, remedies: Remedies) -> None:
    """Refuse a plan that needs more memory than its GPUs have.

    Raises
    ------
    Unplannable
        With the numbers, and the change that would make it fit.
    """
    if plan.memory is not None and not plan.memory.fits:
        raise _too_small(plan, plan.memory, remedies)


def _ask(facts: ModelFacts, request: PlanRequest, classes: Sequence[GpuClass], profiles: Sequence[Profile]) -> _Answers:
    plans: list[Plan] = []
    others: list[Plan] = []
    too_small: list[Plan] = []
    refused: list[tuple[GpuClass, Unplannable]] = []
    for gpu in classes:
        wanted = _like(request, plans[0]) if plans else request
        try:
            plan = make_plan(facts, replace(wanted, gpu=gpu), profiles)
        except Unplannable as error:
            refused.append((gpu, error))
            continue
        if plan.memory is not None and not plan.memory.fits:
            too_small.append(plan)
        elif not plans or _same(plan, plans[0]):
            plans.append(plan)
        else:
            others.append(plan)
    return _Answers(tuple(plans), tuple(others), tuple(too_small), tuple(refused))


def _like(request: PlanRequest, leader: Plan) -> PlanRequest:
    """Ask for the leader's batch sizes: vLLM's defaults differ by GPU, and pods of one Deployment cannot."""
    return replace(
        request,
        max_num_seqs=leader.request.max_num_seqs,
        max_num_batched_tokens=leader.request.max_num_batched_tokens,
    )


def _same(plan: Plan, leader: Plan) -> bool:
    """Tell whether pods would run the same; the dtype is vLLM's own choice by GPU, and answers differ with it."""
    return (plan.args, plan.env, plan.precision.dtype) == (leader.args, leader.env, leader.precision.dtype)


def _left_out(request: PlanRequest, answers: _Answers) -> list[LeftOut]:
    leader = answers.plans[0]
    instead = [
        LeftOut(plan.request.gpu, PlanReason.ANOTHER_PLAN, f"would run {_runs(plan)} instead of {_runs(leader)}")
        for plan in answers.others
    ]
    too_small = [
        LeftOut(plan.request.gpu, Reason.DOES_NOT_FIT, _why_left_out(request, plan, plan.memory))
        for plan in answers.too_small
        if plan.memory is not None
    ]
    return [*instead, *too_small, *(LeftOut(gpu, error.reason, error.message) for gpu, error in answers.refused)]


def _why_left_out(request: PlanRequest, plan: Plan, memory: MemoryPlan) -> str:
    """Say what is too large; and if it is so by the leader's batches alone, that too."""
    told = f"does not fit: {what_is_too_large(plan, memory)}"
    own = with_batch_defaults(replace(request, gpu=plan.request.gpu))
    alone = memory_as(plan, own)
    if alone is None or not alone.fits:
        return told
    batches = f"{own.max_num_batched_tokens:,} tokens, {own.max_num_seqs:,} sequences"
    return f"{told}; with the batches that vLLM has for it, {batches}, it would"


def _runs(plan: Plan) -> str:
    return f"{' and '.join(sorted(set(plan.decision.backends.values())))} in {plan.precision.dtype}"


def _too_small(plan: Plan, memory: MemoryPlan, remedies: Remedies) -> Unplannable:
    step = what_would_fit(plan, memory, remedies)
    return Unplannable(Problem.HARDWARE, Reason.DOES_NOT_FIT, why_it_does_not_fit(plan, memory), step)


def _nowhere(answers: _Answers, remedies: Remedies) -> Unplannable:
    """Return why there is no plan: of classes that are too small, the one that lacks least speaks."""
    too_small = [(plan, plan.memory) for plan in sorted(answers.too_small, key=_lacks) if plan.memory is not None]
    told: list[str] = []
    if too_small:
        nearest, *smaller = too_small
        speaker = _too_small(*nearest, remedies)
        told += [f"nor on {', '.join(gpus_in_words(*one) for one in smaller)}"] if smaller else []
    else:
        speaker = answers.refused[0][1]
    told += [f"{gpu}: {error.message}" for gpu, error in answers.refused if error.message != speaker.message]
    message = "; ".join([speaker.message, *told])
    return Unplannable(speaker.problem, speaker.reason, message, speaker.next_step, speaker.rejected)


def _lacks(plan: Plan) -> tuple[int, int]:
    """Rank a plan that does not fit: by how many GPUs it needs, if a node has them, then by memory."""
    count = smallest_gpu_count(plan)
    reachable = count is not None and count <= gpus_of_a_pod(plan)
    return (count if reachable and count is not None else MOST_GPUS + 1), -(plan.request.gpu.memory_bytes or 0)
