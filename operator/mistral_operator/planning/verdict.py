"""The whole decision about one object: which plan its pods are rendered from, and what is to be said about it.

Three ends are possible. A plan of today's facts is adopted; or the frozen plan is kept, and what newer facts would
change is told; or there is no plan, and whatever runs is left alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from mistral_operator.api.conditions import ConditionValue, Reason, false, true, unknown
from mistral_operator.api.names import REPLAN_ANNOTATION
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import Resolved
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.frozen import changes, freeze, same_wishes
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.problems import Problem, Unplannable
from mistral_operator.planning.wishes import Defaults
from mistral_vllm.backends import Platform
from mistral_vllm.profiles import Profile

_CURRENT: Final = "pods run the plan that today's facts lead to"
_PAUSED: Final = "there is no plan, and none is made while the object is paused"
_REPLAN: Final = f"annotate the object with a new value of {REPLAN_ANNOTATION} to take it"
Place: TypeAlias = Callable[[ModelFacts, MistralDeploymentSpec, Inventory, Defaults, Sequence[Profile]], Placement]
"""What plans a model: :func:`mistral_operator.planning.placement.place`."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What reading a model came to. Facts beside a reason were read before, and the hub could not be asked again."""

    facts: ModelFacts | None
    reason: str | None = None  # why it could not be read
    message: str = ""
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Everything a decision depends on beside the object itself."""

    answer: ModelAnswer
    inventory: Inventory
    defaults: Defaults
    profiles: Sequence[Profile] = ()
    place: Place = place  # or one that remembers


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a decision."""

    resolved: Resolved | None  # what status.resolved says from now on
    renderable: bool  # whether children are to be rendered from it
    adopted: Placement | None  # the plan that was made and taken just now
    model: ConditionValue
    backend: ConditionValue | None  # None: as it was when the plan was adopted
    hardware: ConditionValue
    plan: ConditionValue

    def held_back(self, frozen: Resolved | None) -> "Verdict":
        """Return the verdict of an object that is only looked at: nothing is adopted, nothing is rendered."""
        backend = self.backend if frozen is not None else self.backend or unknown(Reason.NOT_PLANNED, _PAUSED)
        return replace(self, resolved=frozen, renderable=False, adopted=None, backend=backend)


def decide_plan(
    spec: MistralDeploymentSpec,
    frozen: Resolved | None,
    circumstances: Circumstances,
    *,
    generation: int,
    replan: str | None,
) -> Verdict:
    """Decide which plan an object's pods are rendered from."""
    if frozen is not None and not same_wishes(frozen, spec, replan):
        asked, outdated = None, frozen
    else:
        asked, outdated = frozen, None
    if asked is not None:
        asked = asked.model_copy(update={"generation": generation})
    model = _model(spec, asked, circumstances.answer)
    try:
        placement = _place(spec, circumstances)
    except Unplannable as problem:
        return _without_a_new_plan(spec, asked, outdated, circumstances, model, problem)
    if placement is None:
        return _without_a_new_plan(spec, asked, outdated, circumstances, model, None)
    today = freeze(placement, spec, circumstances.defaults, generation=generation, replan=replan)
    if asked is None or not asked.scheduled:
        hardware = _planned_hardware(placement)
        return Verdict(today, True, placement, model, None, hardware, true(Reason.PLAN_IS_CURRENT, _CURRENT))
    differences = changes(asked, today)
    kept = _kept(spec, asked, circumstances, model, _told(differences, circumstances.answer))
    if differences or not placement.classes:
        return kept
    return replace(kept, hardware=_planned_hardware(placement))  # why the other classes are left out is still worth it


def _place(spec: MistralDeploymentSpec, circumstances: Circumstances) -> Placement | None:
    facts = circumstances.answer.facts
    if facts is None:
        return None
    return circumstances.place(facts, spec, circumstances.inventory, circumstances.defaults, circumstances.profiles)


def _without_a_new_plan(
    spec: MistralDeploymentSpec,
    asked: Resolved | None,
    outdated: Resolved | None,
    circumstances: Circumstances,
    model: ConditionValue,
    problem: Unplannable | None,
) -> Verdict:
    """Go on with the frozen plan where it still answers the spec, and render nothing where none does.

    One that waits in vain is rendered as well: what is no input of a plan, such as replicas, counts all the same.
    """
    if asked is not None and (asked.scheduled or problem is None):
        if problem is not None:
            told = false(
                Reason.PLAN_OUTDATED, f"today's facts allow no plan, and pods keep the one they have: {problem}"
            )
        else:
            told = unknown(Reason.MODEL_NOT_CHECKED, "the hub could not be asked whether the model has changed")
        return _kept(spec, asked, circumstances, model, told)
    not_planned = unknown(Reason.NOT_PLANNED, "there is no plan yet", passing=True)
    backend, hardware = not_planned, not_planned
    if problem is not None:
        refused = false(problem.reason, str(problem))
        if problem.problem is Problem.MODEL:
            model = refused
        elif problem.problem is Problem.HARDWARE:
            hardware = refused
        else:
            backend = refused
    if outdated is not None or asked is not None:
        why = (
            "the spec asks for another plan and none can be made; whatever runs is left as it is"
            if outdated is not None
            else "no pod of the plan was ever scheduled, and today's facts allow none; its pods go on waiting"
        )
        pending = false(Reason.PLAN_PENDING, why)
        return Verdict(outdated or asked, outdated is None, None, model, backend, hardware, pending)
    return Verdict(None, False, None, model, backend, hardware, unknown(Reason.NOT_PLANNED, not_planned.message))


def _kept(
    spec: MistralDeploymentSpec,
    frozen: Resolved,
    circumstances: Circumstances,
    model: ConditionValue,
    told: ConditionValue,
) -> Verdict:
    hardware = _frozen_hardware(spec, frozen, circumstances)
    return Verdict(frozen, True, None, model, None, hardware, told)


def _told(differences: Sequence[str], answer: ModelAnswer) -> ConditionValue:
    if differences:
        return false(Reason.PLAN_OUTDATED, f"{'; '.join(differences)}: {_REPLAN}")
    if answer.reason is not None:
        return unknown(Reason.MODEL_NOT_CHECKED, "the hub could not be asked whether the model has changed")
    return true(Reason.PLAN_IS_CURRENT, _CURRENT)


def _model(spec: MistralDeploymentSpec, asked: Resolved | None, answer: ModelAnswer) -> ConditionValue:
    """Say whether the model can be read; what pods already run does not become unread by a hub that is away."""
    where = f"{spec.model.id} at {spec.model.revision}"
    known = asked.commit if asked is not None else answer.facts.commit if answer.facts is not None else None
    commit = f"commit {known}" if known else "a folder"
    if answer.reason is None:
        return true(Reason.MODEL_READ, f"{where} is {commit}")
    if answer.transient and (asked is not None or answer.facts is not None):
        return true(Reason.MODEL_NOT_CHECKED, f"{where} was {commit}, and cannot be checked now: {answer.message}")
    return false(answer.reason, answer.message, passing=answer.transient)


def _planned_hardware(placement: Placement) -> ConditionValue:
    return (true if placement.known else unknown)(placement.reason, placement.message)


def _frozen_hardware(spec: MistralDeploymentSpec, frozen: Resolved, circumstances: Circumstances) -> ConditionValue:
    """Hold the frozen plan's GPUs against those the cluster has now."""
    inventory, resource = circumstances.inventory, spec.gpu.resource_name
    runtime = frozen.runtime  # maybe one that this operator does not know any more
    if runtime.name.platform is not Platform.CUDA:
        return true(Reason.NO_GPU_NEEDED, f"{runtime.name} {runtime.version} runs on the CPU")
    if not inventory.readable:
        return unknown(Reason.NODES_NOT_READABLE, "the operator may not read nodes; grant it list and watch on them")
    there = inventory.of_resource(resource)
    if not there:
        return unknown(Reason.NO_GPU_NODES, f"no node offers {resource} with GPU Feature Discovery's labels now")
    planned = {(gpu.product, gpu.memory) for gpu in frozen.gpu_classes}
    present = [gpu for gpu in there if (gpu.product, gpu.memory_bytes) in planned]
    if present:
        return true(Reason.GPU_FOUND, f"planned for {' and '.join(str(gpu) for gpu in present)}")
    if not planned:
        names = ", ".join(str(gpu) for gpu in there)
        return unknown(
            Reason.NOT_PLANNED, f"the plan was made before any GPU was known; now there is {names}: {_REPLAN}"
        )
    names = ", ".join(sorted(product or resource for product, _ in planned))
    return false(
        Reason.NO_MATCHING_GPU,
        f"the plan is for {names}, which no node offers any more: bring such a node back, or {_REPLAN}",
    )
