"""What the kubelet's probes make of a pod: ended because it took too long, ended because it hangs, or not asked.

The kubelet says so in Events alone (``Killing`` and ``Unhealthy``, ``pkg/kubelet/kuberuntime`` and ``prober``); a pod's
status shows no more than a container that was told to end.
"""

import re
from collections.abc import Sequence
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, first_found
from mistral_operator.status.diagnosis.pods import Container
from mistral_operator.status.evidence import ObjectEvent

_KILLED: Final = (
    Pattern(
        PodReason.STARTUP_TIMED_OUT,
        re.compile(r"failed startup probe"),
        "speed up the download (spec.storage.pvc), or see in `kubectl logs --previous` where it hangs",
        "vLLM did not answer within its start-up time, so it was ended and begins again",
    ),
    Pattern(
        PodReason.LIVENESS_FAILED,
        re.compile(r"failed liveness probe"),
        "see in `kubectl logs --previous` where it hangs",
        "vLLM stopped answering /health, so it was ended and begins again",
    ),
)
_READINESS: Final = re.compile(r"Readiness probe failed: (.*)", re.DOTALL)


def killed_by_probe(container: Container, events: Sequence[ObjectEvent]) -> Finding | None:
    """Return which probe made a container end."""
    if not container.told_to_end:
        return None
    words = next((event.message for event in events if event.reason == "Killing"), "")
    return first_found(_KILLED, words)


def not_answering(container: Container, events: Sequence[ObjectEvent]) -> Finding | None:
    """Return that a container that had started is not ready."""
    if not container.started or container.status.get("ready"):
        return None
    failed = next((match for event in events if (match := _READINESS.match(event.message)) is not None), None)
    if failed is None:
        return None
    return Finding(
        PodReason.READINESS_FAILED,
        f"{container.title} runs and does not answer /health: {failed[1]}",
        "see `kubectl logs`",
    )
