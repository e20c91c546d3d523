"""Events of pods that neither start nor say why: a volume that cannot be mounted, a network that is not there.

A pod whose own status tells what is wrong is not asked about, nor is one that has only just begun.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mistral_operator.cluster.client import Cluster, Manifest
from mistral_operator.cluster.resources import CORE_EVENTS
from mistral_operator.controller.store import Body
from mistral_operator.status.observed import PodWarnings, is_leaving, is_ready
from mistral_operator.status.pods import complains

_PATIENCE: Final = timedelta(seconds=20)  # within which an ordinary pod has begun
_AGAIN_SECONDS: Final = 60.0
_MOST_PODS: Final = 3  # of one object: the others wait for the same
_ORDINARY: Final = frozenset({"Unhealthy"})  # the startup probe, for as long as the model loads


class PodEvents(NamedTuple):
    """What Events say, and when it makes sense to ask again; None where no pod is silent."""

    warnings: PodWarnings
    again_seconds: float | None


async def warnings_of(cluster: Cluster, pods: Sequence[Body], now: datetime) -> PodEvents:
    """Return the newest warning about each pod that is silent."""
    silent = sorted(
        (pod for pod in pods if not is_leaving(pod) and not is_ready(pod) and not complains(pod)), key=_begun
    )
    if not silent:
        return PodEvents({}, None)
    asked = [pod for pod in silent if now - _begun(pod) >= _PATIENCE][:_MOST_PODS]
    if not asked:
        return PodEvents({}, _PATIENCE.total_seconds())
    found = {}
    for pod in asked:
        newest = await _newest(cluster, pod)
        if newest is not None:
            found[str(pod["metadata"]["uid"])] = (str(newest["reason"]), str(newest.get("message", "")))
    return PodEvents(found, _AGAIN_SECONDS)


async def _newest(cluster: Cluster, pod: Body) -> Manifest | None:
    events: list[Manifest] = []
    fields = f"involvedObject.uid={pod['metadata']['uid']},type=Warning"
    async for page in cluster.pages(CORE_EVENTS, str(pod["metadata"]["namespace"]), fields=fields):
        events += (event for event in page if event.get("reason") not in _ORDINARY)
    return max(events, key=_last_seen, default=None)


def _last_seen(event: Manifest) -> str:
    """Return an Event's newest time; RFC 3339 in UTC sorts as text."""
    times = (event.get("lastTimestamp"), (event.get("series") or {}).get("lastObservedTime"), event.get("eventTime"))
    return max((str(time) for time in times if time), default="")


def _begun(pod: Body) -> datetime:
    return datetime.fromisoformat(str(pod["metadata"]["creationTimestamp"]))
