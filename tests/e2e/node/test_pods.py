"""A node runs pods as a cluster's nodes do."""

import contextlib
import subprocess
import urllib.request
from typing import Any, Final

import pytest

from devcluster.binaries import KUBERNETES_VERSION
from devcluster.hub import HubServer
from devcluster.node import Node
from devcluster.waiting import wait_until
from e2e.node.conftest import pod

BOUND_SECONDS: Final = 60.0
SERVICE: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}
SERVE: Final = "mkdir /www && echo hello >/www/index.html && echo serving && exec httpd -f -p 8080 -h /www"


@pytest.fixture(scope="module")
def pods(own_node: Node) -> None:
    """Have a pod that serves, behind a Service, and one to ask from."""
    own_node.apply(pod("web", "sh", "-c", SERVE), pod("client", "sleep", "3600"), SERVICE)
    own_node.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/client", f"--timeout={BOUND_SECONDS:g}s")


def status(node: Node, name: str) -> dict[str, Any]:
    """Return what the kubelet says of a pod's container."""
    statuses = node.get("pod", name)["status"].get("containerStatuses") or [{}]
    found: dict[str, Any] = statuses[0]
    return found


def ask(node: Node, url: str) -> str:
    """Return what a URL answers inside the cluster; kube-proxy needs a moment for a new Service."""

    def answer() -> str:
        with contextlib.suppress(subprocess.CalledProcessError):
            return node.kubectl("exec", "client", "--", "wget", "-q", "-O", "-", url)
        return ""

    return wait_until(f"{url} to answer", answer, seconds=BOUND_SECONDS)


def test_the_node_is_what_its_versions_say(own_node: Node) -> None:
    """It is ready, and its kubelet and containerd are the ones that were built."""
    found = own_node.get("node", own_node.name)["status"]
    assert {each["type"]: each["status"] for each in found["conditions"]}["Ready"] == "True"
    assert found["nodeInfo"]["kubeletVersion"] == f"v{KUBERNETES_VERSION}"
    assert found["nodeInfo"]["containerRuntimeVersion"] == "containerd://2.4.2"


@pytest.mark.usefixtures("pods")
def test_logs_and_commands_reach_the_container(own_node: Node) -> None:
    """Through the API server, which the kubelet knows by its certificate."""
    assert own_node.kubectl("logs", "web") == "serving\n"
    assert own_node.kubectl("exec", "client", "--", "id", "-u") == "0\n"
    assert own_node.kubectl("exec", "--stdin", "client", "--", "sh", stdin="echo $((6 * 7))") == "42\n"


@pytest.mark.usefixtures("pods")
def test_a_service_answers_by_name_and_by_address(own_node: Node) -> None:
    """In pods and, by address, on this machine."""
    address = own_node.get("service", "web")["spec"]["clusterIP"]
    assert ask(own_node, "http://web.default.svc.cluster.local/") == "hello\n"
    assert ask(own_node, "http://web/") == "hello\n"
    assert ask(own_node, f"http://{address}/") == "hello\n"
    with urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
        assert answer.read() == b"hello\n"


@pytest.mark.usefixtures("pods")
def test_pods_reach_the_api_server_and_this_machine(own_node: Node) -> None:
    """The API server by its Service's name, a hub at the node's host address."""
    plain = "http://kubernetes.default.svc:443/"
    assert "400 Bad Request" in own_node.kubectl("exec", "client", "--", "wget", "-O", "-", plain, check=False)
    with HubServer(host=own_node.host_address) as hub:
        assert "sha" in ask(own_node, f"{hub.url}/api/models/mistralai/Mistral-7B-v0.1")
        assert [exchange.status for exchange in hub.requests] == [200]


def test_more_memory_than_the_limit_is_told_as_that(own_node: Node) -> None:
    """The kernel ends it, and the kubelet says why."""
    own_node.apply(pod("hungry", "tail", "/dev/zero", resources={"limits": {"memory": "32Mi"}}))
    ended = wait_until(
        "it to end", lambda: status(own_node, "hungry").get("state", {}).get("terminated"), seconds=BOUND_SECONDS
    )
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


@pytest.mark.usefixtures("pods")
def test_pods_go_on_without_kubelet_and_containerd(own_node: Node) -> None:
    """Both start again and find the same containers."""
    before = status(own_node, "web")
    own_node.stop_kubelet()
    own_node.stop_containerd()
    assert urllib.request.urlopen(f"http://{own_node.get('service', 'web')['spec']['clusterIP']}/", timeout=10).read()
    own_node.start_containerd()
    own_node.start_kubelet()
    own_node.apply(pod("later", "sleep", "3600"))
    own_node.kubectl("wait", "--for=condition=Ready", "pod/later", f"--timeout={BOUND_SECONDS:g}s")
    own_node.check()
    after = status(own_node, "web")
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    assert own_node.kubectl("exec", "client", "--", "id", "-u") == "0\n"
