"""One run of a scenario, undisturbed or with one fault, and what became of it."""

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.faults.lab import Lab, Running
from bench.faults.points import Begin, Pattern, Point
from bench.faults.proxy import Proxy
from bench.faults.scenarios import Scenario, manifest, settled
from bench.faults.state import State, differences, state_of, uids_of
from bench.faults.told import wrong_events
from mistral_operator.cluster.resources import CHILDREN, PODS

_BOUND_SECONDS: Final = 60.0
_BOUND_SECONDS_OF_A_BUG: Final = 20.0  # what it waits for may never come
_QUIET_SECONDS: Final = 0.4
_QUIET_SECONDS_UNDISTURBED: Final = 2.0
_LEASE_ALONE_SECONDS: Final = 15.0
_LEASE_OF_TWO_SECONDS: Final = 5.0  # so long takes the second to find out that the first is dead
_RESYNC_SECONDS: Final = 2.0
_RESYNC_OF_TWO_SECONDS: Final = 8.0  # the second leads before it has listed again
_NO_RESYNC_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial."""

    state: State
    struck: bool  # whether there was anything at the point
    differences: tuple[str, ...]
    trace: tuple[str, ...]  # requests of the operator that is counted
    events: int  # that its watches told it
    view: int  # events of everything it watches, from the beginning


@dataclass
class Trial:
    """One namespace in which a scenario runs once.

    Parameters
    ----------
    points
        None for an undisturbed run. Several only of stale views: each leaves everything as it was, so that the next one
        may follow.
    expected
        The end state; None for an undisturbed run, which ends when the scenario is done and nothing moves any more.
    logs
        A folder for the logs of the operators of a point whose end differs.
    """

    lab: Lab
    scenario: Scenario
    replicas: int
    begin: Begin
    points: Sequence[Point] = ()
    expected: State | None = None
    planted: str | None = None
    logs: Path | None = None
    _running: list[Running] = field(default_factory=list)
    _killed: set[int] = field(default_factory=set)
    _found: list[str] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def point(self) -> Point | None:
        """The first point."""
        return self.points[0] if self.points else None

    async def run(self) -> list[Outcome]:
        """Run it, and return what became of each point, up to the first that differs; of the whole where there is none.

        Whatever it started has ended afterwards.
        """
        self._namespace, self._history, self._world = await self.lab.new_world()
        self._history.notify(self._changed)
        self._survivors: dict[str, str] = {}
        try:
            outcomes = await self._run()
        finally:
            for running in self._running:
                self._kill(running)
            for running in self._running:
                await running.proxy.stop()
            self.lab.histories.forget(self._namespace)
        if self._found and self.logs is not None and self.point is not None:
            folder = self.logs / re.sub(r"\W+", "-", str(self.point))
            folder.mkdir(parents=True, exist_ok=True)
            for running in self._running:
                shutil.copy(running.log, folder)
        return outcomes

    async def _run(self) -> list[Outcome]:
        counted = await (self._start_away() if self.begin is Begin.AWAY else self._start_running())
        proxy = counted.proxy
        match self.point.pattern if self.point else None:
            case Pattern.KILLED:
                await self._until(self._is_there, at_once=lambda: proxy.struck)
                if proxy.struck:
                    self._killed.add(counted.process.pid)
                    await self._replace(counted)
            case Pattern.STALE:
                await self._until(self._is_there)
                return await self._go_stale_again_and_again(counted)
            case Pattern.MISSED if self.replicas > 1:
                await self._until(self._is_there, at_once=lambda: self._running[1].proxy.struck)
                proxy = self._running[1].proxy
                if proxy.struck:
                    self._kill(counted)
        return [await self._outcome(proxy, struck=proxy.struck)]

    async def _outcome(self, counted: Proxy, *, struck: bool) -> Outcome:
        if not self._found and not await self._until(self._is_there, patiently=self.point is None):
            self._found += self._what_differs()
        self._found += wrong_events(self._history, self._excused())
        for running in self._running:
            self._found += [f"no right to {request}" for request in running.proxy.forbidden]
        return Outcome(
            state=self._state(),
            struck=struck,
            differences=tuple(self._found),
            trace=tuple(counted.trace),
            events=counted.events,
            view=len(self._history.viewed_versions()),
        )

    async def _start_running(self) -> Running:
        """Start the operators, have the scenario's object served, and let the event happen."""
        first = await self._start()
        await self._until(self._works)
        if self.replicas > 1:
            second = await self._start()
            await self._until(lambda: second.proxy.watches_all)
            if self.point is not None and self.point.pattern is Pattern.STALE:
                second.proxy.horizon = 0  # from now on it is told nothing
        await self._serve()
        for running in self._running:
            running.proxy.count_from_here()
        self._arm(first)
        if self.point is not None and self.point.pattern is Pattern.MISSED:
            self._running[-1].proxy.drop_at = self.point.number
        await self.scenario.act(self._world)
        return first

    async def _start_away(self) -> Running:
        """Have the scenario's object served, end the operators, let the event happen, and start others.

        Up to its first request about an object a start is the same whatever happened before, so that those requests
        are numbered in one scenario only: the one that begins with nothing.
        """
        if self.scenario.spec is not None:
            before = await self._start()
            await self._until(self._works)
            await self._serve()
            self._kill(before)
            await self.lab.expire_lease(self._namespace)
        await self.scenario.act(self._world)
        first = await self._start(armed=True)
        if self.replicas > 1:
            await self._start()
        return first

    async def _serve(self) -> None:
        if self.scenario.spec is not None:
            await self._world.create(manifest(self._world, self.scenario.spec))
            if not await self._until(lambda: self._works() and settled(self._world)):
                self._found.append("the scenario's object was not served, before anything was disturbed")
            prepare, prepared = self.scenario.prepare, self.scenario.prepared
            if prepare is not None and prepared is not None:
                await prepare(self._world)
                await self._until(lambda: self._works() and prepared(self._world))
        self._survivors = uids_of(self._history)

    def _arm(self, running: Running) -> None:
        if self.point is not None and self.point.pattern is Pattern.KILLED:
            running.proxy.kill_at = (self.point.number, self.point.after)

    async def _replace(self, dead: Running) -> None:
        """Start another operator in place of a dead one, unless a second stands by."""
        dead.proxy.end()
        if self.replicas == 1:
            await self.lab.expire_lease(self._namespace)
            await self._start()

    async def _go_stale_again_and_again(self, leader: Running) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for point in self.points:
            leader = await self._go_stale(leader, point.number)
            outcomes.append(await self._outcome(leader.proxy, struck=True))
            if self._found:
                break
        return outcomes

    async def _go_stale(self, leader: Running, events: int) -> Running:
        """Let an operator begin with a view that is so many events old, and catch up when it has done what it does."""
        before = uids_of(self._history, (*CHILDREN, PODS.kind))
        horizon = self._history.version_before(events)
        if self.replicas == 1:
            self._kill(leader)
            await self.lab.expire_lease(self._namespace)
            stale = await self._start(horizon=horizon)
        else:
            stale = await self._standing_by(leader)
            stale.proxy.horizon = horizon
            self._kill(leader)
        await self._until(self._works)
        stale.proxy.horizon = None
        await self._until(self._is_there)
        after = uids_of(self._history, (*CHILDREN, PODS.kind))
        self._found += [f"{name} was replaced" for name, uid in before.items() if after.get(name) != uid]
        return stale

    async def _standing_by(self, leader: Running) -> Running:
        """Return the second operator, which has been told nothing since it began; another where it leads already."""
        for running in self._alive():
            if running is not leader:
                return running
        second = await self._start(horizon=0)
        await self._until(lambda: second.proxy.watches_all)
        return second

    async def _start(self, *, horizon: int | None = None, armed: bool = False) -> Running:
        missed = self.point is not None and self.point.pattern is Pattern.MISSED
        alone = self.replicas == 1
        resync_seconds = (_RESYNC_SECONDS if alone else _RESYNC_OF_TWO_SECONDS) if missed else _NO_RESYNC_SECONDS
        running = await self.lab.start_operator(
            self._namespace,
            self._history,
            self._changed,
            lease_seconds=_LEASE_ALONE_SECONDS if alone else _LEASE_OF_TWO_SECONDS,
            resync_seconds=resync_seconds,
            recheck_seconds=self.scenario.recheck_seconds,
            planted=self.planted,
            horizon=horizon,
            kill_at=(self.point.number, self.point.after) if armed and self.point is not None else None,
            counts_work_only=armed and self.scenario.spec is not None,
        )
        self._running.append(running)
        return running

    def _kill(self, running: Running) -> None:
        self._killed.add(running.process.pid)
        running.process.kill()
        running.proxy.end()

    def _works(self) -> bool:
        """Tell whether an operator leads and watches everything."""
        return any(running.proxy.leading and running.proxy.watches_all for running in self._running)

    def _is_there(self) -> bool:
        """Tell whether the end state is reached."""
        if not self._works():
            return False
        if self.expected is None:
            return self.scenario.done(self._world)
        return self._state() == self.expected

    def _state(self) -> State:
        return state_of(self._history, self._namespace, self._survivors)

    def _what_differs(self) -> list[str]:
        found = list(differences(self.expected, self._state())) if self.expected is not None else []
        if not self._works():
            found.append("no operator works")
        return found or [f"it does not come to rest within {self._bound_seconds:g} s"]

    async def _until(
        self,
        condition: Callable[[], bool],
        *,
        patiently: bool = False,
        at_once: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Wait until a condition holds and nothing has moved for a moment; tell whether that was within the bound.

        Parameters
        ----------
        patiently
            Whether the moment is a long one.
        at_once
            Ends the wait whatever moves.
        """
        quiet_seconds = _QUIET_SECONDS_UNDISTURBED if patiently else _QUIET_SECONDS
        end = time.monotonic() + self._bound_seconds
        while True:
            self._changed.clear()
            if at_once():
                return True
            if self._has_broken():
                return False
            now = time.monotonic()
            quiet_at = quiet_seconds + max(
                (self._history.changed_at, *(one.proxy.quiet_since() for one in self._alive()))
            )
            if now >= quiet_at and condition():
                return True
            if now > end:
                return False
            wake_at = min(end, quiet_at) if quiet_at > now else end
            try:
                async with asyncio.timeout(wake_at - now + 0.01):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _excused(self) -> set[str]:
        """Return the operators that may have told of a status that never stood."""
        lost = sum(running.proxy.led for running in self._running) > 1
        return {
            running.proxy.identity
            for running in self._running
            if running.process.pid in self._killed or running.proxy.overtaken or (lost and running.proxy.led)
        }

    @property
    def _bound_seconds(self) -> float:
        return _BOUND_SECONDS if self.planted is None else _BOUND_SECONDS_OF_A_BUG

    def _alive(self) -> list[Running]:
        return [running for running in self._running if not running.proxy.dead]

    def _has_broken(self) -> bool:
        self.lab.histories.check()
        for running in self._running:
            process = running.process
            if process.status is not None and process.pid not in self._killed and not running.proxy.struck:
                self._killed.add(process.pid)
                running.proxy.end()
                words = running.log.read_text(errors="replace").strip().rpartition("\n")[2]
                self._found.append(f"the operator ended by itself, with {process.status}: {words}")
                return True
        return False
