"""One control plane, one hub and one operator for all tests that can share them; a namespace for each test."""

from collections.abc import Iterator
from typing import Final

import pytest

from cluster.live import Live
from cluster.namespaces import new_name, new_namespace
from devcluster.binaries.progress import Progress
from devcluster.controlplane import H200, KINDS, ControlPlane
from devcluster.hub import HubServer
from devcluster.operator import Operator

OPERATOR_USER: Final = "system:serviceaccount:mistral-operator-system:mistral-operator"
# everything that takes minutes in production takes seconds here; the rules are the same
QUICK: Final = (
    "--hub-retry=0.2", "--hub-slow-retry=3", "--hub-recheck=2", "--token-seconds=0.5", "--resync=5",
    "--lease-duration=3",
)  # fmt: skip


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """Return a control plane with one node of each kind."""
    with ControlPlane(Progress(), audited=[OPERATOR_USER]) as started:
        for kind in KINDS:
            started.add_node(f"{kind.name}-0", kind)
        yield started


@pytest.fixture(scope="session")
def hub() -> Iterator[HubServer]:
    """Return a hub for tests that change nothing about it for others: faults are set per repository and test."""
    with HubServer() as started:
        yield started


@pytest.fixture(scope="session")
def operator(plane: ControlPlane, hub: HubServer) -> Iterator[Operator]:
    """Return the operator that most tests share."""
    with Operator(plane, hub.url, arguments=QUICK) as started:
        started.wait_ready()
        yield started


@pytest.fixture(scope="session")
def solo_plane() -> Iterator[ControlPlane]:
    """Return a control plane without an operator, for tests that start, kill or starve their own."""
    with ControlPlane(Progress(), audited=[OPERATOR_USER]) as started:
        started.add_node("h200-0", H200)
        yield started


@pytest.fixture(scope="session")
def bare_plane() -> Iterator[ControlPlane]:
    """Return an API server alone, to be stopped and restarted: Kubernetes' controllers take a minute to notice."""
    with ControlPlane(Progress(), controllers=False, audited=[OPERATOR_USER]) as started:
        yield started


@pytest.fixture
def live(plane: ControlPlane, operator: Operator) -> Iterator[Live]:  # noqa: ARG001 - it must run
    """Return a namespace of its own on the shared control plane, with the shared operator at work."""
    with new_namespace(plane) as live:
        yield live


@pytest.fixture
def solo(solo_plane: ControlPlane) -> Iterator[Live]:
    """Return a namespace of its own on the control plane without an operator."""
    with new_namespace(solo_plane) as live:
        yield live


@pytest.fixture
def bare(bare_plane: ControlPlane) -> Iterator[Live]:
    """Return a namespace of its own where nobody makes pods, and nobody collects what has lost its owner."""
    namespace = new_name()
    bare_plane.kubectl("create", "namespace", namespace)
    bare_plane.kubectl("create", "serviceaccount", "default", "-n", namespace)  # pods are refused without
    yield Live(bare_plane, namespace)
    # the namespace stays: its deletion would never end, and forbid what a later operator wants in it
    bare_plane.kubectl("delete", "mdep", "--all", "-n", namespace, check=False)
