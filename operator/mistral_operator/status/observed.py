"""What was seen of an object's children, reduced to what the status speaks of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mistral_operator.api.names import PLAN_ANNOTATION

Body = Mapping[str, Any]
PodWarnings = Mapping[str, tuple[str, str]]
"""Newest Event of each pod that says nothing itself, by uid: reason and message."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The Deployment, if there is one that is ours, and the pods."""

    deployment: Body | None
    pods: tuple[Body, ...]
    warnings: PodWarnings = field(default_factory=dict)

    @classmethod
    def of(cls, deployment: Body | None, pods: Iterable[Body], warnings: PodWarnings | None = None) -> "Observed":
        """Keep what matters: pods that are being deleted, or are done, serve nobody."""
        living = (pod for pod in pods if not is_leaving(pod))
        return cls(deployment, tuple(sorted(living, key=lambda pod: str(pod["metadata"]["name"]))), warnings or {})

    def any_scheduled(self, plan_digest: str) -> bool:
        """Tell whether a pod of one plan has a node."""
        return any(plan_of(pod) == plan_digest and bool(pod.get("spec", {}).get("nodeName")) for pod in self.pods)


def is_leaving(pod: Body) -> bool:
    """Tell whether a pod is on its way out or has ended."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return ended or pod["metadata"].get("deletionTimestamp") is not None


def is_ready(pod: Body) -> bool:
    """Tell whether a pod answers requests."""
    return condition_of(pod, "Ready").get("status") == "True"


def plan_of(pod: Body) -> str | None:
    """Return the digest of the plan a pod was made from."""
    digest = (pod["metadata"].get("annotations") or {}).get(PLAN_ANNOTATION)
    return None if digest is None else str(digest)


def condition_of(body: Body, kind: str) -> Mapping[str, Any]:
    """Return one of an object's conditions; empty where it has none of that type."""
    conditions = body.get("status", {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == kind), {})
