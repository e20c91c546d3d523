"""Events about MistralDeployments, in the API that ``kubectl describe`` and ``kubectl events`` read.

One for each transition, sent before the status that it tells of is written. Its name is a digest of the status before
and of what is told: whoever ends or loses the lease in between leaves the same step to be taken again, by anybody, and
that creates nothing twice. Only an API server that takes no Events makes one be lost, for a status does not wait for
that: large clusters keep Events in an etcd of their own.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from mistral_operator.api import names
from mistral_operator.api.shortening import shortened_bytes
from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ClusterError, ConflictError, NotLeadingError, UnreachableError
from mistral_operator.cluster.resources import EVENTS
from mistral_operator.controller.keys import Key
from mistral_operator.status.transitions import Note

_LONGEST_NOTE_BYTES: Final = 1024  # validation of events.k8s.io/v1
_PATIENCE_SECONDS: Final = 5.0  # a status waits for so long


def step_of(status: Mapping[str, Any]) -> str:
    """Return what names the step from a status, as the API server has it, to the next one."""
    return hashlib.sha256(json.dumps(status, sort_keys=True).encode()).hexdigest()


def event_of(note: Note, key: Key, uid: str, step: str, instance: str, now: datetime) -> Manifest:
    """Return the Event that tells a note; the same note of the same step of an object has the same name."""
    told = hashlib.sha256("\n".join((uid, step, note.action, note.reason)).encode()).hexdigest()
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{key.name}.{told[:16]}", "namespace": key.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{names.GROUP}/{names.MANAGER}",
        "reportingInstance": instance[:128],
        "type": "Warning" if note.warning else "Normal",
        "reason": note.reason,
        "action": note.action,
        "note": shortened_bytes(note.message, _LONGEST_NOTE_BYTES),
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": key.name,
            "namespace": key.namespace,
            "uid": uid,
        },
    }


async def tell(cluster: Cluster, event: Manifest) -> ClusterError | None:
    """Send an Event unless it is there already; one that is lost is returned for the log.

    Raises
    ------
    NotLeadingError
        When it is for another process to take this step.
    """
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await cluster.create(EVENTS, event)
    except ConflictError:
        return None
    except NotLeadingError:
        raise
    except ClusterError as error:
        return error
    except TimeoutError:
        what = f"Event {event['metadata']['namespace']}/{event['metadata']['name']}"
        return UnreachableError(what, 0, f"no answer within {_PATIENCE_SECONDS:g} s")
    return None
