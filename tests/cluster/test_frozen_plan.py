"""Facts change by themselves, and running pods must not: newer facts are told, and taken when somebody asks."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.conftest import QUICK
from cluster.live import Live, condition_of, container_of
from devcluster.controlplane import ControlPlane, NodeKind
from devcluster.hub import HubServer
from devcluster.hub.server import MODELS
from devcluster.operator import Operator

B300 = NodeKind("b300", "NVIDIA-B300", 8, 275_000, "10.3", "blackwell")


def rolled(live: Live, name: str = "m") -> int:
    """Return how often an object's pods were made anew."""
    return int(live.get("Deployment", name)["metadata"]["generation"])


def replan(live: Live, value: str) -> None:
    """Ask for a new plan."""
    live.patch("MistralDeployment", "m", {"metadata": {"annotations": {"mistral-operator.io/replan": value}}})


@pytest.fixture
def new_node(plane: ControlPlane) -> Iterator[str]:
    """Add a kind of node that the cluster did not have, until the test ends."""
    plane.add_node("b300-0", B300)
    yield "NVIDIA-B300"
    plane.remove_node("b300-0")


def test_a_new_kind_of_node_rolls_nothing_until_asked(live: Live, request: pytest.FixtureRequest) -> None:
    """The status says what would change; the annotation makes it so."""
    live.mdep("m")
    live.until_ready("m")
    before = rolled(live)
    product = request.getfixturevalue("new_node")
    told = live.until_condition("m", "PlanCurrent", "False", "PlanOutdated")
    assert product in told["message"]
    assert "mistral-operator.io/replan" in told["message"]
    live.until_ready("m")  # outdated is no fault
    assert rolled(live) == before

    replan(live, "1")
    live.until_condition("m", "PlanCurrent", "True")
    live.until_ready("m")
    assert rolled(live) == before + 1
    assert product in str(live.get("MistralDeployment", "m")["status"]["resolved"]["gpuClasses"])


def test_scaling_keeps_an_outdated_plan(live: Live, request: pytest.FixtureRequest) -> None:
    """A new generation that asks for nothing else of a plan gets the same plan: scaling must not roll."""
    live.mdep("m")
    live.until_ready("m")
    before = rolled(live)
    request.getfixturevalue("new_node")
    live.until_condition("m", "PlanCurrent", "False", "PlanOutdated")
    first = {pod["metadata"]["uid"] for pod in live.pods("m")}
    live.patch("MistralDeployment", "m", {"spec": {"replicas": 2}})
    live.until_condition("m", "PlanCurrent", "False", "PlanOutdated")
    live.until_ready("m")
    assert first <= {pod["metadata"]["uid"] for pod in live.pods("m")}
    assert rolled(live) == before + 1  # replicas alone


def test_a_moved_branch_rolls_nothing_until_asked(solo: Live, tmp_path: Path) -> None:
    """Pods run the commit that the branch meant when they were planned, scaled-up ones too."""
    repository = tmp_path / "acme__mistral"
    shutil.copytree(MODELS / "mistralai__Mistral-7B-v0.1", repository)
    with HubServer(tmp_path) as hub, Operator(solo.plane, hub.url, arguments=QUICK):
        port = int(hub.url.rpartition(":")[2])
        solo.mdep("m", "acme/mistral")
        commit = solo.until_ready("m")["status"]["resolved"]["commit"]
    config = json.loads((repository / "config.json").read_text())
    (repository / "config.json").write_text(json.dumps(config | {"sliding_window": 2048}))
    with HubServer(tmp_path, port=port) as hub, Operator(solo.plane, hub.url, arguments=QUICK):
        told = solo.until_condition("m", "PlanCurrent", "False", "PlanOutdated")
        assert commit[:12] in told["message"]
        solo.patch("MistralDeployment", "m", {"spec": {"replicas": 2}})
        solo.until_ready("m")
        arguments = container_of(solo.get("Deployment", "m"))["args"]
        assert arguments[arguments.index("--revision") + 1] == commit
        assert len(solo.all("ReplicaSet")) == 1

        replan(solo, "now")
        solo.until_condition("m", "PlanCurrent", "True")
        status = solo.until_ready("m")["status"]
        assert status["resolved"]["commit"] != commit
        assert status["attention"]["slidingWindow"] == 2048
        assert len(solo.all("ReplicaSet")) == 2


def test_a_new_default_image_rolls_nothing_until_asked(solo: Live, hub: HubServer) -> None:
    """An operator with another default image tells of it, and changes no pod by itself."""
    with Operator(solo.plane, hub.url, arguments=QUICK):
        solo.mdep("m")
        solo.until_ready("m")
        before = container_of(solo.get("Deployment", "m"))["image"]
    with Operator(solo.plane, hub.url, arguments=(*QUICK, "--image-tag=0.26.0-2")):
        told = solo.until_condition("m", "PlanCurrent", "False", "PlanOutdated")
        assert "0.26.0-2" in told["message"]
        solo.until_ready("m")
        assert container_of(solo.get("Deployment", "m"))["image"] == before
        assert rolled(solo) == 1

        replan(solo, "2026-11-24")
        solo.until_condition("m", "PlanCurrent", "True")
        solo.until_ready("m")
        assert container_of(solo.get("Deployment", "m"))["image"].endswith(":0.26.0-2")
        assert rolled(solo) == 2


def test_the_plan_moves_freely_until_a_pod_is_scheduled(solo: Live, hub: HubServer) -> None:
    """Nothing runs yet, so that today's facts are simply taken: the pod goes where a fitting GPU appears."""
    with Operator(solo.plane, hub.url, arguments=QUICK):
        solo.mdep("m", parallelism={"tensor": 16})
        solo.until_condition("m", "HardwareCompatible", "False", "NoMatchingGPU")
        huge = NodeKind("huge", "NVIDIA-HUGE", 16, 275_000, "9.0", "hopper")
        solo.plane.add_node("huge-0", huge)
        try:
            solo.until_ready("m")
            assert [pod["spec"]["nodeName"] for pod in solo.pods("m")] == ["huge-0"]
            assert solo.get("MistralDeployment", "m")["status"]["resolved"]["scheduled"] is True
        finally:
            solo.plane.remove_node("huge-0")
        told = solo.until_condition("m", "HardwareCompatible", "False", "NoMatchingGPU")
        assert "NVIDIA-HUGE" in told["message"]
        assert condition_of(solo.get("MistralDeployment", "m"), "Ready")["status"] == "False"
