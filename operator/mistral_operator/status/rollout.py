"""Available and UpToDate: what the Deployment says of its pods, and what the pods say themselves."""

from mistral_operator.api.conditions import ConditionValue, Phase, Reason, false, true
from mistral_operator.status.diagnosis import Diagnosis, diagnose
from mistral_operator.status.diagnosis.pods import begins, has_node, words_of
from mistral_operator.status.observed import Body, Observed, condition_of, is_ready


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
    why = _diagnose(observed)
    if why is None:
        return false(Reason.NO_POD_AVAILABLE, "no replica is available yet", passing=True)
    return false(why.reason, why.message, passing=why.passing)


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
    # where nobody answers, Available says why
    why = _diagnose(observed) if available else None
    message = counts if why is None else f"{counts}: {why.message}"
    progressing = condition_of(deployment, "Progressing")
    if current and progressing.get("reason") == "ProgressDeadlineExceeded":
        return false(Reason.ROLLOUT_STALLED, message)
    if why is not None and not why.passing:
        return false(why.reason, message)
    return false(Reason.ROLLING_OUT, message, passing=True)


def progress_of(observed: Observed) -> Phase:
    """Return how far the pod has come that has come furthest."""
    placed = [pod for pod in observed.pods if has_node(pod)]
    if not placed:
        return Phase.SCHEDULING
    return Phase.PULLING if all(begins(pod) for pod in placed) else Phase.LOADING


def _diagnose(observed: Observed) -> Diagnosis | None:
    unready = [pod for pod in observed.pods if not is_ready(pod)]
    refusal = None if observed.deployment is None else _refusal(observed.deployment)
    return diagnose(unready, observed.failed, refusal, observed.evidence)


def _refusal(deployment: Body) -> str | None:
    """Return why pods cannot even be created: a quota, a policy, a webhook."""
    failure = condition_of(deployment, "ReplicaFailure")
    return words_of(failure, "message") if failure.get("status") == "True" else None


def _count(deployment: Body, name: str) -> int:
    return int((deployment.get("status") or {}).get(name) or 0)
