"""The API server goes away, forgets, or does not know the resource: no reason to die, and nothing is missed after."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import pytest

from cluster.conftest import QUICK
from cluster.live import Live, pod_of
from cluster.processes import ask, blind, leads, until_heard, until_leads
from cluster.traces import Audit, Sample, samples, total
from devcluster.definitions import delete_definition
from devcluster.hub import HubServer
from devcluster.operator import Operator
from devcluster.waiting import wait_until

CRD: Final = "mistraldeployments.mistral-operator.io"
SHORT_OUTAGE_SECONDS: Final = 20.0  # longer than the Lease
OUTAGE_SECONDS: Final = 65.0  # longer than a minute of the kubelet's patience
BACK_SECONDS: Final = 10.0  # after an outage of any length, a change is applied within
CHILDREN: Final = ("Deployment", "Service")


@contextmanager
def same_process(operator: Operator) -> Iterator[None]:
    """Hold that an operator neither ends nor calls itself ill."""
    pid = operator.pid
    yield
    assert operator.running
    assert operator.pid == pid
    assert ask(operator, "/healthz").text == "ok\n"
    assert total(operator, "mistral_operator_reconciles_total", result="fault") == 0


def until_told_by_a_watch(live: Live) -> None:
    """Make an object, and hold that the operator learned of it although it listed nothing meanwhile."""

    def listed() -> bool:
        requests = [request for request in audit.requests() if request.verb == "list"]
        return any(request.resource == "mistraldeployments" for request in requests)

    for attempt in range(5):
        audit = Audit(live.plane)
        live.mdep(f"watched-{attempt}")
        live.until_there(f"watched-{attempt}")
        if not listed():
            return
    pytest.fail("the operator learns of nothing but from lists")


@contextmanager
def outage(live: Live, operator: Operator, seconds: float) -> Iterator[None]:
    """Let the API server be away for a while, through which an operator lives; the block is the end of that time."""
    live.plane.stop_apiserver()
    end = time.monotonic() + seconds

    def over() -> bool:
        assert operator.running, operator.log
        assert ask(operator, "/healthz").status == 200
        return time.monotonic() > end

    wait_until("the outage to be over", over, seconds=2 * seconds, every_seconds=0.5)
    yield
    live.plane.start_apiserver()


def has_replicas(live: Live, name: str, replicas: int) -> bool:
    """Tell whether a Deployment wants that many replicas."""
    return bool(live.get("Deployment", name)["spec"]["replicas"] == replicas)


def test_an_outage_of_the_api_server(bare: Live, hub: HubServer) -> None:
    """The operator waits for as long as it takes, and goes on where it was, at once."""
    with Operator(bare.plane, hub.url, arguments=QUICK, name="operator-outage") as operator:
        operator.wait_ready()
        bare.mdep("m")
        bare.until_there("m")
        with same_process(operator):
            with outage(bare, operator, OUTAGE_SECONDS):
                assert not leads(operator)  # somebody else may be able to reach it
            bare.patch("MistralDeployment", "m", {"spec": {"replicas": 2}})
            bare.until("two replicas", partial(has_replicas, bare, "m", 2), BACK_SECONDS)
            for kind in CHILDREN:
                bare.delete(kind, "m")
            bare.until_there("m")
            until_told_by_a_watch(bare)
            assert leads(operator)
            assert ask(operator, "/readyz").status == 200


def test_a_short_outage_with_production_settings(bare: Live, hub: HubServer) -> None:
    """A change made when the API server is back is applied within ten seconds, of its own accord and not by a list."""
    with Operator(bare.plane, hub.url, name="operator-short-outage") as operator:
        operator.wait_ready()
        bare.mdep("m")
        bare.until_there("m")
        with same_process(operator):
            for replicas in (2, 3):
                with outage(bare, operator, SHORT_OUTAGE_SECONDS):
                    pass
                bare.patch("MistralDeployment", "m", {"spec": {"replicas": replicas}})
                bare.until(f"{replicas} replicas", partial(has_replicas, bare, "m", replicas), BACK_SECONDS)
            until_told_by_a_watch(bare)


def test_history_that_is_gone(bare: Live, hub: HubServer) -> None:
    """What vanished unseen leaves no ghost, what came unseen is served, and the watches live on."""
    arguments = (*QUICK, "--log-level=DEBUG", "--resync=600")
    with Operator(bare.plane, hub.url, arguments=arguments, name="operator-gone-history") as operator:
        operator.wait_ready()
        for name in ("stays", "goes"):
            bare.mdep(name)
        for name in ("stays", "goes"):
            bare.until_there(name)
        bare.create(pod_of(bare.get("Deployment", "stays"), "stays-pod"))
        bare.until("the pod to count", lambda: bare.get("MistralDeployment", "stays")["status"]["replicas"] == 1)
        audit = Audit(bare.plane)
        with same_process(operator):
            with blind(operator, bare.plane):
                for kind in ("MistralDeployment", *CHILDREN):
                    bare.delete(kind, "goes")
                bare.delete("Service", "stays")
                bare.delete("Pod", "stays-pod")
                bare.mdep("comes")
            bare.until_there("comes")
            bare.until_there("stays")
            bare.until("no pod to count", lambda: bare.get("MistralDeployment", "stays")["status"]["replicas"] == 0)

            def ghosts() -> list[Sample]:
                return samples(operator, "mistral_operator_condition", namespace=bare.namespace, name="goes")

            bare.until("no ghost in the metrics", lambda: not ghosts())
            bare.until("an empty queue", lambda: total(operator, "mistral_operator_queue_depth") == 0)
            until_told_by_a_watch(bare)
            assert not [request for request in audit.requests() if request.writes and request.name == "goes"]
            for kind in ("MistralDeployment", *CHILDREN):
                assert bare.find(kind, "goes") is None
        assert "history has expired" in operator.log


def test_a_resource_that_comes_later(bare: Live, hub: HubServer) -> None:
    """Until it is served the operator says what it waits for; then it works, as the same process."""
    delete_definition(bare.plane, CRD)
    with Operator(bare.plane, hub.url, arguments=QUICK, name="operator-early", install_crd=False) as operator:
        until_heard(operator)
        with same_process(operator):
            bare.until("a line in the log", lambda: f"does not serve {CRD} yet" in operator.log)
            said = ask(operator, "/readyz")
            assert said.status == 503
            assert "the MistralDeployment CRD is not served yet" in said.text
            assert not leads(operator)
            Operator(bare.plane, hub.url).install()
            operator.wait_ready()
            until_told_by_a_watch(bare)


def test_a_resource_that_goes_and_comes_back(bare: Live, hub: HubServer) -> None:
    """All objects are gone with it; the operator is unready, not dead, and serves those that come with it again."""
    with Operator(bare.plane, hub.url, arguments=QUICK, name="operator-without") as operator:
        operator.wait_ready()
        bare.mdep("m")
        bare.until_there("m")
        with same_process(operator):
            delete_definition(bare.plane, CRD)
            wait_until("the operator to notice", lambda: ask(operator, "/readyz").status == 503, seconds=30)
            assert samples(operator, "mistral_operator_condition") == []
            operator.install()
            operator.wait_ready()
            until_leads(operator)
            until_told_by_a_watch(bare)
