"""The conditions of one object, and the two roll-ups over them.

::

    Ready ── ModelResolved, BackendSelected, Available, UpToDate   must be True
          ── HardwareCompatible, AttentionVerified                 must not be False
    PlanCurrent                                                    stands beside: older than today's facts still serves
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mistral_operator.api.conditions import ConditionStatus, ConditionType, ConditionValue, Phase, Reason, false, true
from mistral_operator.api.status import Condition

Facts = Mapping[ConditionType, ConditionValue]

_MUST_NOT_BE_FALSE: Final = (ConditionType.HARDWARE_COMPATIBLE, ConditionType.ATTENTION_VERIFIED)  # the others: be True
# whose reason speaks for Ready: a cause before its consequence
_SPEAKS_FIRST: Final = (
    ConditionType.MODEL_RESOLVED,
    ConditionType.BACKEND_SELECTED,
    ConditionType.HARDWARE_COMPATIBLE,
    ConditionType.AVAILABLE,
    ConditionType.UP_TO_DATE,
    ConditionType.ATTENTION_VERIFIED,
)


def readiness(facts: Facts) -> ConditionValue:
    """Roll the facts up: the first that is False speaks, else the first that is not known."""
    against = [facts[kind] for kind in _SPEAKS_FIRST if _counts_against(kind, facts[kind])]
    if not against:
        return true(Reason.SERVING, facts[ConditionType.UP_TO_DATE].message)
    speaker = next((value for value in against if value.is_false), against[0])
    return false(speaker.reason, speaker.message, passing=speaker.passing)


def _counts_against(kind: ConditionType, value: ConditionValue) -> bool:
    return value.is_false if kind in _MUST_NOT_BE_FALSE else not value.is_true


def phase_of(facts: Facts, ready: ConditionValue, progress: Phase) -> Phase:
    """Say in one word where an object is on its way; for people only.

    Parameters
    ----------
    progress
        How far its pods have come.
    """
    available = facts[ConditionType.AVAILABLE]
    if ready.is_true:
        return Phase.READY
    if available.is_true:
        return Phase.DEGRADED
    if ready.reason == Reason.SCALED_TO_ZERO:
        return Phase.STOPPED
    if not ready.passing:
        return Phase.FAILED
    if not facts[ConditionType.MODEL_RESOLVED].is_true:
        return Phase.RESOLVING
    if not facts[ConditionType.BACKEND_SELECTED].is_true or available.reason == Reason.NOT_DEPLOYED:
        return Phase.PENDING
    return progress


def conditions_of(
    facts: Iterable[tuple[ConditionType, ConditionValue]], previous: Sequence[Condition], generation: int, now: str
) -> list[Condition]:
    """Write the conditions down; the time of transition moves only when the status does."""
    before = {condition.type: condition for condition in previous}
    return [_condition(kind, value, before.get(kind), generation, now) for kind, value in facts]


def _condition(
    kind: ConditionType, value: ConditionValue, before: Condition | None, generation: int, now: str
) -> Condition:
    moved = before is None or before.status is not value.status
    return Condition(
        type=kind,
        status=value.status,
        reason=value.reason,
        message=value.message,
        observed_generation=generation,
        last_transition_time=now if before is None or moved else before.last_transition_time,
    )


def value_of(conditions: Sequence[Condition], kind: ConditionType) -> ConditionValue | None:
    """Return what was said before about one fact."""
    found = next((condition for condition in conditions if condition.type == kind), None)
    return None if found is None else ConditionValue(ConditionStatus(found.status), found.reason, found.message)
