"""Events as the API server takes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import kubernetes_validate
import pytest

from mistral_operator.cluster.rbac import operator_rules
from mistral_operator.cluster.resources import EVENTS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.notes import event_of, step_of, tell
from mistral_operator.status.transitions import Note
from unit.api_server import ApiServer, Fault, on_server

NOON = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)


def event(
    message: str = "m",
    *,
    warning: bool = False,
    instance: str = "operator-1",
    name: str = "m",
    uid: str = "uid",
    step: str = "step",
    reason: str = "Gated",
    now: datetime = NOON,
) -> dict[str, Any]:
    """Return an Event."""
    return event_of(Note(warning, reason, "ModelResolved", message), Key("ns", name), uid, step, instance, now)


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


def test_a_step_that_is_taken_again_has_the_same_events() -> None:
    """By another process, later, in words that count on: it is the same; another step, reason or object is not."""
    again = event("2 of 3", instance="operator-2", now=NOON + timedelta(minutes=5))
    assert event("1 of 3")["metadata"]["name"] == again["metadata"]["name"]
    others = [event(), event(step="next"), event(reason="NotFound"), event(uid="successor")]
    assert len({one["metadata"]["name"] for one in others}) == len(others)
    assert len(event(name="m" * 52)["metadata"]["name"]) <= 253


def test_a_step_is_named_by_the_whole_status_before() -> None:
    """In whatever order its fields are read."""
    assert step_of({"a": 1, "b": 2}) == step_of({"b": 2, "a": 1}) != step_of({"a": 1})


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
        assert await tell(cluster, event()) is None  # told already
        assert len(server.all(EVENTS)) == 1
        server.faults.append(Fault("POST", 403, "namespace is being terminated"))
        lost = await tell(cluster, event())
        assert lost is not None
        assert "terminated" in str(lost)

    on_server(test, ApiServer(rules=operator_rules()))
