"""Pods that their node gave up: a kubelet that says nothing, an eviction, a pod that a node would not take."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, first_found
from mistral_operator.status.diagnosis.pods import Body, words_of
from mistral_operator.status.evidence import Evidence

_SUCCESSION: Final = timedelta(minutes=1)  # within which a pod that is given up has its successor
_EVICTED: Final = (  # words of pkg/kubelet/eviction/helpers.go
    Pattern(
        PodReason.EVICTED,
        re.compile(r'EmptyDir volume "[^"]{0,253}" exceeds the limit'),
        "raise spec.storage.emptyDir.sizeLimit, or use spec.storage.pvc",
    ),
    Pattern(
        PodReason.EVICTED,
        re.compile(r"low on resource: memory"),
        "set spec.resources.requests.memory to what vLLM takes, so that others go first",
    ),
    Pattern(
        PodReason.EVICTED,
        re.compile(r"ephemeral.storage|nodefs|imagefs|inodes"),
        "free disk on the node, or keep weights on a claim (spec.storage.pvc)",
    ),
)


def lost(pod: Body, evidence: Evidence) -> Finding | None:
    """Return that nothing is heard of a pod's node."""
    node = str((pod.get("spec") or {}).get("nodeName") or "")
    if node not in evidence.lost_nodes:
        return None
    return Finding(
        PodReason.NODE_LOST,
        f"nothing is heard of its node {node}",
        "mend or delete the node: after 5 minutes Kubernetes makes the pod anew elsewhere",
    )


def given_up(pod: Body, successors: Sequence[Body]) -> Finding | None:
    """Return why a node ended a pod for good: it shows phase Failed and is replaced.

    Nobody removes such a pod, so that it counts for those alone that may have come in its place.
    """
    status = pod.get("status") or {}
    reason, words = words_of(status, "reason"), words_of(status, "message")
    if status.get("phase") != "Failed" or not reason or _is_history(pod, successors):
        return None
    if reason in ("Evicted", "Preempting"):
        found = first_found(_EVICTED, words)
        step = found.next_step if found is not None else "see what `kubectl describe node` says"
        return Finding(PodReason.EVICTED, f"its node evicted it: {words}", step, passing=True)
    return Finding(
        PodReason.NODE_REFUSED_POD,
        f"its node ended it ({reason}): {words}",
        "see what `kubectl describe node` says",
        passing=True,
    )


def _is_history(pod: Body, successors: Sequence[Body]) -> bool:
    """Tell whether a pod ended long before any of those that live was created."""
    ends = [one["lastTransitionTime"] for one in pod["status"].get("conditions") or () if one.get("lastTransitionTime")]
    begins = [one["metadata"].get("creationTimestamp") for one in successors]
    if not ends or not all(begins) or not begins:
        return False
    ended = max(datetime.fromisoformat(str(time)) for time in ends)
    return min(datetime.fromisoformat(str(time)) for time in begins) - ended > _SUCCESSION
