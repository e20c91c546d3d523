"""Conditions, phases, messages and Events, from what a Deployment and its pods look like."""

from typing import Any

import pytest

from mistral_operator.api.conditions import ConditionStatus, ConditionType, ConditionValue, Phase, Reason, false
from mistral_operator.api.status import Condition, MistralDeploymentStatus
from mistral_operator.planning.verdict import Verdict, decide_plan
from mistral_operator.status.observed import Observed
from mistral_operator.status.report import Subject, report, report_invalid
from mistral_operator.status.transitions import Note, transitions
from unit.planning_on_clusters import H200, circumstances, spec

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
NOON, LATER = "2026-11-24T12:00:00Z", "2026-11-24T12:05:00Z"
NOTHING = MistralDeploymentStatus()


def deployment(
    replicas: int = 0, updated: int = 0, available: int = 0, *, seen: int = 1, conditions: Any = ()
) -> dict[str, Any]:
    """Return a Deployment of generation 1."""
    status = {
        "replicas": replicas,
        "updatedReplicas": updated,
        "availableReplicas": available,
        "observedGeneration": seen,
        "conditions": list(conditions),
    }
    return {"metadata": {"name": "m", "generation": 1}, "status": status}


def pod(name: str = "m-1", *, ready: bool = False, node: str | None = "n", **status: Any) -> dict[str, Any]:
    """Return a pod."""
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", ())]
    body: dict[str, Any] = {"metadata": {"name": name, "uid": name}, "spec": {"nodeName": node} if node else {}}
    return body | {"status": {"phase": "Running", "conditions": conditions, **status}}


def container(state: dict[str, Any], last: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the status of one container."""
    return [{"name": "vllm", "ready": False, "restartCount": 7, "state": state, "lastState": last or {}}]


PLANNED = decide_plan(spec(), None, circumstances(H200), generation=1, replan=None)
CRASHED = {"terminated": {"reason": "Error", "exitCode": 1, "message": "RuntimeError: no\n  kernel"}}
CRASHING = pod(
    containerStatuses=container({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}, CRASHED)
)
LOADING = pod(containerStatuses=container({"running": {"startedAt": NOON}}))
QUOTA = 'pods "m-1" is forbidden: exceeded quota: gpu, requested: pods=1, used: pods=1, limited: pods=1'
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/5 nodes are available: 5 Insufficient nvidia.com/gpu.",
}


def reported(
    observed: Observed,
    *,
    verdict: Verdict = PLANNED,
    replicas: int = 1,
    previous: MistralDeploymentStatus = NOTHING,
    trouble: ConditionValue | None = None,
    paused: bool = False,
    now: str = NOON,
) -> MistralDeploymentStatus:
    """Return the status of a MistralDeployment."""
    subject = Subject(1, replicas, "a=b", "http://m.ns.svc:8000/v1", paused)
    return report(previous, subject, verdict, observed, trouble, now)


def said(status: MistralDeploymentStatus, kind: ConditionType) -> tuple[ConditionStatus, str]:
    """Return one condition's status and reason."""
    condition = next(condition for condition in status.conditions if condition.type == kind)
    return condition.status, condition.reason


SERVING = Observed.of(deployment(1, 1, 1), [pod(ready=True)])


@pytest.mark.parametrize(
    ("body", "pods", "desired", "available", "up_to_date", "ready", "phase"),
    [
        pytest.param(None, [], 1, "NotDeployed", "NotDeployed", False, Phase.PENDING, id="nothing yet"),
        pytest.param(
            deployment(seen=0), [], 1, "NoPodAvailable", "RollingOut", False, Phase.SCHEDULING, id="not seen yet"
        ),
        pytest.param(
            deployment(1, 1), [pod()], 1, "NoPodAvailable", "RollingOut", False, Phase.PULLING, id="on a node"
        ),
        pytest.param(
            deployment(1, 1), [LOADING], 1, "NoPodAvailable", "RollingOut", False, Phase.LOADING, id="loading"
        ),
        pytest.param(
            deployment(1, 1), [pod(node=None, conditions=[UNSCHEDULABLE])], 1, "InsufficientGPU", "RollingOut", False,
            Phase.SCHEDULING, id="no node",
        ),
        pytest.param(
            deployment(1, 1), [CRASHING], 1, "ContainerCrashed", "RollingOut", False, Phase.FAILED, id="crash loop"
        ),
        pytest.param(
            deployment(1, 1, 1), [pod(ready=True)], 1, "PodsAvailable", "RolledOut", True, Phase.READY, id="serving"
        ),
        pytest.param(
            deployment(2, 2, 1), [pod(ready=True), CRASHING], 2, "PodsAvailable", "ContainerCrashed", False,
            Phase.DEGRADED, id="one of two crashes: never Ready",
        ),
        pytest.param(
            deployment(1, 0, 1), [pod(ready=True)], 1, "PodsAvailable", "RollingOut", False, Phase.DEGRADED,
            id="an old pod serves",
        ),
        pytest.param(
            deployment(2, 1, 2), [pod(ready=True)], 1, "PodsAvailable", "RollingOut", False, Phase.DEGRADED,
            id="an old pod is left",
        ),
        pytest.param(
            deployment(1, 1, 0, conditions=[
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]),
            [LOADING], 1, "NoPodAvailable", "RolloutStalled", False, Phase.LOADING, id="stalled",
        ),
        pytest.param(
            deployment(0, 0, 0, conditions=[{"type": "ReplicaFailure", "status": "True", "message": QUOTA}]),
            [], 1, "QuotaExceeded", "RollingOut", False, Phase.SCHEDULING, id="quota",
        ),
        pytest.param(deployment(), [], 0, "ScaledToZero", "RolledOut", False, Phase.STOPPED, id="scaled to zero"),
        pytest.param(
            deployment(1, 1, 1), [pod(ready=True)], 0, "ScaledToZero", "RollingOut", False, Phase.STOPPED, id="stopping"
        ),
    ],
)  # fmt: skip
def test_rollout(
    body: dict[str, Any] | None,
    pods: list[dict[str, Any]],
    desired: int,
    available: str,
    up_to_date: str,
    ready: bool,
    phase: Phase,
) -> None:
    """Ready is only what serves, whole and on the newest revision."""
    status = reported(Observed.of(body, pods), replicas=desired)
    assert said(status, ConditionType.AVAILABLE)[1] == available
    assert said(status, ConditionType.UP_TO_DATE)[1] == up_to_date
    assert (said(status, ConditionType.READY)[0] is TRUE) is ready
    assert status.phase is phase


def test_a_cause_is_said_once() -> None:
    """Where nobody answers, Available says why, and Ready repeats it; where somebody does, UpToDate says it."""
    status = reported(Observed.of(deployment(1, 1), [CRASHING]))
    words = {one.type: one.message for one in status.conditions}
    assert (
        words["Available"]
        == words["Ready"]
        == ("pod m-1: vLLM ended with exit code 1: RuntimeError: no kernel; see `kubectl logs --previous`")
    )
    assert words["UpToDate"] == "1 of 1 replicas are up to date, 0 available, 0 old"
    status = reported(Observed.of(deployment(2, 2, 1), [pod("m-0", ready=True), CRASHING]), replicas=2)
    assert said(status, ConditionType.READY) == said(status, ConditionType.UP_TO_DATE) == (FALSE, "ContainerCrashed")


def test_pods_on_their_way_out_do_not_count() -> None:
    """A pod that is being deleted or has ended neither serves nor complains."""
    leaving = pod("gone", ready=True)
    leaving["metadata"]["deletionTimestamp"] = NOON
    ended = CRASHING | {"status": CRASHING["status"] | {"phase": "Failed"}}
    observed = Observed.of(None, [leaving, ended])
    assert (observed.pods, observed.failed) == ((), (ended,))


def test_transition_time_moves_only_with_the_status() -> None:
    """A new reason or message is no transition."""
    first = reported(Observed.of(deployment(1, 1), [pod()]))
    second = reported(Observed.of(deployment(1, 1), [CRASHING]), previous=first, now=LATER)
    third = reported(SERVING, previous=second, now=LATER)
    times = [
        {condition.type: condition.last_transition_time for condition in status.conditions}
        for status in (first, second, third)
    ]
    assert times[1] == times[0]
    assert times[2]["Ready"] == times[2]["Available"] == LATER
    assert times[2]["ModelResolved"] == NOON


def test_nothing_new_is_no_new_status() -> None:
    """The same observation later gives an equal status, so that nothing is written."""
    first = reported(SERVING)
    kept = decide_plan(
        spec(),
        PLANNED.resolved.model_copy(update={"scheduled": True}) if PLANNED.resolved else None,
        circumstances(H200),
        generation=1,
        replan=None,
    )
    second = reported(SERVING, verdict=kept, previous=first, now=LATER)
    assert second.model_copy(update={"resolved": first.resolved}) == first
    assert reported(SERVING, verdict=kept, previous=second, now=LATER) == second


def test_trouble_with_a_child_speaks_for_ready() -> None:
    """A child that is somebody else's makes Ready False whatever its pods do."""
    status = reported(SERVING, trouble=false(Reason.CHILD_NOT_OWNED, "Deployment ns/m exists"))
    assert said(status, ConditionType.READY) == (FALSE, "ChildNotOwned")
    assert status.phase is Phase.DEGRADED


def test_paused() -> None:
    """A paused object says so where its plan stands."""
    assert said(reported(SERVING, paused=True), ConditionType.PLAN_CURRENT) == (UNKNOWN, "Paused")


def test_a_spec_that_cannot_be_understood() -> None:
    """What runs goes on and is observed; what was planned for it stays."""
    before = reported(SERVING)
    body = {**deployment(2, 2, 1), "spec": {"replicas": 2}}
    one_of_two = Observed.of(body, [pod("m-1", ready=True), pod("m-2")])
    after = report_invalid(before, 2, "spec.model.id: Field required", one_of_two, LATER)
    assert said(after, ConditionType.READY) == (FALSE, "SpecInvalid")
    assert said(after, ConditionType.AVAILABLE) == (TRUE, "PodsAvailable")
    assert said(after, ConditionType.UP_TO_DATE) == (FALSE, "RollingOut")
    assert (after.replicas, after.ready_replicas) == (2, 1)
    assert (after.observed_generation, after.resolved, after.phase) == (2, before.resolved, Phase.DEGRADED)
    assert {one.type for one in after.conditions} == {one.type for one in before.conditions}
    assert {one.type for one in after.conditions if one.observed_generation == 2} == {"Ready"}
    gone = report_invalid(after, 2, "spec.model.id: Field required", Observed.of(None, ()), LATER)
    assert said(gone, ConditionType.AVAILABLE) == (FALSE, "NotDeployed")
    assert (gone.ready_replicas, gone.phase) == (0, Phase.FAILED)
    never = report_invalid(NOTHING, 1, "spec.model.id: Field required", Observed.of(None, ()), NOON)
    assert ([one.type for one in never.conditions], never.phase) == (["Ready"], Phase.FAILED)


def test_what_is_described() -> None:
    """Window, layers, backends, memory and where to reach it stand in the status."""
    status = reported(SERVING)
    assert status.attention is not None
    assert status.memory is not None
    assert status.model is not None
    assert (status.attention.sliding_window, status.attention.layers.sliding, status.attention.layers.full) == (
        4096,
        32,
        0,
    )
    assert status.attention.backends == {"sliding_attention": "XFORMERS"}
    assert (status.memory.weights, status.memory.fits) == ("13.5 GiB", True)
    assert (status.model.source, status.url, status.selector) == ("config.json", "http://m.ns.svc:8000/v1", "a=b")


def condition(kind: ConditionType, status: ConditionStatus, reason: str) -> Condition:
    """Return a condition."""
    return Condition(
        type=kind, status=status, reason=reason, message="m", observed_generation=1, last_transition_time=NOON
    )


MODEL, AVAILABLE, FRESH, READY, PLAN = (
    ConditionType.MODEL_RESOLVED,
    ConditionType.AVAILABLE,
    ConditionType.UP_TO_DATE,
    ConditionType.READY,
    ConditionType.PLAN_CURRENT,
)


@pytest.mark.parametrize(
    ("kind", "before", "after", "event"),
    [
        pytest.param(MODEL, None, (TRUE, "ModelRead"), None, id="the first good news"),
        pytest.param(MODEL, None, (FALSE, "Gated"), "Warning", id="the first bad news"),
        pytest.param(MODEL, (FALSE, "Gated"), (FALSE, "Gated"), None, id="old news"),
        pytest.param(MODEL, (FALSE, "Gated"), (FALSE, "BadToken"), "Warning", id="another cause"),
        pytest.param(MODEL, (FALSE, "Gated"), (TRUE, "ModelRead"), "Normal", id="mended"),
        pytest.param(AVAILABLE, None, (FALSE, "NoPodAvailable"), None, id="pods start"),
        pytest.param(AVAILABLE, (TRUE, "PodsAvailable"), (FALSE, "NoPodAvailable"), "Warning", id="lost"),
        pytest.param(AVAILABLE, None, (FALSE, "InsufficientGPU"), "Warning", id="a cause at once"),
        pytest.param(AVAILABLE, (FALSE, "NoPodAvailable"), (FALSE, "CUDAOutOfMemory"), "Warning", id="a cause"),
        pytest.param(AVAILABLE, (FALSE, "NodeLost"), (FALSE, "CUDAOutOfMemory"), "Warning", id="another cause of it"),
        pytest.param(AVAILABLE, (FALSE, "NodeLost"), (FALSE, "NodeLost"), None, id="the same cause"),
        pytest.param(AVAILABLE, (FALSE, "NodeLost"), (FALSE, "NoPodAvailable"), None, id="a cause that is no more"),
        pytest.param(AVAILABLE, (FALSE, "NoPodAvailable"), (FALSE, "ImagePulling"), "Normal", id="it takes its time"),
        pytest.param(AVAILABLE, (TRUE, "PodsAvailable"), (FALSE, "ScaledToZero"), "Normal", id="sent to sleep"),
        pytest.param(AVAILABLE, (FALSE, "NoPodAvailable"), (TRUE, "PodsAvailable"), "Normal", id="serving"),
        pytest.param(READY, (TRUE, "Serving"), (FALSE, "NoPodAvailable"), None, id="the roll-up repeats"),
        pytest.param(READY, None, (FALSE, "ChildNotOwned"), "Warning", id="what only Ready says"),
        pytest.param(READY, (FALSE, "ChildNotOwned"), (TRUE, "Serving"), "Normal", id="and its end"),
        pytest.param(PLAN, (TRUE, "PlanIsCurrent"), (FALSE, "PlanOutdated"), "Normal", id="an offer"),
        pytest.param(PLAN, (TRUE, "PlanIsCurrent"), (UNKNOWN, "Paused"), "Normal", id="paused"),
        pytest.param(PLAN, (TRUE, "PlanIsCurrent"), (UNKNOWN, "ModelNotChecked"), None, id="not checked"),
    ],
)  # fmt: skip
def test_events(
    kind: ConditionType,
    before: tuple[ConditionStatus, str] | None,
    after: tuple[ConditionStatus, str],
    event: str | None,
) -> None:
    """Events tell transitions, once, and nothing that is the ordinary course of things."""
    was = [condition(kind, *before)] if before else []
    notes = list(transitions(was, [condition(kind, *after)]))
    expected = [] if event is None else [Note(event == "Warning", after[1], kind, "m")]
    assert notes == expected


def test_pods_that_come_up_are_one_event() -> None:
    """The first rollout is available and up to date at once; a later one only becomes up to date."""
    started = [condition(AVAILABLE, FALSE, "NoPodAvailable"), condition(FRESH, FALSE, "RollingOut")]
    serves = [condition(AVAILABLE, TRUE, "PodsAvailable"), condition(FRESH, TRUE, "RolledOut")]
    rolling = [serves[0], started[1]]
    assert [note.reason for note in transitions(started, serves)] == ["PodsAvailable"]
    assert [note.reason for note in transitions(rolling, serves)] == ["RolledOut"]
