"""Events as the API server takes them."""

from datetime import UTC, datetime
from typing import Any

import kubernetes_validate
import pytest

from mistral_operator.cluster.rbac import operator_rules
from mistral_operator.cluster.resources import EVENTS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.notes import event_of, tell
from mistral_operator.status.transitions import Note
from unit.api_server import ApiServer, Fault, on_server

NOON = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)


def event(
    message: str = "m", *, warning: bool = False, instance: str = "operator-1", name: str = "m"
) -> dict[str, Any]:
    """Return an Event."""
    return event_of(Note(warning, "Gated", "ModelResolved", message), Key("ns", name), "uid", instance, NOON)


def test_an_event() -> None:
    """It names the object, so that kubectl describe finds it, and who reports."""
    found = event("the model is gated", warning=True)
    kubernetes_validate.validate(found, "1.37", strict=True)
    assert found["regarding"] == {
        "apiVersion": "mistral-operator.io/v1alpha1",
        "kind": "MistralDeployment",
        "name": "m",
        "namespace": "ns",
        "uid": "uid",
    }
    assert (found["type"], found["reason"], found["action"]) == ("Warning", "Gated", "ModelResolved")
    assert (found["note"], found["eventTime"]) == ("the model is gated", "2026-11-24T12:00:00.000005Z")
    assert found["reportingController"] == "mistral-operator.io/mistral-operator"
    assert event()["type"] == "Normal"


def test_names_differ() -> None:
    """Two Events of one moment are two, and fit into a name."""
    assert event()["metadata"]["name"] != event()["metadata"]["name"]
    assert len(event(name="m" * 52)["metadata"]["name"]) <= 253


@pytest.mark.parametrize(
    ("message", "note"),
    [
        pytest.param("x" * 1024, "x" * 1024, id="as long as may be"),
        pytest.param("x" * 1025, "x" * 1021 + "…", id="a byte longer"),
        pytest.param("é" * 512, "é" * 512, id="bytes are counted, not characters"),
        pytest.param("é" * 600, "é" * 510 + "…", id="no half characters"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_long_messages(message: str, note: str) -> None:
    """The API server refuses a note of more than 1,024 bytes, and with it the whole Event."""
    found = event(message)["note"]
    assert found == note
    assert len(found.encode()) <= 1024


def test_a_long_instance() -> None:
    """Host names may be long; 128 characters is what fits."""
    assert event(instance="h" * 200)["reportingInstance"] == "h" * 128


def test_telling() -> None:
    """An Event is sent with the operator's own rights; one that is lost is handed back for the log."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        assert await tell(cluster, event()) is None
        assert server.count("create", EVENTS.plural) == 1
        server.faults.append(Fault("POST", 403, "namespace is being terminated"))
        lost = await tell(cluster, event())
        assert lost is not None
        assert "terminated" in str(lost)

    on_server(test, ApiServer(rules=operator_rules()))
