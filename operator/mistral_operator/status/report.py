"""The whole status of one object, put together from the decision, the children and what was said before."""

from collections.abc import Sequence
from dataclasses import dataclass

from mistral_operator.api.conditions import ConditionType, ConditionValue, Phase, Reason, false, true, unknown
from mistral_operator.api.names import PAUSED_ANNOTATION
from mistral_operator.api.status import (
    AttentionStatus,
    MistralDeploymentStatus,
    ObservedAttention,
    PlanWarning,
    Resolved,
)
from mistral_operator.planning.verdict import Verdict
from mistral_operator.status.conditions import Facts, conditions_of, phase_of, readiness
from mistral_operator.status.described import describe_plan
from mistral_operator.status.observed import Observed, is_ready
from mistral_operator.status.rollout import availability, freshness, progress_of
from mistral_operator.status.verified import Asked, verify


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that a status is about."""

    generation: int
    replicas: int  # as the spec wants them
    selector: str
    url: str
    paused: bool


def report(
    previous: MistralDeploymentStatus,
    subject: Subject,
    verdict: Verdict,
    observed: Observed,
    trouble: ConditionValue | None,
    now: str,
    warnings: Sequence[PlanWarning] = (),
    asked: Sequence[Asked] = (),
) -> MistralDeploymentStatus:
    """Return the new status.

    Parameters
    ----------
    trouble
        Why a child could not be applied; it speaks for Ready then.
    now
        RFC 3339, in seconds.
    warnings
        What was seen beside the plan's own warnings; each time anew.
    asked
        What pods of the plan say that they run.
    """
    described = _described(previous, verdict)
    verified = verify(previous, verdict.resolved, described.attention, asked, now)
    facts: Facts = {
        ConditionType.MODEL_RESOLVED: verdict.model,
        ConditionType.BACKEND_SELECTED: verdict.backend or _backend(described.attention, verdict.resolved),
        ConditionType.HARDWARE_COMPATIBLE: verdict.hardware,
        ConditionType.AVAILABLE: availability(observed, subject.replicas),
        ConditionType.UP_TO_DATE: freshness(observed, subject.replicas),
        ConditionType.ATTENTION_VERIFIED: verified.value,
        ConditionType.PLAN_CURRENT: _paused() if subject.paused else verdict.plan,
    }
    ready = trouble or readiness(facts)
    everything = [(ConditionType.READY, ready), *facts.items()]
    return described.model_copy(
        update={
            "observed_generation": subject.generation,
            "attention": _with_observed(described.attention, verified.observed),
            "phase": phase_of(facts, ready, progress_of(observed)),
            **_counts(observed),
            "selector": subject.selector,
            "warnings": [*_of_the_plan(described.warnings), *warnings],
            "url": subject.url if observed.deployment is not None else None,
            "conditions": conditions_of(everything, previous.conditions, subject.generation, now),
        }
    )


def report_invalid(
    previous: MistralDeploymentStatus, generation: int, message: str, observed: Observed, now: str
) -> MistralDeploymentStatus:
    """Return the status of an object that cannot be understood: whatever runs goes on, and is observed.

    The conditions beside Ready are still about the generation that could be understood; the Deployment knows how many
    replicas that wanted.
    """
    desired = 0 if observed.deployment is None else observed.deployment["spec"]["replicas"]
    seen: Facts = {
        ConditionType.AVAILABLE: availability(observed, desired),
        ConditionType.UP_TO_DATE: freshness(observed, desired),
    }
    ready = false(Reason.SPEC_INVALID, message)
    conditions = conditions_of([(ConditionType.READY, ready)], previous.conditions, generation, now)
    for before in previous.conditions:
        if before.type in seen:
            kind = ConditionType(before.type)
            conditions += conditions_of([(kind, seen[kind])], [before], before.observed_generation, now)
        elif before.type != ConditionType.READY:
            conditions.append(before)
    return previous.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase_of(seen, ready, Phase.FAILED),
            **_counts(observed),
            "conditions": conditions,
        }
    )


def _counts(observed: Observed) -> dict[str, int]:
    return {"replicas": len(observed.pods), "ready_replicas": sum(is_ready(pod) for pod in observed.pods)}


def _described(previous: MistralDeploymentStatus, verdict: Verdict) -> MistralDeploymentStatus:
    """Describe the plan: anew when one was adopted, else as it was described when it was."""
    if verdict.adopted is not None:
        return describe_plan(verdict.adopted, verdict.resolved)
    if verdict.resolved is None:
        return MistralDeploymentStatus()
    return previous.model_copy(update={"resolved": verdict.resolved})


def _with_observed(attention: AttentionStatus | None, observed: ObservedAttention | None) -> AttentionStatus | None:
    return None if attention is None else attention.model_copy(update={"observed": observed})


def _of_the_plan(warnings: Sequence[PlanWarning]) -> list[PlanWarning]:
    return [warning for warning in warnings if warning.reason != Reason.DEPLOYMENT_SCALED_BY_OTHERS]


def _backend(attention: AttentionStatus | None, resolved: Resolved | None) -> ConditionValue:
    if attention is not None:
        return true(attention.reason, attention.message)
    backends = {} if resolved is None else resolved.backends
    return true(Reason.PLAN_FROZEN, f"as planned before: {', '.join(f'{k}: {b}' for k, b in backends.items())}")


def _paused() -> ConditionValue:
    return unknown(
        Reason.PAUSED, f"annotation {PAUSED_ANNOTATION} is set: nothing is planned or applied until it is removed"
    )
