"""Models that cannot be read: told once and in words that help, and healed without anybody touching the object."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from cluster.conftest import QUICK
from cluster.hubs import put_models, times_asked
from cluster.live import Live, condition_of
from devcluster.controlplane import ControlPlane
from devcluster.hub import Fault, HubServer, Kind
from devcluster.operator import Operator

# the wait where only a person can help is short here, so that a test sees several; an answer is good for the module
ARGUMENTS: Final = (*QUICK, "--hub-slow-retry=1", "--hub-recheck=600", "--hub-timeout=1")
SLOW_RETRY_SECONDS: Final = 1.0

# the fault; the reason that is told; the phase; and what the message must say
FAULTS: Final = {
    "gated": (Fault(Kind.GATED), "Gated", "Failed", ("no token was sent", "Accept the licence at", "hfTokenSecretRef")),
    "missing": (
        Fault(Kind.PRIVATE),
        "NotFoundOrNoAccess",
        "Failed",
        ("does not exist", "Check the spelling of the id"),
    ),
    "no-revision": (
        Fault(Kind.REVISION_MISSING),
        "RevisionMissing",
        "Failed",
        ("has no revision 'main'", "Choose a branch, tag or commit"),
    ),
    "no-config": (
        Fault(Kind.NO_CONFIG),
        "NoConfig",
        "Failed",
        ("neither config.json nor params.json", "Choose a model in the format of"),
    ),
    "garbled": (
        Fault(Kind.GARBLED),
        "TornConfig",
        "Failed",
        ("config.json", "is not a JSON object", "pin another revision"),
    ),
    "torn": (
        Fault(Kind.TORN),
        "HubUnreachable",
        "Resolving",
        ("config.json ended after", "Check the network, the proxy settings and HF_ENDPOINT"),
    ),
    "disabled": (Fault(Kind.DISABLED), "Disabled", "Failed", ("has been disabled by", "Choose another model")),
    "limited": (
        Fault(Kind.RATE_LIMITED, seconds=1),
        "RateLimited",
        "Resolving",
        ("answers no more requests for now (429)", "asked again as soon as it allows"),
    ),
    "unavailable": (
        Fault(Kind.UNAVAILABLE),
        "HubUnreachable",
        "Resolving",
        ("HTTP status 503", "Check the network, the proxy settings and HF_ENDPOINT"),
    ),
    "slow": (
        Fault(Kind.SLOW, seconds=3),
        "HubUnreachable",
        "Resolving",
        ("did not answer in time", "Check the network, the proxy settings and HF_ENDPOINT"),
    ),
}
MODELS: Final = tuple(f"acme/{name}" for name in (*FAULTS, "granted", "waits", "worse", "popular"))
pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """Return a hub with a model for each test."""
    with HubServer(put_models(tmp_path_factory.mktemp("models"), *MODELS)) as started:
        yield started


@pytest.fixture(scope="module")
def operator(solo_plane: ControlPlane, hub: HubServer) -> Iterator[Operator]:
    """Return an operator that reads that hub."""
    with Operator(solo_plane, hub.url, arguments=ARGUMENTS, name="operator-hub-faults") as started:
        started.wait_ready()
        yield started


def warnings(live: Live, name: str) -> list[str]:
    """Return the reasons of all Warning Events about an object, oldest first."""
    return [reason for kind, reason in live.events(name) if kind == "Warning"]


def until_told(live: Live, name: str, reason: str) -> str:
    """Wait until an object says that its model cannot be read; return the message."""
    live.until_condition(name, "ModelResolved", "False", reason)
    live.until_condition(name, "Ready", "False", reason)
    body = live.get("MistralDeployment", name)
    message = str(condition_of(body, "ModelResolved")["message"])
    assert condition_of(body, "Ready")["message"] == message
    return message


def assert_healed(live: Live, name: str, reason: str) -> None:
    """Hold that an object became Ready by itself, and that its Events tell the story once."""
    body = live.until_ready(name)
    assert body["metadata"]["generation"] == 1
    assert "annotations" not in body["metadata"]
    assert body["status"]["phase"] == "Ready"
    assert condition_of(body, "ModelResolved")["reason"] == "ModelRead"
    live.until("the good news", lambda: ("Normal", "ModelRead") in live.events(name))
    events = live.events(name)
    assert warnings(live, name) == [reason]
    assert events.count(("Normal", "ModelRead")) == 1
    assert events.index(("Warning", reason)) < events.index(("Normal", "ModelRead"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_cannot_be_read_is_told_and_heals(solo: Live, hub: HubServer, fault: str) -> None:
    """Status and one Event tell it, however often the hub is asked; nothing is deployed; healing needs nobody."""
    wrong, reason, phase, words = FAULTS[fault]
    model = f"acme/{fault}"
    hub.faults[model] = wrong
    solo.mdep("m", model)

    message = until_told(solo, "m", reason)
    for said in (model, *words):
        assert said in message
    assert solo.get("MistralDeployment", "m")["status"]["phase"] == phase
    solo.until("the hub to be asked thrice", lambda: times_asked(hub, model) >= 3)
    solo.until("the Event", lambda: warnings(solo, "m"))
    assert warnings(solo, "m") == [reason]
    assert until_told(solo, "m", reason) == message
    assert solo.find("Deployment", "m") is None
    assert solo.find("Service", "m") is None

    del hub.faults[model]
    assert_healed(solo, "m", reason)


def test_another_cause_of_the_same_reason_is_no_event(solo: Live, hub: HubServer) -> None:
    """The message tells what is wrong now; to people who watch Events the hub is as far away as before."""
    hub.faults["acme/worse"] = Fault(Kind.UNAVAILABLE)
    solo.mdep("m", "acme/worse")
    assert "HTTP status 503" in until_told(solo, "m", "HubUnreachable")
    hub.faults["acme/worse"] = Fault(Kind.SLOW, seconds=3)
    solo.until("the other cause", lambda: "in time" in until_told(solo, "m", "HubUnreachable"))
    del hub.faults["acme/worse"]
    assert_healed(solo, "m", "HubUnreachable")


def test_access_that_is_granted_later_is_noticed(solo: Live, hub: HubServer) -> None:
    """The owner of a gated model grants access to the account of the token that the object has had all along."""
    hub.faults["acme/granted"] = Fault(Kind.GATED)
    solo.secret("hf", {"token": "hf_granted"})
    solo.mdep("m", "acme/granted", hfTokenSecretRef={"name": "hf", "key": "token"})
    message = until_told(solo, "m", "Gated")
    assert "has not been granted access" in message
    assert "Ask for access at" in message
    hub.faults["acme/granted"] = Fault(Kind.GATED, tokens=frozenset({"hf_granted"}))
    assert_healed(solo, "m", "Gated")


def test_a_hub_that_asks_for_patience_gets_it(solo: Live, hub: HubServer) -> None:
    """Nobody asks for a rate-limited model before the hub said one may: no retry, no change, no second object."""
    model, patience = "acme/waits", 4
    assert patience > 2 * SLOW_RETRY_SECONDS
    hub.faults[model] = Fault(Kind.RATE_LIMITED, seconds=patience)
    begun = time.monotonic()
    solo.mdep("m", model)
    until_told(solo, "m", "RateLimited")
    solo.patch("MistralDeployment", "m", {"spec": {"replicas": 2}})
    solo.mdep("other", model)
    until_told(solo, "m", "RateLimited")
    until_told(solo, "other", "RateLimited")
    del hub.faults[model]
    solo.until("the hub to be asked again", lambda: times_asked(hub, model) > 1)
    assert time.monotonic() - begun >= patience
    solo.until_ready("m")
    solo.until_ready("other")


def test_many_objects_of_one_model_ask_once(solo: Live, hub: HubServer) -> None:
    """What one object has learned of a model is true for all of them."""
    names = [f"m{number}" for number in range(20)]
    for name in names:
        solo.mdep(name, "acme/popular", replicas=0)
    for name in names:
        solo.until_condition(name, "ModelResolved", "True", "ModelRead")
    solo.until("every object to be deployed", lambda: len(solo.all("Deployment")) == len(names))
    assert times_asked(hub, "acme/popular") == 1
