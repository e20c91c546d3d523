"""What the doctor says of MistralDeployments: everything that is not good news, each thing once, with a next step."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mistral_operator.api.mistral_deployment import read_spec
from mistral_operator.cli.doctor.checks.deployments import check_deployments
from mistral_operator.cli.doctor.facts import Deployment, Deployments, Hub, ModelRead, Unread
from mistral_operator.cli.doctor.finding import Finding

SPEC = read_spec({"model": {"id": "acme/a"}})
ABOUT = "MistralDeployment team/m"
GOOD = {
    "Ready": ("True", "Serving", "1 of 1 replicas are up to date and available"),
    "ModelResolved": ("True", "ModelRead", "acme/a at main is commit 0"),
    "BackendSelected": ("True", "MeasuredFastest", "measured"),
    "HardwareCompatible": ("True", "GPUFound", "planned for NVIDIA-H200"),
    "Available": ("True", "PodsAvailable", "1 of 1 replicas are available"),
    "UpToDate": ("True", "RolledOut", "1 of 1 replicas are up to date and available"),
    "PlanCurrent": ("True", "PlanIsCurrent", "pods run the plan that today's facts lead to"),
}
SERVES = ("ok", "Serving", "Ready is True: 1 of 1 replicas", "")
Told = tuple[str, str, str, str]


def deployment(
    conditions: Mapping[str, tuple[str, str, str]], phase: str = "Failed", *, generation: int = 1, **body: Any
) -> Deployment:
    """Return a MistralDeployment of generation 1 or newer, of which the operator has seen the first."""
    written = [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind, (status, reason, message) in conditions.items()
    ]
    metadata = {"name": "m", "namespace": "team", "generation": generation} | body.pop("metadata", {})
    status = {"observedGeneration": 1, "phase": phase, "conditions": written} | body.pop("status", {})
    return Deployment({"metadata": metadata, "status": status} | body, SPEC)


def findings(
    *found: Deployment, running: bool | None = True, reads: Mapping[str, ModelRead] | None = None
) -> list[Finding]:
    """Return what is said of some objects."""
    hub = Hub("https://hub.example", reads or {})
    return [*check_deployments(Deployments(found, ()), hub, running=running)]


def check(found: Sequence[Finding], told: Sequence[Told]) -> None:
    """Compare findings: level and reason, the beginning of the message, and a part of the next step."""
    assert [(str(one.level), one.reason) for one in found] == [(level, reason) for level, reason, *_ in told]
    for one, (level, _, says, step) in zip(found, told, strict=True):
        assert one.message.startswith(says)
        assert step in one.next_step
        assert bool(one.next_step) == (level != "ok")


NO_GPU = "no GPU matches: NVIDIA-T4: too little memory. Widen spec.gpu, or add such a node"
NOT_PLANNED = ("Unknown", "NotPlanned", "there is no plan yet")
NOT_DEPLOYED = ("False", "NotDeployed", "there is no Deployment yet")


@pytest.mark.parametrize(
    ("conditions", "phase", "told"),
    [
        pytest.param({}, "Ready", [SERVES], id="all is well"),
        pytest.param(
            {
                "Ready": ("False", "NoMatchingGPU", NO_GPU),
                "HardwareCompatible": ("False", "NoMatchingGPU", NO_GPU),
                "BackendSelected": NOT_PLANNED,
                "Available": NOT_DEPLOYED,
                "UpToDate": NOT_DEPLOYED,
                "PlanCurrent": NOT_PLANNED,
                "AttentionVerified": ("Unknown", "NotAskedYet", "no pod of this plan has been ready"),
            },
            "Failed",
            [
                (
                    "problem",
                    "NoMatchingGPU",
                    "HardwareCompatible is False: no GPU matches: NVIDIA-T4: too little memory",
                    "Widen spec.gpu, or add such a node",
                )
            ],
            id="no plan: the cause alone",
        ),
        pytest.param(
            {
                "Ready": ("False", "InsufficientGPU", "pod m-1: no node has room; add a node with such GPUs"),
                "Available": ("False", "InsufficientGPU", "pod m-1: no node has room; add a node with such GPUs"),
                "UpToDate": ("False", "RollingOut", "0 of 1 replicas are up to date"),
            },
            "Failed",
            [
                (
                    "problem",
                    "InsufficientGPU",
                    "Available is False: pod m-1: no node has room",
                    "Add a node with such GPUs",
                )
            ],
            id="pods: the worst, once, with its own next step",
        ),
        pytest.param(
            {
                "Ready": ("False", "ContainerCrashed", "pod m-1: vLLM ended: a; b; see what it says"),
                "Available": ("False", "ContainerCrashed", "pod m-1: vLLM ended: a; b; see what it says"),
            },
            "Failed",
            [("problem", "ContainerCrashed", "Available is False: pod m-1: vLLM ended: a; b", "See what it says")],
            id="pods: words with semicolons of their own",
        ),
        pytest.param(
            {"Ready": ("False", "ChildRefused", "the API server refuses Service team/m: a; b; lift what refuses it")},
            "Failed",
            [("problem", "ChildRefused", "Ready is False: the API server refuses Service team/m: a; b", "Lift what")],
            id="a child that is refused",
        ),
        pytest.param(
            {
                "Ready": ("False", "NoPodAvailable", "no replica is available yet"),
                "Available": ("False", "NoPodAvailable", "no replica is available yet"),
                "UpToDate": ("False", "RollingOut", "0 of 1"),
            },
            "Loading",
            [("warning", "NoPodAvailable", "Available is False: no replica", "kubectl describe pods -n team -l")],
            id="pods that start are no problem",
        ),
        pytest.param(
            {"Ready": ("False", "RollingOut", "1 of 2"), "UpToDate": ("False", "RollingOut", "1 of 2 replicas")},
            "Degraded",
            [("warning", "RollingOut", "UpToDate is False: 1 of 2", "kubectl describe mdep m -n team")],
            id="a rollout is no problem",
        ),
        pytest.param(
            {
                "Ready": ("False", "RolloutStalled", "1 of 2"),
                "UpToDate": ("False", "RolloutStalled", "1 of 2 replicas"),
            },
            "Degraded",
            [("problem", "RolloutStalled", "UpToDate is False: 1 of 2", "kubectl describe pods")],
            id="a rollout that stands still is one",
        ),
        pytest.param(
            {
                "Ready": ("False", "ScaledToZero", "spec.replicas is 0"),
                "Available": ("False", "ScaledToZero", "spec.replicas is 0"),
            },
            "Stopped",
            [("ok", "ScaledToZero", "Available is False: spec.replicas is 0", "")],
            id="stopped by its user",
        ),
        pytest.param(
            {"Ready": ("False", "ChildNotOwned", "Deployment m is not of this object")},
            "Failed",
            [("problem", "ChildNotOwned", "Ready is False: Deployment m", "Rename or delete the object")],
            id="what only Ready says",
        ),
        pytest.param(
            {"PlanCurrent": ("False", "PlanOutdated", "the branch has moved: annotate")},
            "Ready",
            [SERVES, ("warning", "PlanOutdated", "PlanCurrent is False", 'mistral-operator.io/replan="$(date +%s)"')],
            id="an outdated plan serves",
        ),
        pytest.param(
            {"PlanCurrent": ("Unknown", "Paused", "annotation is set")},
            "Ready",
            [SERVES, ("warning", "Paused", "PlanCurrent is Unknown", "mistral-operator.io/paused-`")],
            id="paused",
        ),
        pytest.param(
            {"AttentionVerified": ("False", "AttentionDiffers", "pod m-1 runs FLASH_ATTN")},
            "Degraded",
            [
                SERVES,
                ("problem", "AttentionDiffers", "AttentionVerified is False: pod m-1", "kubectl logs deploy/m -n team"),
            ],
            id="pods that run something else",
        ),
        pytest.param(
            {"AttentionVerified": ("Unknown", "ImageCannotTell", "vllm 0.26.0 does not tell")},
            "Ready",
            [SERVES, ("warning", "ImageCannotTell", "AttentionVerified is Unknown", "runtime mistral-vllm")],
            id="pods that do not tell what they run",
        ),
        pytest.param(
            {"HardwareCompatible": ("Unknown", "NoGPUNodes", "no node offers nvidia.com/gpu with labels")},
            "Ready",
            [SERVES, ("warning", "NoGPUNodes", "HardwareCompatible is Unknown", "Install GPU Feature Discovery")],
            id="what is not known is a warning",
        ),
    ],
)
def test_conditions(conditions: dict[str, tuple[str, str, str]], phase: str, told: list[Told]) -> None:
    """Causes, not what follows from them; nothing twice; what mends itself is a warning at most."""
    found = findings(deployment(GOOD | conditions, phase))
    check(found, told)
    assert {one.object for one in found} == {ABOUT}


@pytest.mark.parametrize(("known", "told"), [("Gated", 0), ("Forbidden", 1), (None, 1)])
def test_what_the_check_of_the_hub_says_already(known: str | None, told: int) -> None:
    """It is not said again; where the doctor found something else, the operator's word stands beside it."""
    gated = ("False", "Gated", "acme/a is gated, and no token was sent. Accept the licence at https://hub.example.")
    one = deployment(GOOD | {"Ready": gated, "ModelResolved": gated})
    found = findings(one, reads={ABOUT: ModelRead(known, "said there")})
    assert len(found) == told
    if told:
        check(found, [("problem", "Gated", "ModelResolved is False: acme/a is gated", "Accept the licence at https")])


def test_warnings_of_the_plan() -> None:
    """All of them."""
    status = {"warnings": [{"reason": "ClassDefaultWindow", "message": "no window is named"}]}
    check(
        findings(deployment(GOOD, "Ready", status=status)),
        [SERVES, ("warning", "ClassDefaultWindow", "no window is named", "kubectl describe mdep m -n team")],
    )


@pytest.mark.parametrize(
    ("status", "running", "told"),
    [
        ({}, True, ("warning", "NotYetSeen", "no operator has looked at its newest spec yet", "in a few seconds")),
        ({}, False, ("problem", "NotYetSeen", "no operator has looked at its newest spec yet", "check operator")),
        (
            {"observedGeneration": None, "conditions": []},
            None,
            ("warning", "NotYetSeen", "no operator has looked at it yet", "in a few seconds"),
        ),
    ],
)
def test_what_nobody_has_looked_at(status: dict[str, Any], running: bool | None, told: Told) -> None:
    """A problem where there is nobody who would."""
    assert findings(deployment(GOOD, "Ready", generation=2, status=status), running=running)[0].reason == "NotYetSeen"
    check(findings(deployment(GOOD, "Ready", generation=2, status=status), running=running)[:1], [told])


def test_an_object_on_its_way_out() -> None:
    """Nothing is said of what it was like."""
    leaving = deployment(GOOD, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    check(findings(leaving), [("ok", "BeingDeleted", "is being deleted", "")])


def test_a_status_of_another_release() -> None:
    """The field is named."""
    strange = deployment(GOOD, status={"phase": "Dancing"})
    check(
        findings(strange), [("problem", "StatusNotUnderstood", "its status is not this release's: status.phase", "Use")]
    )


def test_a_spec_of_another_release() -> None:
    """Told by the doctor where no operator has said it."""
    body = deployment(GOOD, "Ready").body
    found = findings(Deployment(body, "spec.model: is required"))
    check(found, [("problem", "SpecInvalid", "spec.model: is required", "Correct the field"), SERVES])


@pytest.mark.parametrize(
    ("deployments", "told"),
    [
        (Deployments((), ()), ("ok", "NoDeployments", "there is none in any namespace", "")),
        (Deployments((), ("a", "b")), ("ok", "NoDeployments", "there is none in namespaces a, b", "")),
        (
            Deployments((), (), not_readable={"a": Unread("forbidden")}),
            ("warning", "DeploymentsNotReadable", "forbidden", "may list mistraldeployments there"),
        ),
        (
            Deployments((), ("own",), limited=Unread("forbidden")),
            (
                "warning",
                "DeploymentsNotReadable",
                "looked at namespace own alone: forbidden",
                "name namespaces with -n",
            ),
        ),
        (
            Deployments((), (), limited=Unread("forbidden")),
            ("warning", "DeploymentsNotReadable", "looked at no namespace: forbidden", "name namespaces with -n"),
        ),
    ],
)
def test_where_was_looked(deployments: Deployments, told: Told) -> None:
    """Nothing found is no news where nothing could be read."""
    check([*check_deployments(deployments, Hub("h"), running=True)][:1], [told])
