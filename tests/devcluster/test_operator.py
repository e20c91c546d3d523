"""The operator as a process on a control plane."""

from collections.abc import Iterator

import pytest

from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane
from devcluster.hub import HubServer
from devcluster.operator import NAMESPACE, SERVICE_ACCOUNT, Operator
from devcluster.processes import StartError


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Return a control plane without controllers: nothing here needs any."""
    with ControlPlane(Progress(), controllers=False) as plane:
        yield plane


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """Return a hub."""
    with HubServer() as hub:
        yield hub


def test_two_at_once_and_one_again(plane: ControlPlane, hub: HubServer) -> None:
    """Each has its port and its log; one that was killed starts again and goes on in its log."""
    with Operator(plane, hub.url) as first, Operator(plane, hub.url, name="second") as second:
        first.wait_ready()
        second.wait_ready()
        assert first.url != second.url
        assert first.pid != second.pid
        first.kill()
        assert not first.running
        assert first.exit_code == -9
        assert second.running
        first.start()
        first.wait_ready()
        assert first.running
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_it_has_its_own_rights_and_no_others(plane: ControlPlane, hub: HubServer) -> None:
    """It is its ServiceAccount to the API server."""
    with Operator(plane, hub.url):
        kubeconfig = plane.folder / f"{NAMESPACE}-{SERVICE_ACCOUNT}.kubeconfig"
        said = plane.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", kubeconfig=kubeconfig)
        assert said == f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
        may = plane.kubectl("auth", "can-i", "delete", "nodes", kubeconfig=kubeconfig, check=False)
        assert may.splitlines()[0] == "no"


def test_one_that_does_not_start_says_why(plane: ControlPlane, hub: HubServer) -> None:
    """With the end of its log."""
    operator = Operator(plane, hub.url, arguments=("--log-level=LOUD",), name="failing")
    operator.install()
    operator.start()
    with pytest.raises(StartError, match=r"failing ended with code 2:[\s\S]*--log-level"):
        operator.wait_ready()
