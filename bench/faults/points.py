"""Points: where in a scenario which fault strikes."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Pattern(StrEnum):
    """Sieve's three."""

    KILLED = "killed"
    STALE = "stale view"
    MISSED = "missed event"


class Begin(StrEnum):
    """Where the operator stands when the scenario's event happens, and from where its requests are numbered."""

    RUNNING = "running"
    AWAY = "away"
    """Nobody runs: it is started afterwards, and its first lists and watches are numbered too. One replica alone: a
    second changes nothing about a start."""


@dataclass(frozen=True, slots=True)
class Point:
    """One fault of one scenario.

    Parameters
    ----------
    number
        Of the request before or after which the operator is killed; how many events old its view is; of the event
        that it is kept from. From one.
    after
        Whether it is killed after the API server has answered; before the request is sent, when not.
    """

    scenario: str
    replicas: int
    pattern: Pattern
    number: int
    begin: Begin = Begin.RUNNING
    after: bool = False

    def __str__(self) -> str:
        """Name it as in a report; ``--only`` takes the same words."""
        match self.pattern:
            case Pattern.KILLED:
                when = "after the answer to" if self.after else "before"
                what = f"killed {when} request {self.number} ({self.begin})"
            case Pattern.STALE:
                what = f"view {self.number} events old"
            case Pattern.MISSED:
                what = f"event {self.number} missed"
        return f"{self.scenario}, {self.replicas} replica{'s' if self.replicas > 1 else ''}: {what}"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to disturb in a scenario: what its undisturbed runs were counted to do."""

    requests: int  # of a running operator
    requests_of_start: int  # of one that is started afterwards, 0 where none is
    view: int  # events of everything it watches, from the namespace's beginning
    events: int  # that its watches tell it, from the scenario's event on


def begins_of(replicas: int) -> tuple[Begin, ...]:
    """Return where operators may stand when the scenario's event happens."""
    return tuple(Begin) if replicas == 1 else (Begin.RUNNING,)


def points_of(scenario: str, replicas: int, extent: Extent) -> Iterator[Point]:
    """Yield every point of a scenario."""
    requests = {Begin.RUNNING: extent.requests, Begin.AWAY: extent.requests_of_start}
    for begin in begins_of(replicas):
        for number in range(1, requests[begin] + 1):
            for after in (False, True):
                yield Point(scenario, replicas, Pattern.KILLED, number, begin, after)
    for number in range(1, extent.view + 1):
        yield Point(scenario, replicas, Pattern.STALE, number)
    for number in range(1, extent.events + 1):
        yield Point(scenario, replicas, Pattern.MISSED, number)
