"""Why a pod does not answer, in the cluster's own words.

Nothing that changes by itself (restart counts, back-off times) is repeated: a message that moves is a write.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mistral_operator.status.observed import Body, PodWarnings, condition_of, is_ready

_LONGEST: Final = 300
_ORDINARY: Final = frozenset({"ContainerCreating", "PodInitializing"})


def why_not_ready(pods: Sequence[Body], warnings: PodWarnings = MappingProxyType({})) -> str | None:
    """Say what holds up the pods: the worst of them speaks. None where nothing is known to be wrong."""
    unready = [pod for pod in pods if not is_ready(pod)]
    said = [(rank, text) for pod in unready for rank, text in _complaints(pod)]
    for pod in unready:
        if pod["metadata"]["uid"] in warnings:
            reason, words = warnings[pod["metadata"]["uid"]]
            said.append((3, _cut(f"pod {pod['metadata']['name']}: {reason}", words)))
    return min(said)[1] if said else None


def complains(pod: Body) -> bool:
    """Tell whether a pod's own status says what is wrong."""
    return bool(_complaints(pod))


def _complaints(pod: Body) -> list[tuple[int, str]]:
    name = f"pod {pod['metadata']['name']}"
    found = []
    for status in _containers(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        ended = status.get("lastState", {}).get("terminated") or status.get("state", {}).get("terminated") or {}
        reason = str(waiting.get("reason", ""))
        if reason and reason not in _ORDINARY:
            because = f"{name}: {reason}"
            if ended:
                because += f", ended with {ended.get('reason', 'an error')} (exit code {ended.get('exitCode')})"
            words = ended.get("message") or (waiting.get("message") if not ended else None)
            found.append((0, _cut(because, words)))
        elif ended and not status.get("ready"):
            ending = f"{name}: ended with {ended.get('reason', 'an error')} (exit code {ended.get('exitCode')})"
            found.append((1, _cut(ending, ended.get("message"))))
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        found.append((2, _cut(f"{name}: {scheduled.get('reason', 'not scheduled')}", scheduled.get("message"))))
    return found


def _containers(pod: Body) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _cut(text: str, words: Any) -> str:
    if not words:
        return text
    joined = f"{text}: {' '.join(str(words).split())}"
    return joined if len(joined) <= _LONGEST else joined[: _LONGEST - 1] + "…"
