"""What every MistralDeployment says of itself that is not good news, each thing once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mistral_operator.api.conditions import ConditionStatus, ConditionType, Phase, Reason
from mistral_operator.api.mistral_deployment import StatusInvalidError, read_status
from mistral_operator.api.names import CONTAINER_PORT, INSTANCE_LABEL, PAUSED_ANNOTATION, PLURAL, REPLAN_ANNOTATION
from mistral_operator.api.status import Condition, MistralDeploymentStatus
from mistral_operator.cli.doctor.facts import Deployment, Deployments, Hub
from mistral_operator.cli.doctor.finding import Check, Finding, Level, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason
from mistral_operator.status.diagnosis.finding import part

_ABOUT: Final = "MistralDeployments"
# nothing of their own: why there is no plan, no child and no pod to ask stands in another condition
_CONSEQUENCES: Final = frozenset({Reason.NOT_PLANNED, Reason.NOT_DEPLOYED, Reason.NOT_ASKED_YET})
# their messages are a cause and, behind a full stop, the next step
_IN_TWO_SENTENCES: Final = frozenset(
    {ConditionType.MODEL_RESOLVED, ConditionType.BACKEND_SELECTED, ConditionType.HARDWARE_COMPATIBLE}
)
# theirs, where pods are diagnosed, are parted as they were put together, like the word of a refused child
_OF_PODS: Final = frozenset({ConditionType.AVAILABLE, ConditionType.UP_TO_DATE})
_SHORTEST_STEP: Final = 12  # characters
_SHOWN: Final = 5
# on the way to something else: False conditions are ordinary then
_UNDER_WAY: Final = frozenset({Phase.PENDING, Phase.RESOLVING, Phase.SCHEDULING, Phase.PULLING, Phase.LOADING})
_DESCRIBE_PODS: Final = f"Run `kubectl describe pods -n {{namespace}} -l {INSTANCE_LABEL}={{name}}`"
# where a condition's own message does not say it
_STEPS: Final[Mapping[str, str]] = {
    Reason.CHILD_NOT_OWNED: "Rename or delete the object that is named, or give this one another name",
    Reason.SPEC_INVALID: "Correct the field that is named",
    Reason.NO_GPU_NODES: "Install GPU Feature Discovery and the device plugin, or name products in spec.gpu",
    Reason.NODES_NOT_READABLE: "Run `mistral-operator rbac | kubectl apply -f -`",
    Reason.NO_POD_AVAILABLE: _DESCRIBE_PODS,
    Reason.ROLLOUT_STALLED: _DESCRIBE_PODS,
    Reason.ATTENTION_DIFFERS: "Look at what the image is, and at `kubectl logs deploy/{name} -n {namespace}`",
    Reason.IMAGE_CANNOT_TELL: "Use an image with the runtime mistral-vllm where that matters",
    Reason.POD_UNREACHABLE: f"Let the operator reach port {CONTAINER_PORT} of these pods (NetworkPolicy)",
    Reason.MAX_MODEL_LEN_REDUCED: "Set spec.engine.maxModelLen to what you need, or give it more or larger GPUs",
    Reason.DEPLOYMENT_SCALED_BY_OTHERS: "Let the autoscaler target the MistralDeployment in place of its Deployment",
    Reason.PLAN_OUTDATED: f"When it suits: `kubectl annotate mdep {{name}} -n {{namespace}} --overwrite "
    f'{REPLAN_ANNOTATION}="$(date +%s)"`',
    Reason.PAUSED: f"To let it go on: `kubectl annotate mdep {{name}} -n {{namespace}} {PAUSED_ANNOTATION}-`",
}
_LOOK: Final = "Look at `kubectl describe mdep {name} -n {namespace}`"


def check_deployments(deployments: Deployments, hub: Hub, *, running: bool | None) -> Iterator[Finding]:
    """Yield at least one finding; what the check of the hub tells already is not repeated.

    Parameters
    ----------
    running
        Whether an operator runs; None where that cannot be told.
    """
    where = _told_namespaces(deployments.namespaces)
    if deployments.limited is not None:
        looked = f"looked at {where} alone" if deployments.namespaces else "looked at no namespace"
        message = f"{looked}: {deployments.limited.why}"
        step = f"Use a context that may list {PLURAL} in all namespaces, or name namespaces with -n"
        yield warning(Check.DEPLOYMENTS, _ABOUT, DoctorReason.DEPLOYMENTS_NOT_READABLE, message, step)
    for namespace, unread in deployments.not_readable.items():
        step = f"Use a context that may list {PLURAL} there"
        about = f"{_ABOUT} of namespace {namespace}"
        yield warning(Check.DEPLOYMENTS, about, DoctorReason.DEPLOYMENTS_NOT_READABLE, unread.why, step)
    everywhere = deployments.limited is None and not deployments.not_readable
    if not deployments.found and (deployments.namespaces or everywhere):
        yield ok(Check.DEPLOYMENTS, _ABOUT, DoctorReason.NO_DEPLOYMENTS, f"there is none in {where}")
    for one in deployments.found:
        told = hub.models.get(one.about)
        yield from _findings(one, None if told is None else told.reason, running=running)


def _findings(one: Deployment, known_reason: str | None, *, running: bool | None) -> Iterator[Finding]:
    metadata = one.body["metadata"]
    if metadata.get("deletionTimestamp"):
        yield ok(Check.DEPLOYMENTS, one.about, DoctorReason.BEING_DELETED, "is being deleted")
        return
    try:
        status = read_status(one.body.get("status"))
    except StatusInvalidError as error:
        message = f"its status is not this release's: {error}"
        step = "Use the doctor of the release that the operator is of"
        yield problem(Check.DEPLOYMENTS, one.about, DoctorReason.STATUS_NOT_UNDERSTOOD, message, step)
        return
    if isinstance(one.spec, str) and not _says(status, Reason.SPEC_INVALID):
        step = _STEPS[Reason.SPEC_INVALID]
        yield problem(Check.DEPLOYMENTS, one.about, Reason.SPEC_INVALID, one.spec, step)
    if (status.observed_generation or 0) < int(metadata.get("generation") or 0):
        tell = problem if running is False else warning
        what = "its newest spec" if status.observed_generation else "it"
        message = f"no operator has looked at {what} yet"
        step = "See the line of check operator" if running is False else "Ask again in a few seconds"
        yield tell(Check.DEPLOYMENTS, one.about, DoctorReason.NOT_YET_SEEN, message, step)
    for condition in _speaking(status.conditions):
        if condition.type == ConditionType.MODEL_RESOLVED and condition.reason == known_reason:
            continue
        yield _of_condition(one, condition, _level(condition, status))
    for told in status.warnings:
        yield warning(Check.DEPLOYMENTS, one.about, told.reason, told.message, _step(one, told.reason))


def _told_namespaces(namespaces: Sequence[str]) -> str:
    if not namespaces:
        return "any namespace"
    more = f" and {len(namespaces) - _SHOWN} more" if len(namespaces) > _SHOWN else ""
    return f"namespace{'s' if len(namespaces) > 1 else ''} {', '.join(namespaces[:_SHOWN])}{more}"


def _speaking(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions worth a line: Ready where it is True or says what no other does, causes, no echoes."""
    ready = [one for one in conditions if one.type == ConditionType.READY]
    others = [one for one in conditions if one.type != ConditionType.READY and one.status is not ConditionStatus.TRUE]
    causes = [one for one in others if one.reason not in _CONSEQUENCES]
    if any(one.type == ConditionType.AVAILABLE for one in causes):
        causes = [one for one in causes if one.type != ConditionType.UP_TO_DATE]  # the same pods once more
    echoed = {one.reason for one in causes}
    own = [one for one in ready if one.status is ConditionStatus.TRUE or one.reason not in echoed]
    if causes:
        own = [one for one in own if one.reason not in _CONSEQUENCES]
    return [*own, *causes]


def _level(condition: Condition, status: MistralDeploymentStatus) -> Level:
    if condition.status is ConditionStatus.TRUE or condition.reason == Reason.SCALED_TO_ZERO:
        return Level.OK
    if condition.status is ConditionStatus.UNKNOWN or condition.type == ConditionType.PLAN_CURRENT:
        return Level.WARNING
    mends_itself = status.phase in _UNDER_WAY or condition.reason == Reason.ROLLING_OUT
    return Level.WARNING if mends_itself else Level.PROBLEM


def _of_condition(one: Deployment, condition: Condition, level: Level) -> Finding:
    cause, step = _split(condition)
    message = f"{condition.type} is {condition.status}: {cause}"
    step = "" if level is Level.OK else step or _step(one, condition.reason)
    return Finding(Check.DEPLOYMENTS, level, one.about, condition.reason, message, step)


def _split(condition: Condition) -> tuple[str, str]:
    """Part a condition's message into the cause and the next step, which is empty where it names none."""
    message, cause, step = condition.message.rstrip("."), "", ""
    if condition.type in _IN_TWO_SENTENCES:
        cause, _, step = message.rpartition(". ")
    elif condition.reason == Reason.CHILD_REFUSED or (
        condition.type in _OF_PODS and condition.reason not in frozenset(Reason)
    ):
        cause, step = part(message)
    return (cause, step[:1].upper() + step[1:]) if cause and len(step) >= _SHORTEST_STEP else (message, "")


def _step(one: Deployment, reason: str) -> str:
    return _STEPS.get(reason, _LOOK).format(name=one.name, namespace=one.namespace)


def _says(status: MistralDeploymentStatus, reason: Reason) -> bool:
    return any(condition.reason == reason for condition in status.conditions)
