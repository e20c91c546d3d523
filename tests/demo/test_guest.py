"""The demo in a cluster that is not its own."""

import signal
from collections.abc import Iterator

import pytest

from demo.world import Demo, World
from devcluster.binaries.progress import Progress
from devcluster.controlplane import H200, ControlPlane
from devcluster.definitions import delete_definition

CRD = "mistraldeployments.mistral-operator.io"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Return a cluster with a node that has GPUs."""
    with ControlPlane(Progress()) as plane:
        plane.add_node("gpu-0", H200)
        yield plane


@pytest.fixture
def guest(plane: ControlPlane) -> dict[str, str]:
    """Return the settings of a demo in that cluster."""
    return {"KUBECONFIG": str(plane.admin_kubeconfig), "DEMO_CONTEXT": "local"}


def made_there(plane: ControlPlane) -> list[str]:
    """Return what a cluster has of the demo and of the operator."""
    said = plane.kubectl("get", "crd,namespaces,clusterroles,clusterrolebindings", "-o", "name")
    return [name for name in said.split() if "mistral" in name]


def test_it_takes_away_what_it_made(world: World, plane: ControlPlane, guest: dict[str, str]) -> None:
    """Everything happens in a namespace of its own, and the commands shown lead there."""
    with Demo(world, **guest) as demo:
        code, said = demo.end()
    assert code == 0, said
    assert "mistral-7b is Ready, mistral-nemo is Ready" in said
    assert "$ kubectl --context=local -n mistral-operator-demo get mdep -o wide" in said
    assert made_there(plane) == []
    assert world.is_empty()


def test_what_a_killed_demo_left_is_found_and_removed(world: World, plane: ControlPlane, guest: dict[str, str]) -> None:
    """Another demo says so, and demo-stop removes it."""
    with Demo(world, **guest) as demo:
        world.until("the operator to run", lambda: world.runs("mistral-operator run"))
        demo.send(signal.SIGKILL)
        world.until("everything here to be gone", world.is_empty)
    with Demo(world, **guest) as second:
        code, said = second.end()
    assert code == 1
    assert "make demo-stop DEMO_CONTEXT=local" in said
    with Demo(world, "stop", **guest) as stop:
        code, said = stop.end()
    assert code == 0, said
    assert made_there(plane) == []


def test_a_cluster_with_an_operator_is_left_alone(world: World, plane: ControlPlane, guest: dict[str, str]) -> None:
    """Two operators would undo each other's work."""
    plane.kubectl("apply", "--server-side", "-f", "operator/crds/mistraldeployments.mistral-operator.io.yaml")
    try:
        with Demo(world, **guest) as demo:
            code, said = demo.end()
        assert code == 1
        assert "the demo keeps away from it" in said
        assert made_there(plane) == [f"customresourcedefinition.apiextensions.k8s.io/{CRD}"]
    finally:
        delete_definition(plane, CRD)


def test_a_context_that_does_not_exist_is_told(world: World, guest: dict[str, str]) -> None:
    """With how to find those that do."""
    with Demo(world, **guest | {"DEMO_CONTEXT": "nowhere"}) as demo:
        code, said = demo.end()
    assert code == 1
    assert 'context "nowhere" does not exist' in said
    assert "kubectl config get-contexts" in said
