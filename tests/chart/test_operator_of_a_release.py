"""The operator as a release runs it, with its arguments and its ServiceAccount: the rights suffice, where it watches.

No kubelet runs here: the process is started from its own command instead of the image's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from chart.helm import Release, arguments_of
from chart.installing import Installer
from cluster.live import BOUND_SECONDS, Live, condition_of
from cluster.traces import Audit, Request
from devcluster.hub import HubServer
from devcluster.operator import Operator

_OF_THIS_MACHINE: Final = ("--http-", "--lease-namespace", "--hub-cache")  # Operator says them itself
QUICK: Final = ["--resync=5", "--lease-duration=3"]
TEAMS: Final = ("team-a", "team-b")
# of everybody who is authenticated: what may I do, and what is served?
EVERYBODYS: Final = "authorization.k8s.io"


@contextmanager
def running(installer: Installer, hub: HubServer, release: Release) -> Iterator[Operator]:
    """Install or upgrade a release, and run its operator here."""
    installer.add_namespaces(release.namespace, *TEAMS)
    installer.upgrade(release, "--install")
    installer.until_served()
    arguments = [one for one in arguments_of(release.container()) if not one.startswith(_OF_THIS_MACHINE)]
    operator = Operator(
        installer.plane, hub.url, arguments=arguments, name=f"operator-{release.namespace}", namespace=release.namespace
    )
    operator.start()
    try:
        operator.wait_ready()
        yield operator
    finally:
        operator.stop()


def of(namespace: str, **values: object) -> Release:
    """Return a release whose operator acts quickly."""
    return Release("mistral-operator", namespace, {"extraArgs": QUICK, **values})


def outside(requests: list[Request], *namespaces: str) -> list[Request]:
    """Return the requests that are about something outside of namespaces, and are more than everybody's."""
    return [one for one in requests if one.namespace not in namespaces
            and one.group != EVERYBODYS and not one.resource.startswith("/")]  # fmt: skip


def refused(requests: list[Request]) -> list[Request]:
    """Return the requests that the API server refused for want of a right."""
    return [one for one in requests if one.status in (401, 403)]


def test_everywhere(installer: Installer, hub: HubServer) -> None:
    """Models of two namespaces become Ready, and no right is missing."""
    audit = Audit(installer.plane)
    with running(installer, hub, of("everywhere")):
        for namespace in TEAMS:
            live = Live(installer.plane, namespace)
            live.mdep("everywhere")
            live.until_ready("everywhere")
            live.delete("MistralDeployment", "everywhere")
    assert refused(audit.everything()) == []
    assert {"team-a", "team-b"} <= {one.namespace for one in audit.everything()}


def test_in_a_named_namespace(installer: Installer, hub: HubServer) -> None:
    """It touches nothing outside: the audit log shows one namespace, its own for the Lease, and nodes."""
    audit = Audit(installer.plane)
    with running(installer, hub, of("named", watchNamespaces=["team-a"])):
        elsewhere, here = Live(installer.plane, "team-b"), Live(installer.plane, "team-a")
        elsewhere.mdep("named")
        here.mdep("named")
        body = here.until_ready("named")
        assert condition_of(body, "HardwareCompatible")["reason"] == "GPUFound"
        assert condition_of(elsewhere.get("MistralDeployment", "named"), "Ready") == {}
        assert elsewhere.find("Deployment", "named") is None
        here.delete("MistralDeployment", "named")
    requests = audit.everything()
    assert refused(requests) == []
    assert {one.resource for one in outside(requests, "team-a", "named")} == {"nodes"}
    assert {one.resource for one in requests if one.namespace == "named"} == {"leases"}
    assert [one for one in requests if one.resource == "secrets"] == []  # no object references any


def test_without_nodes(installer: Installer, hub: HubServer) -> None:
    """It says that it may not read them, asks for nothing outside, and serves."""
    rbac = {"nodes": False, "aggregateClusterRoles": False}
    audit = Audit(installer.plane)
    with running(installer, hub, of("nodeless", watchNamespaces=["team-a"], rbac=rbac)):
        live = Live(installer.plane, "team-a")
        live.mdep("nodeless", gpu={"products": ["NVIDIA-H200"], "minMemory": "140Gi"})
        body = live.until_ready("nodeless")
        assert condition_of(body, "HardwareCompatible")["reason"] == "NodesNotReadable"
        live.delete("MistralDeployment", "nodeless")
    assert refused(audit.everything()) == []
    assert outside(audit.everything(), "team-a", "nodeless") == []


def test_an_upgrade_rolls_no_pod(installer: Installer, hub: HubServer) -> None:
    """Neither another default image nor the change of operators does; the object says what a new plan would change."""
    live = Live(installer.plane, "team-b")
    with running(installer, hub, of("everywhere")):
        live.mdep("upgraded")
        live.until_ready("upgraded")
    pods, generation = live.pods("upgraded"), live.get("Deployment", "upgraded")["metadata"]["generation"]
    stock = {"repository": "vllm/vllm-openai", "tag": "v0.26.0", "runtime": "vllm"}
    with running(installer, hub, of("everywhere", vllm=stock)):
        live.until_condition("upgraded", "PlanCurrent", "False", "PlanOutdated")
        assert condition_of(live.get("MistralDeployment", "upgraded"), "Ready")["status"] == "True"
    assert live.get("Deployment", "upgraded")["metadata"]["generation"] == generation
    assert [pod["metadata"]["uid"] for pod in live.pods("upgraded")] == [pod["metadata"]["uid"] for pod in pods]


@pytest.mark.parametrize(
    ("user", "may", "may_not"),
    [("view", {"get", "list", "watch"}, {"create", "delete"}), ("edit", {"get", "create", "patch", "delete"}, set())],
)
def test_people(installer: Installer, user: str, may: set[str], may_not: set[str]) -> None:
    """Whoever has the cluster's role view or edit in a namespace has it for MistralDeployments."""
    installer.add_namespaces("people")
    installer.install(Release("mistral-operator", "people"))
    plane = installer.plane
    plane.kubectl("create", "rolebinding", user, f"--clusterrole={user}", f"--user={user}", "--namespace=people")

    def can(verb: str, *flags: str) -> bool:
        asked = ("mistraldeployments.mistral-operator.io", f"--as={user}", "--namespace=people", *flags)
        return plane.kubectl("auth", "can-i", verb, *asked, check=False).split()[-1] == "yes"

    live = Live(plane, "people")
    live.until("the roles to be aggregated", lambda: can("get"), BOUND_SECONDS)
    assert {verb for verb in may | may_not if can(verb)} == may
    assert not can("patch", "--subresource=status")
