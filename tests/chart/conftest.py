"""One control plane for all tests that install; each leaves it without a release and without the definition."""

from collections.abc import Iterator
from typing import Final

import pytest

from chart.installing import Installer
from devcluster.binaries.progress import Progress
from devcluster.controlplane import CPU_ONLY, H200, ControlPlane
from devcluster.hub import HubServer

AUDITED: Final = [
    f"system:serviceaccount:{namespace}:mistral-operator" for namespace in ("everywhere", "named", "nodeless")
]


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """Return a control plane with a node for operators and one for models."""
    with ControlPlane(Progress(), audited=AUDITED) as started:
        started.add_nodes({"cpu-0": CPU_ONLY, "h200-0": H200})
        yield started


@pytest.fixture(scope="session")
def hub() -> Iterator[HubServer]:
    """Return a hub."""
    with HubServer() as started:
        yield started


@pytest.fixture
def installer(plane: ControlPlane) -> Iterator[Installer]:
    """Return Helm on a cluster without a release of the chart."""
    installer = Installer(plane)
    yield installer
    installer.clear()
