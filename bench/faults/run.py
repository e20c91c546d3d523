"""All points of all scenarios, several at a time."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from bench.faults.lab import Lab
from bench.faults.points import Begin, Extent, Pattern, Point, begins_of, points_of
from bench.faults.scenarios import Scenario
from bench.faults.state import State, differences
from bench.faults.trial import Outcome, Trial

_UNDISTURBED_RUNS: Final = 2  # how many requests there are depends on what comes together
_MOST_SHOWN: Final = 3  # differences of a point; the file of results has all
_LONGEST_CHAIN: Final = 6  # of stale views
_TRIES: Final = 3  # of a point that a run does not come to
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a scenario comes to undisturbed."""

    state: State
    extent: Extent
    differences: tuple[str, ...]  # between undisturbed runs: the scenario itself is at fault


@dataclass(frozen=True, slots=True)
class Finding:
    """A point whose end is not the undisturbed one; no point where undisturbed runs differ already."""

    point: Point | None
    differences: tuple[str, ...]


@dataclass
class Row:
    """What became of the points of one scenario with one number of replicas."""

    scenario: str
    replicas: int
    points: Counter[Pattern] = field(default_factory=Counter)
    not_reached: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Parameters
    ----------
    at_once
        Trials that run side by side: they wait more than they compute.
    stride
        Only every so many points, for a quick look; 1 for all.
    only
        Only points whose name has this in it.
    planted
        Name of a planted bug that operators have, apart from those of undisturbed runs.
    logs
        A folder for the logs of operators of points whose end differs.
    """

    scenarios: Sequence[Scenario]
    replicas: Sequence[int] = (1, 2)
    patterns: Sequence[Pattern] = tuple(Pattern)
    at_once: int = 12
    stride: int = 1
    only: str = ""
    planted: str | None = None
    logs: Path | None = None


async def run(lab: Lab, plan: Plan, say: Callable[[str], None]) -> list[Row]:
    """Run every point, of each scenario that ends alike when nothing disturbs it."""
    pairs = [(scenario, replicas) for scenario in plan.scenarios for replicas in plan.replicas]
    begun = time.monotonic()
    references = dict(
        zip(_names(pairs), await _all(pairs, lambda pair: _reference(lab, *pair), plan.at_once), strict=True)
    )
    say(f"{len(pairs)} scenarios undisturbed, {time.monotonic() - begun:.0f} s")
    rows = {name: Row(*name) for name in references}
    for name, reference in references.items():
        if reference.differences:
            rows[name].findings.append(Finding(None, reference.differences))
            say(f"{name[0]}, {name[1]} replicas, undisturbed: {_shown(reference.differences)}")
    scenarios = {scenario.name: scenario for scenario in plan.scenarios}
    points = [
        point
        for name, reference in references.items()
        if not reference.differences
        for point in points_of(*name, reference.extent)
    ]
    wanted = [point for point in points if point.pattern in plan.patterns and plan.only in str(point)][:: plan.stride]
    done = 0

    async def some(together: Sequence[Point]) -> None:
        nonlocal done
        first = together[0]
        name = (first.scenario, first.replicas)
        outcomes = await _disturbed(lab, scenarios[first.scenario], together, references[name], plan)
        for point, outcome in zip(together, outcomes, strict=True):
            _enter(rows[name], point, outcome)
            done += 1
            if outcome.differences:
                say(f"{point}: {_shown(outcome.differences)}")
            if done % 50 == 0:
                say(f"{done} of {len(wanted)} points, {time.monotonic() - begun:.0f} s")

    await _all(list(chains_of(wanted)), some, plan.at_once)
    return list(rows.values())


def chains_of(points: Iterable[Point]) -> Iterator[tuple[Point, ...]]:
    """Yield points that run one after another in one namespace: a few stale views of a scenario, any other alone."""
    for _, alike in itertools.groupby(points, lambda point: (point.scenario, point.replicas, point.pattern)):
        several = iter(alike)
        while chain := tuple(itertools.islice(several, 1)):
            longest = _LONGEST_CHAIN if chain[0].pattern is Pattern.STALE else 1
            yield chain + tuple(itertools.islice(several, longest - 1))


def _names(pairs: Iterable[tuple[Scenario, int]]) -> Iterator[tuple[str, int]]:
    return ((scenario.name, replicas) for scenario, replicas in pairs)


def _shown(found: Sequence[str]) -> str:
    more = f"; and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


def _enter(row: Row, point: Point, outcome: Outcome) -> None:
    if outcome.struck:
        row.points[point.pattern] += 1
    else:
        row.not_reached += 1
    if outcome.differences:
        row.findings.append(Finding(point, outcome.differences))


async def _reference(lab: Lab, scenario: Scenario, replicas: int) -> Reference:
    runs: dict[Begin, list[Outcome]] = {begin: [] for begin in Begin}
    for _ in range(_UNDISTURBED_RUNS):
        for begin in begins_of(replicas):
            runs[begin] += await Trial(lab, scenario, replicas, begin).run()
    every = [outcome for outcomes in runs.values() for outcome in outcomes]
    wrong = [line for one in every for line in (*one.differences, *differences(every[0].state, one.state))]
    return Reference(
        every[0].state,
        Extent(
            requests=max(len(one.trace) for one in runs[Begin.RUNNING]),
            requests_of_start=max((len(one.trace) for one in runs[Begin.AWAY]), default=0),
            view=max(one.view for one in runs[Begin.RUNNING]),
            events=max(one.events for one in runs[Begin.RUNNING]),
        ),
        tuple(dict.fromkeys(wrong)),
    )


async def _disturbed(
    lab: Lab, scenario: Scenario, points: Sequence[Point], reference: Reference, plan: Plan
) -> list[Outcome]:
    """Run points, again where a run did not come to one: two things that came apart came together this time."""
    outcomes: list[Outcome] = []
    tries = 0
    while left := points[len(outcomes) :]:
        trial = Trial(
            lab, scenario, left[0].replicas, left[0].begin, left, reference.state, planted=plan.planted, logs=plan.logs
        )
        found, tries = await trial.run(), tries + 1
        if found[-1].struck or found[-1].differences or tries == _TRIES:
            outcomes, tries = outcomes + found, 0
    return outcomes


async def _all(items: Sequence[_T], do: Callable[[_T], Awaitable[_R]], at_once: int) -> list[_R]:
    """Do something for every item, so many at a time; return what came of each, in order."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: _T) -> _R:
        async with slots:
            return await do(item)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]
