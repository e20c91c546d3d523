"""Events against the statuses that stood: each transition has one Event, and each Event a transition."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from bench.faults.admin import Body
from bench.faults.history import History
from mistral_operator.api.mistral_deployment import read_status
from mistral_operator.api.names import KIND
from mistral_operator.cluster.resources import EVENTS
from mistral_operator.status.transitions import transitions


class Told(NamedTuple):
    """What an Event says, apart from its words."""

    uid: str
    warning: bool
    reason: str
    action: str


def wrong_events(history: History) -> Iterator[str]:
    """Yield the Events that are missing and those that are too many, each as one line."""
    wanted, found = Counter(_wanted(history)), Counter(_found(history))
    for told, count in (wanted - found).items():
        yield f"Event lost: {told.action}/{told.reason}, {count} of {wanted[told]}"
    for told, count in (found - wanted).items():
        yield f"Event too many: {told.action}/{told.reason}, {count} beyond {wanted[told]}"


def _wanted(history: History) -> Iterator[Told]:
    """Return what the statuses that were written, one after another, are to be told of."""
    last: dict[str, Body] = {}
    for change in history.of(KIND):
        uid = str(change.body["metadata"]["uid"])
        before, after = read_status(last.get(uid)), read_status(change.body.get("status"))
        last[uid] = change.body.get("status") or {}
        for note in transitions(before.conditions, after.conditions):
            yield Told(uid, note.warning, note.reason, note.action)


def _found(history: History) -> Iterator[Told]:
    for body in history.state(EVENTS.kind).values():
        regarding = body["regarding"]
        if regarding.get("kind") == KIND:
            times = int((body.get("series") or {}).get("count", 1))
            for _ in range(times):
                yield Told(str(regarding["uid"]), body["type"] == "Warning", body["reason"], body["action"])
