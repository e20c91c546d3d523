"""Events of pods that neither start nor say why, and of claims that they wait for.

A pod whose own status tells what is wrong is not asked about, nor is one that has only just begun. What a claim waits
for stands in its own Events alone. Events are read in small pages, of which the newest ones are kept, in few characters
each: who may create Events may create as many as they like.
"""

import heapq
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import TooLongError
from mistral_operator.cluster.resources import CORE_EVENTS
from mistral_operator.controller.store import Body
from mistral_operator.status.diagnosis import Wanted
from mistral_operator.status.evidence import ObjectEvent

_PATIENCE: Final = timedelta(seconds=20)  # within which an ordinary pod has begun
_AGAIN_SECONDS: Final = 60.0
_UNSAFE: Final = re.compile(r"[\\,=]")  # a field selector's own characters; a spec may call a claim anything
_BACKSLASHED: Final = r"\\\g<0>"
_MOST_PODS: Final = 3  # of one object: the others wait for the same
_PAGE: Final = 50
_PAGE_BYTES: Final = 1024 * 1024  # an Event of the kubelet's has some 2 KiB, its managedFields included
_MOST_PAGES: Final = 20  # the kubelet writes some 25 Events of one pod at most, and 12 more an hour
_KEPT: Final = 50
_LONGEST_CHARACTERS: Final = 1024  # of a message: the limit of events.k8s.io


class Told(NamedTuple):
    """What Events say, and when it makes sense to ask again; None where there is nobody to ask about."""

    pods: Mapping[str, Sequence[ObjectEvent]]  # by uid, newest first
    claim: Sequence[ObjectEvent]
    again_seconds: float | None


NOTHING_TOLD: Final = Told({}, (), _AGAIN_SECONDS)
"""Where Events may not be read."""


async def events_of(
    cluster: Cluster, pods: Sequence[Body], wanted: Mapping[str, Wanted], claim: str | None, now: datetime
) -> Told:
    """Return what Events say of the pods that are silent, and of the claim that they mount.

    Parameters
    ----------
    wanted
        What is to be asked for, by the uid of a pod; of others nothing is.
    """
    asking = [(pod, one) for pod in pods if (one := wanted.get(str(pod["metadata"]["uid"]))) is not None]
    silent = sorted(((pod, one) for pod, one in asking if one.events), key=lambda pair: _begun(pair[0]))
    asked = [pod for pod, one in silent if one.at_once or now - _begun(pod) >= _PATIENCE][:_MOST_PODS]
    waiting = next((pod for pod, one in asking if one.claim_events), None)
    found = {str(pod["metadata"]["uid"]): await _newest_first(cluster, pod, _of_pod(pod)) for pod in asked}
    of_claim = await _newest_first(cluster, waiting, _of_claim(claim)) if waiting and claim else ()
    if asked or waiting:
        return Told(found, of_claim, _AGAIN_SECONDS)
    return Told(found, of_claim, _PATIENCE.total_seconds() if silent else None)


async def _newest_first(cluster: Cluster, pod: Body, fields: str) -> Sequence[ObjectEvent]:
    newest: list[tuple[tuple[str, int], ObjectEvent]] = []
    pages = cluster.pages(
        CORE_EVENTS, str(pod["metadata"]["namespace"]), fields=fields, page=_PAGE, longest_bytes=_PAGE_BYTES
    )
    count = 0
    with suppress(TooLongError):  # whoever writes such Events about a pod is not read to their end
        async for page in pages:
            read = [(_last_seen(event), _read(event)) for event in page]
            newest = heapq.nlargest(_KEPT, [*newest, *read], key=lambda one: one[0])
            count += 1
            if count == _MOST_PAGES:
                break
    return [event for _, event in newest]


def _read(event: Manifest) -> ObjectEvent:
    reason, message = (str(event.get(name) or "")[:_LONGEST_CHARACTERS] for name in ("reason", "message"))
    return ObjectEvent(reason, message)


def _of_pod(pod: Body) -> str:
    return f"involvedObject.uid={pod['metadata']['uid']}"


def _of_claim(name: str | None) -> str:
    return f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={_UNSAFE.sub(_BACKSLASHED, name or '')}"


def _last_seen(event: Manifest) -> tuple[str, int]:
    """Return an Event's newest time, in seconds as the kubelet tells it, then the order in which it was written.

    RFC 3339 in UTC sorts as text.
    """
    times = (event.get("lastTimestamp"), (event.get("series") or {}).get("lastObservedTime"), event.get("eventTime"))
    newest = max((str(time)[:19] for time in times if time), default="")
    return newest, int(event["metadata"].get("resourceVersion") or 0)


def _begun(pod: Body) -> datetime:
    return datetime.fromisoformat(str(pod["metadata"]["creationTimestamp"]))
