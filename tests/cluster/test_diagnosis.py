"""Pods that fail in every way there is: the status says why, one Event tells it, and it goes when the pod is mended."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from cluster.describing import told
from cluster.failing import FATE, ON_ROOMY, Case, admit, claim, fated, provide, release, volume_nowhere
from cluster.failing_cases import CASES, CORDONED, KV_CACHE, LOST, NODES, SINGLE_NODE, UNPROVOKED
from cluster.live import Answer, Body, Live, condition_of, manifest
from cluster.namespaces import new_namespace
from cluster.traces import Audit
from devcluster.controlplane import ControlPlane
from devcluster.operator import Operator
from mistral_operator.api.pod_reasons import PodReason

GOLDEN: Final = Path(__file__).parent / "golden" / "describe"
TOLD_LATER: Final = frozenset({
    "gate",  # holds back itself
    # by Events, or by a log
    "claim-pending", "image-pulling", "cannot-mount", "no-network", "liveness", "startup-deadline", "does-not-answer",
    "other-image",
})  # fmt: skip
HEALED_SECONDS: Final = 90.0  # a ReplicaSet that was refused pods tries again with growing patience
POLICIES: Final = (Path(__file__).parent / "policies.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def audit(plane: ControlPlane) -> Audit:
    """Return what the operator asks for from now on."""
    return Audit(plane)


@pytest.fixture(scope="module")
def namespaces(
    plane: ControlPlane,
    operator: Operator,  # noqa: ARG001 - it must run
    audit: Audit,  # noqa: ARG001 - it must see everything
) -> Iterator[dict[str, Live]]:
    """Return namespaces in which everything fails at once, by what is special about them."""
    with ExitStack() as stack:
        lives = {kind: stack.enter_context(new_namespace(plane)) for kind in ("", "quota", "restricted")}
        plane.add_nodes(NODES)
        stack.callback(plane.kubectl, "delete", "node", *NODES)
        plane.kubectl("taint", "node", "tainted-0", "dedicated=team-a:NoSchedule")
        plane.kubectl("cordon", CORDONED)
        plane.kubectl("create", "-f", "-", stdin=POLICIES)
        stack.callback(plane.kubectl, "delete", "-f", "-", stdin=POLICIES)
        plane.set_previous_log(KV_CACHE)
        plane.kubectl("create", "quota", "small", "--hard=pods=0", "-n", lives["quota"].namespace)
        lives[""].until("the policy to hold", partial(is_refused, lives[""]))
        level = "pod-security.kubernetes.io/enforce=restricted"
        plane.kubectl("label", "namespace", lives["restricted"].namespace, level)

        live = lives[""]
        live.create(claim("elsewhere", storageClassName=""))
        plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump(volume_nowhere("elsewhere", live.namespace)))
        live.create(claim("once", storageClassName="", accessModes=["ReadWriteOncePod"]))
        provide(live, "once", accessModes=["ReadWriteOncePod"])
        for name in ("elsewhere", "once", "claim-pending"):
            gone = ("delete", "pv", f"{live.namespace}-{name}", "--wait=false", "--ignore-not-found")
            stack.callback(plane.kubectl, *gone)
        for name in ("elsewhere", "once"):
            live.until(f"claim {name} to be bound", partial(is_bound, live, name))
        live.mdep("holder", **SINGLE_NODE)
        live.mdep("once-holder", **ON_ROOMY, storage={"pvc": {"name": "once"}})
        live.until_ready("holder")
        live.until_ready("once-holder")
        for case in CASES:
            lives[case.namespace].create(manifest(case.name, **case.spec))
        yield lives


def is_refused(live: Live) -> bool:
    """Tell whether the policy is already in force: it is not at once."""
    labels = {"refuse": "me"}
    pod = {"metadata": {"name": "refused", "labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    try:
        live.request("POST", f"{live.path('Pod')}?dryRun=All", {"apiVersion": "v1", "kind": "Pod", **pod})
    except Answer as answer:
        return "may not be labelled" in answer.message
    return False


def is_bound(live: Live, name: str) -> bool:
    """Tell whether a claim has a volume."""
    return bool(live.get("PersistentVolumeClaim", name)["status"]["phase"] == "Bound")


def until_told(live: Live, name: str, reason: str, seconds: float) -> Body:
    """Wait until nobody answers for that reason, and return the object."""
    live.until_condition(name, "Available", "False", reason, seconds=seconds)
    return live.get("MistralDeployment", name)


def described(live: Live, name: str) -> str:
    """Return what a person is told, as soon as the Event is there."""
    live.until(f"an Event about {name}", lambda: live.events(name))
    return told(live.plane.kubectl("describe", "mdep", name, "-n", live.namespace), live.namespace)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_why(case: Case, namespaces: dict[str, Live], request: pytest.FixtureRequest) -> None:
    """The reason stands in Available and Ready, is told by one Event, and goes on recovery, which is one Event too."""
    live = namespaces[case.namespace]
    body = until_told(live, case.name, case.reason, case.seconds)
    assert condition_of(body, "Ready")["reason"] == case.reason
    assert body["status"]["phase"] == case.phase
    assert len(condition_of(body, "Available")["message"]) <= 300

    text = described(live, case.name)
    path = GOLDEN / f"{case.name}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    kind = "Normal" if case.reason == "ImagePulling" else "Warning"
    assert live.events(case.name) == [(kind, case.reason)]

    if case.heal is None:
        return
    case.heal(live, case.name)
    if case.name == "quota":
        live.until_condition(case.name, "Available", "False", "ScaledToZero")
        return
    body = live.until_ready(case.name, HEALED_SECONDS)
    assert condition_of(body, "Available")["reason"] == "PodsAvailable"
    live.until("the Event of the recovery", lambda: ("Normal", "PodsAvailable") in live.events(case.name))
    assert live.events(case.name) == [(kind, case.reason), ("Normal", "PodsAvailable")]


def test_within_one_reconcile(namespaces: dict[str, Live]) -> None:
    """The first status that is written after a pod has failed says why: nothing else is said meanwhile.

    Pods are held back until all that can be said of them is said, so that only their failing can change a status.
    """
    live = namespaces[""]
    cases = {
        f"{case.name}-again": case for case in CASES if case.name not in TOLD_LATER and (fails(case) or waits(case))
    }
    for name, case in cases.items():
        live.mdep(name, **held(case))
    for name, case in cases.items():
        live.until(f"{name} to be held back", partial(is_held, live, name, "Pulling" if fails(case) else "Scheduling"))
    version = live.create(claim("then"))["metadata"]["resourceVersion"]
    for name, case in cases.items():
        if fails(case):
            for pod in live.pods(name):
                fate = case.spec["podAnnotations"][FATE]
                live.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": {FATE: fate}}})
        else:
            admit(live, name)
    for name, case in cases.items():
        until_told(live, name, case.reason, case.seconds)
    first: dict[str, str] = {}
    for body in live.history("MistralDeployment", version):
        first.setdefault(body["metadata"]["name"], condition_of(body, "Available")["reason"])
    assert {name: first[name] for name in cases} == {name: case.reason for name, case in cases.items()}


def fails(case: Case) -> bool:
    """Tell whether a pod gets a node and fails there."""
    return case.heal is release


def waits(case: Case) -> bool:
    """Tell whether a pod gets no node."""
    return case.phase == "Scheduling" and not case.namespace


def held(case: Case) -> Body:
    """Return the spec of an object whose pods wait until they may fail: for a kubelet, or in a queue."""
    if fails(case):
        return case.spec | {"podAnnotations": case.spec["podAnnotations"] | {FATE: "unknown"}}
    return case.spec | {"podLabels": {"queue": "team-a"}}


def is_held(live: Live, name: str, phase: str) -> bool:
    """Tell whether everything is said of an object whose pod is held back."""
    body = live.get("MistralDeployment", name)
    reason = "SchedulingGated" if phase == "Scheduling" else "NoPodAvailable"
    told = condition_of(body, "UpToDate").get("message", ""), condition_of(body, "Available").get("reason")
    rolled_out = "1 of 1 replicas are up to date, 0 available, 0 old"
    return told == (rolled_out, reason) and body["status"]["phase"] == phase


def test_every_golden_file_has_its_case() -> None:
    """None is left over."""
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {case.name for case in CASES} | {
        "evicted", "refused-by-node", "node-lost"
    }  # fmt: skip


def test_every_reason_has_its_case() -> None:
    """Or it is said why not: a new reason comes with a case."""
    provoked = {case.reason for case in CASES} | {"Evicted", "NodeRefusedPod", "NodeLost"}
    assert provoked | UNPROVOKED.keys() == set(PodReason)
    assert not provoked & UNPROVOKED.keys()


def test_a_log_is_read_once_for_each_crash(namespaces: dict[str, Live], audit: Audit) -> None:
    """Of an image that does not write down why it ended, and of no pod that says why."""
    namespace = namespaces[""].namespace
    asked = [one for one in audit.everything() if one.subresource == "log" and one.namespace == namespace]
    assert [(one.name.rsplit("-", 2)[0], one.status) for one in asked] == [("other-image", 200)]


def golden(name: str, live: Live, request: pytest.FixtureRequest) -> None:
    """Compare what is said of an object with what a person has read."""
    path = GOLDEN / f"{name}.txt"
    text = described(live, name)
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


GIVEN_UP: Final = {
    "Evicted": (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 107374182400, available: 98Gi. Container "
        "vllm was using 210Gi, request is 0, has larger consumption of ephemeral-storage. "
    ),
    "UnexpectedAdmissionError": (
        "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices "
        "nvidia.com/gpu, which is unexpected"
    ),
}


@pytest.mark.parametrize(
    ("name", "reason", "kubelets"),
    [("evicted", "Evicted", "Evicted"), ("refused-by-node", "NodeRefusedPod", "UnexpectedAdmissionError")],
)
def test_given_up(
    name: str, reason: str, kubelets: str, namespaces: dict[str, Live], request: pytest.FixtureRequest
) -> None:
    """While the pod's successor begins, the status says what became of the pod."""
    live = namespaces[""]
    live.mdep(name, **fated("slow"))
    (pod,) = live.until("a pod that loads", lambda: [
        pod for pod in live.pods(name) if pod["status"]["phase"] == "Running"])  # fmt: skip
    status = {"phase": "Failed", "reason": kubelets, "message": GIVEN_UP[kubelets]}
    live.patch("Pod", pod["metadata"]["name"], {"status": status}, "status")
    body = until_told(live, name, reason, 30)
    assert body["status"]["phase"] in ("Scheduling", "Pulling", "Loading")
    live.until("its successor to load", lambda: live.get("MistralDeployment", name)["status"]["phase"] == "Loading")
    golden(name, live, request)
    release(live, name)
    live.until_ready(name)


def test_a_node_is_lost(namespaces: dict[str, Live], request: pytest.FixtureRequest) -> None:
    """The node's name stands in the status, and both heal together."""
    live = namespaces[""]
    live.mdep("node-lost", nodeSelector={"kubernetes.io/hostname": LOST}, podAnnotations={FATE: "node-lost"})
    live.until("a pod that ran", lambda: [
        pod for pod in live.pods("node-lost") if pod["status"]["phase"] == "Running"])  # fmt: skip
    live.plane.kubectl("annotate", "node", LOST, f"{FATE}=lost")
    body = until_told(live, "node-lost", "NodeLost", 30)
    assert body["status"]["phase"] == "Failed"
    golden("node-lost", live, request)
    live.plane.kubectl("annotate", "node", LOST, f"{FATE}-")
    release(live, "node-lost")
    live.until_ready("node-lost")
