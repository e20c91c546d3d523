"""What was seen of an object's children, reduced to what the status speaks of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mistral_operator.api.names import PLAN_ANNOTATION
from mistral_operator.status.evidence import NO_EVIDENCE, Evidence

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """The Deployment, if there is one that is ours, the pods, and what else is known of them."""

    deployment: Body | None
    pods: tuple[Body, ...]
    failed: tuple[Body, ...] = ()  # pods that have ended, as long as nobody has deleted them
    evidence: Evidence = NO_EVIDENCE

    @classmethod
    def of(cls, deployment: Body | None, pods: Iterable[Body], evidence: Evidence = NO_EVIDENCE) -> "Observed":
        """Keep what matters: pods that are being deleted, or are done, serve nobody."""
        by_name = sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
        living = tuple(pod for pod in by_name if not is_leaving(pod))
        failed = tuple(pod for pod in by_name if pod.get("status", {}).get("phase") == "Failed")
        return cls(deployment, living, failed, evidence)

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
