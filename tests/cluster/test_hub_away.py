"""A hub that goes away after it was read takes nothing down: not pods, not the status, not what people ask for."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from cluster.conftest import QUICK
from cluster.hubs import port_of, put_models
from cluster.live import Live, condition_of, container_of
from cluster.traces import total
from devcluster.hub import HubServer
from devcluster.operator import Operator

MODEL: Final = "acme/mistral"
CHILDREN: Final = ("Deployment", "Service")


def children(live: Live) -> dict[str, tuple[str, int]]:
    """Return uid and generation of the object's children."""
    found = {kind: live.get(kind, "m")["metadata"] for kind in CHILDREN}
    return {kind: (metadata["uid"], metadata.get("generation", 0)) for kind, metadata in found.items()}


def pods(live: Live) -> set[str]:
    """Return the uids of the object's pods."""
    return {pod["metadata"]["uid"] for pod in live.pods("m")}


def until_unchecked(live: Live) -> str:
    """Wait until the object says that its model could not be looked at again; return the message."""
    told = live.until_condition("m", "ModelResolved", "True", "ModelNotChecked")
    live.until_condition("m", "PlanCurrent", "Unknown", "ModelNotChecked")
    return str(told["message"])


def until_back(live: Live, kind: str, gone: str) -> None:
    """Wait until a child has taken the place of one that was deleted."""

    def is_back() -> bool:
        child = live.find(kind, "m")
        return child is not None and child["metadata"]["uid"] != gone

    live.until(f"the {kind} to be back", is_back)


def test_a_hub_that_was_never_there_is_told_and_waited_for(solo: Live, tmp_path: Path) -> None:
    """That nobody answers is no fault of the object, which is Ready as soon as somebody does."""
    with HubServer(put_models(tmp_path, MODEL)) as hub:
        url, port = hub.url, port_of(hub)
    with Operator(solo.plane, url, arguments=QUICK, name="operator-no-hub") as operator:
        operator.wait_ready()  # without a hub it is no less ready
        solo.mdep("m", MODEL)
        told = solo.until_condition("m", "ModelResolved", "False", "HubUnreachable")
        for said in (MODEL, url, "Check the network, the proxy settings and HF_ENDPOINT"):
            assert said in told["message"]
        solo.until_condition("m", "Ready", "False", "HubUnreachable")
        assert solo.get("MistralDeployment", "m")["status"]["phase"] == "Resolving"

        def failures() -> float:
            return total(operator, "mistral_operator_hub_reads_total", result="HubUnreachable")

        solo.until("several tries", lambda: failures() >= 4)
        assert solo.events("m") == [("Warning", "HubUnreachable")]
        assert solo.find("Deployment", "m") is None
        with HubServer(tmp_path, port=port):
            body = solo.until_ready("m")
            assert condition_of(body, "ModelResolved")["reason"] == "ModelRead"
            solo.until("the good news", lambda: ("Normal", "ModelRead") in solo.events("m"))
            assert [event for event in solo.events("m") if event[0] == "Warning"] == [("Warning", "HubUnreachable")]


def test_a_hub_that_goes_away_takes_nothing_down(solo: Live, tmp_path: Path) -> None:
    """Pods serve on and Ready stays True; scaling works, children come back; the hub's return rolls nothing either."""
    put_models(tmp_path, MODEL, "acme/another")
    with ExitStack() as hub_up:
        hub = hub_up.enter_context(HubServer(tmp_path))
        port = port_of(hub)
        with Operator(solo.plane, hub.url, arguments=QUICK, name="operator-hub-away") as operator:
            operator.wait_ready()
            solo.mdep("m", MODEL)
            ready = condition_of(solo.until_ready("m"), "Ready")
            before, pods_before, events = children(solo), pods(solo), solo.events("m")
            hub_up.close()

            message = until_unchecked(solo)
            assert MODEL in message
            assert "cannot be checked now" in message
            body = solo.get("MistralDeployment", "m")
            assert body["status"]["phase"] == "Ready"
            assert condition_of(body, "Ready") == ready
            assert children(solo) == before
            assert solo.events("m") == events  # what serves on is no news

            solo.patch("MistralDeployment", "m", {"spec": {"replicas": 2}}, "scale")
            solo.until_ready("m")
            scaled = pods(solo)
            assert len(scaled) == 2
            assert pods_before < scaled
            arguments = container_of(solo.get("Deployment", "m"))["args"]
            for kind, (uid, _) in before.items():
                solo.delete(kind, "m")
                until_back(solo, kind, uid)
            solo.until("two new pods", lambda: len(pods(solo)) == 2 and not pods(solo) & scaled)
            solo.until_ready("m")
            assert container_of(solo.get("Deployment", "m"))["args"] == arguments
            # what was never read cannot be planned, and waits for the hub
            solo.mdep("other", "acme/another")
            solo.until_condition("other", "ModelResolved", "False", "HubUnreachable")

            before, pods_before = children(solo), pods(solo)
            with HubServer(tmp_path, port=port):
                solo.until_condition("m", "ModelResolved", "True", "ModelRead")
                solo.until_condition("m", "PlanCurrent", "True")
                solo.until_ready("other")
            assert (children(solo), pods(solo)) == (before, pods_before)


def test_an_operator_that_starts_without_a_hub_keeps_every_child(solo: Live, tmp_path: Path) -> None:
    """It knows the plan from the status alone: nothing rolls, Ready never wavers, and children still come back."""
    put_models(tmp_path, MODEL)
    with ExitStack() as hub_up:
        hub = hub_up.enter_context(HubServer(tmp_path))
        with Operator(solo.plane, hub.url, arguments=QUICK, name="operator-restarted") as operator:
            operator.wait_ready()
            solo.mdep("m", MODEL, replicas=2)
            ready = condition_of(solo.until_ready("m"), "Ready")
            before, pods_before = children(solo), pods(solo)
            template = solo.get("Deployment", "m")["spec"]["template"]
            operator.kill()
            hub_up.close()
            solo.delete("Service", "m")

            operator.start()
            until_back(solo, "Service", before["Service"][0])
            until_unchecked(solo)
            body = solo.get("MistralDeployment", "m")
            assert condition_of(body, "Ready") == ready
            assert body["status"]["phase"] == "Ready"
            assert (children(solo)["Deployment"], pods(solo)) == (before["Deployment"], pods_before)

            solo.delete("Deployment", "m")
            until_back(solo, "Deployment", before["Deployment"][0])
            assert solo.get("Deployment", "m")["spec"]["template"] == template
            solo.until_ready("m")
