"""Figures out of what a run has shown: statistics, and nothing else."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bench.converge.load import Load
from bench.converge.measure import Seen

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Latency:
    """How long objects waited, in seconds."""

    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Idle:
    """What an operator did while nothing was left to do."""

    seconds: float
    requests: int
    writes: int
    by_kind: dict[str, int]
    by_verb_of_server: dict[str, int]
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One run.

    Latencies are from just before an object's creation was sent until its Deployment, or its status, was seen.
    ``requests_per_object_until_quiet`` is None for an operator that never comes to rest. The counts by kind and by verb
    and ``cpu_seconds_until_quiet`` reach as far. Requests leave out watches, Leases and Events; those of the server are
    everybody's but the benchmark's.
    """

    operator: str
    objects: int
    one_at_a_time: bool
    created_seconds: float
    deployment: Latency
    status: Latency | None
    deployments_seconds: float
    converged_seconds: float
    requests_per_object: float
    writes_per_object: float
    requests_per_object_until_quiet: float | None
    requests_by_kind: dict[str, int]
    requests_by_verb: dict[str, int]
    requests_by_verb_of_server: dict[str, int]
    cpu_seconds: float
    cpu_seconds_until_quiet: float
    cpu_seconds_of_server: float
    resident_mib: float
    idle: Idle | None


def percentile(values: Collection[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank).

    Raises
    ------
    ValueError
        When there are no values.
    """
    if not values:
        raise ValueError("no values have no percentile")
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def latency(begun: Mapping[str, float], seen: Mapping[str, float]) -> Latency:
    """Return how long each object waited."""
    waited = [seen[name] - begun[name] for name in begun]
    return Latency(percentile(waited, 0.5), percentile(waited, 0.99), max(waited))


def figures_of(operator: str, load: Load, seen: Seen) -> Figures:
    """Return the figures of a run."""
    first = min(seen.begun.values())
    last_deployment = max(seen.deployments.values())
    last_status = max(seen.statuses.values(), default=first)
    requests, settled = seen.converging.requests, seen.settling.requests
    return Figures(
        operator=operator,
        objects=load.objects,
        one_at_a_time=load.one_at_a_time,
        created_seconds=seen.created_seconds,
        deployment=latency(seen.begun, seen.deployments),
        status=latency(seen.begun, seen.statuses) if seen.statuses else None,
        deployments_seconds=last_deployment - first,
        converged_seconds=max(last_deployment, last_status) - first,
        requests_per_object=requests.total / load.objects,
        writes_per_object=requests.writes / load.objects,
        requests_per_object_until_quiet=settled.total / load.objects if seen.settled else None,
        requests_by_kind=settled.by_kind(),
        requests_by_verb=settled.by_verb(),
        requests_by_verb_of_server=seen.settling.requests_by_server.by_verb(),
        cpu_seconds=seen.converging.operator_cpu_seconds,
        cpu_seconds_until_quiet=seen.settling.operator_cpu_seconds,
        cpu_seconds_of_server=seen.converging.server_cpu_seconds,
        resident_mib=seen.end.resident_bytes / _MIB,
        idle=_idle(seen),
    )


def _idle(seen: Seen) -> Idle | None:
    if seen.idle is None:
        return None
    requests = seen.idle.requests
    return Idle(
        seconds=seen.idle.seconds,
        requests=requests.total,
        writes=requests.writes,
        by_kind=requests.by_kind(),
        by_verb_of_server=seen.idle.requests_by_server.by_verb(),
        cpu_seconds=seen.idle.operator_cpu_seconds,
    )
