"""One run: an operator, a load, and what was seen. Readable from top to bottom."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.converge.api import ApiServer
from bench.converge.audit import AuditLog
from bench.converge.creating import NAMESPACE, Creator
from bench.converge.load import Load
from bench.converge.operators import Operator
from bench.converge.processes import OperatorProcess, Usage, usage_of
from bench.converge.server_metrics import tally_of
from bench.converge.tally import Tally
from bench.converge.watching import Sightings, watching
from devcluster.controlplane import ControlPlane

_WARM_UP: Final = "warm-up"
_START_SECONDS: Final = 90.0
_QUIET_SECONDS: Final = 3.0
_QUIET_AT_MOST_SECONDS: Final = 15.0  # some operators never are
_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two moments."""

    seconds: float
    requests: Tally  # the operator's, from the audit log
    requests_by_server: Tally  # everybody's but the benchmark's, from the API server's metrics
    operator_cpu_seconds: float
    server_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run has shown; moments in monotonic seconds, by object."""

    begun: dict[str, float]
    created_seconds: float
    deployments: dict[str, float]
    statuses: dict[str, float]
    converging: Window
    settling: Window  # from the beginning until the operator came to rest
    settled: bool  # whether it did
    idle: Window | None
    end: Usage


async def measure(
    operator: Operator,
    template: dict[str, Any],
    load: Load,
    plane: ControlPlane,
    process: OperatorProcess,
    *,
    idle_seconds: float,
    timeout_seconds: float,
    say: Callable[[str], None],
) -> Seen:
    """Create the objects of a load, wait until all have converged, and look on while nothing happens.

    Raises
    ------
    BenchmarkError
        When they do not converge in time, or the operator ends.
    """
    async with ApiServer.of(plane) as api:
        resource = await api.resource(template["apiVersion"], template["kind"], NAMESPACE)
        creator = Creator(api, resource, template, operator.status_patch)
        audit = AuditLog(plane.audit_log, operator.user)
        async with watching(api, resource, operator.wishes) as (sightings, check_watches):

            def check() -> None:
                process.check()
                check_watches()

            say("waiting for the first object to converge: the operator is ready then")
            sightings.expect((_WARM_UP,))
            await creator.create(_WARM_UP)
            await sightings.converged(_START_SECONDS, check)
            await _settle(audit)

            names = [f"object-{number:05d}" for number in range(load.objects)]
            say(f"creating {load}")
            meter = _Meter(api, process, plane.pids["kube-apiserver"])
            begun = await meter.read()
            created_seconds = await _create(load, creator, sightings, names, timeout_seconds, check)
            await sightings.converged(timeout_seconds, check)
            converged = await meter.read()
            settled = await _settle(audit)
            rest = await meter.read()

            end = None
            if idle_seconds:
                say(f"all have converged; looking on for {idle_seconds:g} s")
                await asyncio.sleep(idle_seconds)
                check()
                end = await meter.read()
        return Seen(
            begun={name: creator.begun[name] for name in names},
            created_seconds=created_seconds,
            deployments={name: sightings.deployments[name] for name in names},
            statuses={name: sightings.statuses[name] for name in names} if operator.wishes else {},
            converging=_window(begun, converged, audit),
            settling=_window(begun, rest, audit),
            settled=settled,
            idle=None if end is None else _window(rest, end, audit),
            end=process.usage(),
        )


async def _create(
    load: Load,
    creator: Creator,
    sightings: Sightings,
    names: list[str],
    timeout_seconds: float,
    check: Callable[[], None],
) -> float:
    """Create everything; return how long that took."""
    begun = time.monotonic()
    if load.one_at_a_time:
        for name in names:
            sightings.expect((name,))
            await creator.create(name)
            await sightings.converged(timeout_seconds, check)
    else:
        sightings.expect(names)
        await creator.create_all(names)
    return time.monotonic() - begun


async def _settle(audit: AuditLog) -> bool:
    """Wait until the operator has asked for nothing for a while; tell whether it came to that."""
    begun = time.time()
    while (now := time.time()) - begun < _QUIET_AT_MOST_SECONDS:
        if now - begun >= _QUIET_SECONDS and not audit.between(now - _QUIET_SECONDS, now).total:
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return False


@dataclass(frozen=True, slots=True)
class _Reading:
    """What had been asked for and used by a moment."""

    at: float  # seconds since the epoch, as in the audit log
    requests_by_server: Tally
    operator: Usage
    server: Usage


class _Meter:
    """Reads what a run uses."""

    def __init__(self, api: ApiServer, process: OperatorProcess, server_pid: int) -> None:
        self._api = api
        self._process = process
        self._server_pid = server_pid

    async def read(self) -> _Reading:
        """Read everything, the clock first."""
        at, operator, server = time.time(), self._process.usage(), usage_of(self._server_pid)
        return _Reading(at, tally_of(await self._api.metrics()) - self._api.sent, operator, server)


def _window(begin: _Reading, end: _Reading, audit: AuditLog) -> Window:
    return Window(
        seconds=end.at - begin.at,
        requests=audit.between(begin.at, end.at),
        requests_by_server=end.requests_by_server - begin.requests_by_server,
        operator_cpu_seconds=end.operator.cpu_seconds - begin.operator.cpu_seconds,
        server_cpu_seconds=end.server.cpu_seconds - begin.server.cpu_seconds,
    )
