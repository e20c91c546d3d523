"""Events about MistralDeployments, in the API that ``kubectl describe`` and ``kubectl events`` read.

At most one for each transition, and only of a status that stands: it is sent once that has been written. Who ends, or
loses the lease, in between has told it in the status alone, as with the recorders of Kubernetes' own controllers; a
status is what to rely on, and an Event is gone after an hour anyway.
"""

import secrets
from datetime import datetime
from typing import Final

from mistral_operator.api import names
from mistral_operator.api.shortening import shortened_bytes
from mistral_operator.cluster.client import Cluster, Manifest
from mistral_operator.cluster.errors import ClusterError
from mistral_operator.cluster.resources import EVENTS
from mistral_operator.controller.keys import Key
from mistral_operator.status.transitions import Note

_LONGEST_NOTE_BYTES: Final = 1024  # validation of events.k8s.io/v1


def event_of(note: Note, key: Key, uid: str, instance: str, now: datetime) -> Manifest:
    """Return the Event that tells a note."""
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{key.name}.{secrets.token_hex(8)}", "namespace": key.namespace},
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
    """Send an Event; one that is lost costs no more than itself, and is returned for the log."""
    try:
        await cluster.create(EVENTS, event)
    except ClusterError as error:
        return error
    return None
