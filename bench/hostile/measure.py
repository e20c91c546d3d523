"""The latencies of good objects beside each kind of neighbours."""

import asyncio
import itertools
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from bench.background import Check
from bench.converge.api import ApiServer
from bench.converge.creating import NAMESPACE, Creator
from bench.converge.operators import Operator
from bench.converge.own import WISHES
from bench.converge.processes import OperatorProcess
from bench.converge.watching import Sightings, watching
from bench.hostile import neighbours
from bench.hostile.lying_pods import lying_pods
from bench.hostile.neighbours import ROUND_SECONDS, Kin, Neighbourhood
from devcluster.controlplane import ControlPlane

_TIMEOUT_SECONDS: Final = 120.0
_SETTLE_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.5  # so that a turn is longer than an answer of the hub is fresh for a new plan


Latencies = Callable[[Sequence[str], Check], Awaitable[list[float]]]


async def measure(
    plane: ControlPlane, process: OperatorProcess, operator: Operator, *, good: int, beside: int, turns: int
) -> dict[str, Any]:
    """Measure by turns; return seconds, shares of a core and MiB by kind of neighbours.

    Raises
    ------
    BenchmarkError
        When the operator ends, or an object does not get its status.
    """
    template, kinds = operator.object(), neighbours.kinds(beside)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    used: dict[str, dict[str, float]] = {}
    async with ApiServer.of(plane) as api, lying_pods():
        resource = await api.resource(template["apiVersion"], template["kind"], NAMESPACE)
        elsewhere = await api.resource(template["apiVersion"], template["kind"], neighbours.NAMESPACE)
        creator = Creator(api, resource, template, None)
        async with watching(api, resource, WISHES) as (sightings, check_watches):

            def check() -> None:
                process.check()
                check_watches()

            async def latencies(names: Sequence[str], check: Check) -> list[float]:
                return await _latencies(creator, sightings, names, check)

            await latencies([f"cold-{number}" for number in range(5)], check)
            for turn, (kind, kin) in itertools.product(range(turns), kinds.items()):
                print(f"turn {turn + 1} of {turns}: {good} good objects beside {kind}", file=sys.stderr)  # noqa: T201
                names = [f"beside-{kind}-{turn}-{number:04d}" for number in range(good)]
                begun, before = asyncio.get_running_loop().time(), process.usage().cpu_seconds
                seconds[kind] += await _beside(Neighbourhood(plane, api, elsewhere, kin), kin, names, latencies, check)
                after, took = process.usage(), asyncio.get_running_loop().time() - begun
                used[kind] = {
                    "resident_mib": after.resident_bytes / 2**20,
                    "cores": (after.cpu_seconds - before) / took,
                }
                await asyncio.to_thread(_delete_all, plane)
                await asyncio.sleep(ROUND_SECONDS)
    return {
        kind: {"p50_seconds": statistics.median(found), "p99_seconds": p99(found), **used[kind]}
        for kind, found in seconds.items()
    }


def p99(seconds: Sequence[float]) -> float:
    """Return what 99 of 100 do not exceed."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.99))]


async def _beside(
    there: Neighbourhood, kin: Kin, names: Sequence[str], latencies: Latencies, check: Check
) -> list[float]:
    if not kin.neighbours:
        return await latencies(names, check)
    await there.create()
    async with there.again_and_again(check) as check_all:
        await asyncio.sleep(_SETTLE_SECONDS)
        await there.lie()
        await asyncio.sleep(_SETTLE_SECONDS)
        return await latencies(names, check_all)


async def _latencies(creator: Creator, sightings: Sightings, names: Sequence[str], check: Check) -> list[float]:
    """Create good objects one at a time; return the seconds until the status of each stands."""
    sightings.expect(names)
    for name in names:
        await creator.create(name)
        await asyncio.sleep(_PAUSE_SECONDS)
    await sightings.converged(_TIMEOUT_SECONDS, check)
    return [sightings.statuses[name] - creator.begun[name] for name in names]


def _delete_all(plane: ControlPlane) -> None:
    plane.kubectl("delete", "mdep", "--all", "-n", NAMESPACE, "--wait=false")
    there = ("--all", "-n", neighbours.NAMESPACE, "--wait=false")
    plane.kubectl("delete", "mdep,replicasets,deployments,services", *there)
    plane.kubectl("delete", "pods", *there, "--force", "--grace-period=0")
