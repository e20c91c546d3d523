"""One run: an operator, a load, and what was seen. Readable from top to bottom."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

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
    settling: Tally
    settled: bool
    idle: Window | None
    end: Usage


async def measure(
    operator: Operator,
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
        body = operator.object()
        resource = await api.resource(body["apiVersion"], body["kind"], NAMESPACE)
        creator = Creator(api, resource, body, operator.status_patch)
        audit = AuditLog(plane.audit_log, operator.user)
        server_pid = plane.pids["kube-apiserver"]
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
            meter = _Meter(api, audit, process, server_pid)
            await meter.begin()
            created_seconds = await _create(load, creator, sightings, names, timeout_seconds, check)
            await sightings.converged(timeout_seconds, check)
            converging = await meter.end()
            settling, settled = await _settle(audit)

            idle = None
            if idle_seconds:
                say(f"all have converged; looking on for {idle_seconds:g} s")
                await meter.begin()
                await asyncio.sleep(idle_seconds)
                check()
                idle = await meter.end()
        return Seen(
            begun={name: creator.begun[name] for name in names},
            created_seconds=created_seconds,
            deployments={name: sightings.deployments[name] for name in names},
            statuses={name: sightings.statuses[name] for name in names} if operator.wishes else {},
            converging=converging,
            settling=settling,
            settled=settled,
            idle=idle,
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


async def _settle(audit: AuditLog) -> tuple[Tally, bool]:
    """Wait until the operator asks for nothing; return what it still asked for, and whether it came to rest."""
    begun = last = time.monotonic()
    late = Tally()
    while time.monotonic() - begun < _QUIET_AT_MOST_SECONDS:
        await asyncio.sleep(_LOOK_SECONDS)
        more = audit.take()
        late += more
        if more.total:
            last = time.monotonic()
        elif time.monotonic() - last >= _QUIET_SECONDS:
            return late, True
    return late, False


class _Meter:
    """Measures windows of time, one after the other."""

    def __init__(self, api: ApiServer, audit: AuditLog, process: OperatorProcess, server_pid: int) -> None:
        self._api = api
        self._audit = audit
        self._process = process
        self._server_pid = server_pid

    async def begin(self) -> None:
        """Begin a window."""
        self._requests_by_server = await self._by_server()
        self._audit.take()
        self._operator = self._process.usage()
        self._server = usage_of(self._server_pid)
        self._begun = time.monotonic()

    async def end(self) -> Window:
        """End the window."""
        ended, requests = time.monotonic(), self._audit.take()
        operator, server = self._process.usage(), usage_of(self._server_pid)
        return Window(
            seconds=ended - self._begun,
            requests=requests,
            requests_by_server=await self._by_server() - self._requests_by_server,
            operator_cpu_seconds=operator.cpu_seconds - self._operator.cpu_seconds,
            server_cpu_seconds=server.cpu_seconds - self._server.cpu_seconds,
        )

    async def _by_server(self) -> Tally:
        return tally_of(await self._api.metrics()) - self._api.sent
