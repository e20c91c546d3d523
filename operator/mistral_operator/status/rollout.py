"""Available and UpToDate: what the Deployment says of its pods, and what the pods say themselves."""

from mistral_operator.api.conditions import ConditionValue, Reason, false, true
from mistral_operator.status.observed import Body, Observed, condition_of
from mistral_operator.status.pods import why_not_ready


def availability(observed: Observed, desired: int) -> ConditionValue:
    """Return whether anybody answers: at least one available replica, of whichever revision."""
    deployment = observed.deployment
    if deployment is None:
        return false(Reason.NOT_DEPLOYED, "there is no Deployment yet", passing=True)
    if desired == 0:
        return false(Reason.SCALED_TO_ZERO, "spec.replicas is 0")
    available = _count(deployment, "availableReplicas")
    if available:
        return true(Reason.PODS_AVAILABLE, f"{available} of {desired} replicas are available")
    why = why_not_ready(observed.pods, observed.warnings) or _refusal(deployment)
    message = f"no replica is available: {why}" if why else "no replica is available yet"
    return false(Reason.NO_POD_AVAILABLE, message, passing=why is None)


def freshness(observed: Observed, desired: int) -> ConditionValue:
    """Return whether all pods are of the newest revision and available, and none is left of an older one."""
    deployment = observed.deployment
    if deployment is None:
        return false(Reason.NOT_DEPLOYED, "there is no Deployment yet", passing=True)
    updated, available, all_pods = (
        _count(deployment, name) for name in ("updatedReplicas", "availableReplicas", "replicas")
    )
    seen = (deployment.get("status") or {}).get("observedGeneration") or 0
    current = seen >= (deployment["metadata"].get("generation") or 0)
    if current and updated == desired == available == all_pods:
        return true(Reason.ROLLED_OUT, f"{desired} of {desired} replicas are up to date and available")
    counts = f"{updated} of {desired} replicas are up to date, {available} available, {max(all_pods - updated, 0)} old"
    why = why_not_ready(observed.pods, observed.warnings) or _refusal(deployment)
    message = f"{counts}: {why}" if why else counts
    progressing = condition_of(deployment, "Progressing")
    if current and progressing.get("reason") == "ProgressDeadlineExceeded":
        return false(Reason.ROLLOUT_STALLED, message)
    return false(Reason.ROLLING_OUT, message, passing=True)


def _refusal(deployment: Body) -> str | None:
    """Return why pods cannot even be created: a quota, a policy, a webhook."""
    failure = condition_of(deployment, "ReplicaFailure")
    return str(failure.get("message")) if failure.get("status") == "True" else None


def _count(deployment: Body, name: str) -> int:
    return int((deployment.get("status") or {}).get(name) or 0)
