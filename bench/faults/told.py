"""Events against the statuses that were written: each step from one to the next is told once, before it is taken."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.faults.history import History
from mistral_operator.api.mistral_deployment import read_status
from mistral_operator.api.names import KIND
from mistral_operator.cluster.resources import EVENTS
from mistral_operator.status.transitions import transitions


class Told(NamedTuple):
    """What an Event says, apart from its words."""

    warning: bool
    reason: str
    action: str


@dataclass(frozen=True, slots=True)
class _Step:
    """From one status to the next."""

    version: int  # of the store, with which the next one stands
    wanted: Counter[Told]


def wrong_events(history: History, excused: Collection[str] = ()) -> Iterator[str]:
    """Yield the Events that are missing and those that are too many, each as one line.

    Parameters
    ----------
    excused
        Names of operators in the Lease: one that was killed, that lost the Lease, or whose status was not taken because
        the object had changed, may have told of a step that was never taken, since things have moved on at the next
        look.
    """
    steps = _steps(history)
    found: Counter[tuple[str, int, Told]] = Counter()
    for change in history.of(EVENTS.kind):
        body = change.body
        regarding = body["regarding"]
        if regarding.get("kind") != KIND or change.deleted:
            continue
        told = Told(body["type"] == "Warning", body["reason"], body["action"])
        uid = str(regarding["uid"])
        step = next((one for one in steps.get(uid, ()) if one.version > change.version), None)
        if step is not None and told in step.wanted:
            found[uid, step.version, told] += 1
        elif body.get("reportingInstance") not in excused:
            yield f"Event of no step: {told.action}/{told.reason}"
    for uid, taken in steps.items():
        for step in taken:
            for told in step.wanted:
                count = found[uid, step.version, told]
                if count != 1:
                    yield f"Event {'lost' if count == 0 else f'told {count} times'}: {told.action}/{told.reason}"


def _steps(history: History) -> dict[str, list[_Step]]:
    """Return the steps of each object, by its uid."""
    steps: dict[str, list[_Step]] = {}
    last: dict[str, Any] = {}
    for change in history.of(KIND):
        uid, status = str(change.body["metadata"]["uid"]), change.body.get("status") or {}
        if not change.deleted and status != last.get(uid, {}):
            before, after = read_status(last.get(uid)), read_status(status)
            notes = transitions(before.conditions, after.conditions)
            wanted = Counter(Told(note.warning, note.reason, note.action) for note in notes)
            steps.setdefault(uid, []).append(_Step(change.version, wanted))
            last[uid] = status
    return steps
