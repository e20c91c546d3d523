"""Events: told when a condition moves, never when it stays, and not for the first good news."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mistral_operator.api.conditions import ConditionStatus, ConditionType, Reason
from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.api.status import Condition

# Ready only repeats the others, apart from what only it can say
_ONLY_READY_SAYS: Final = frozenset(
    {
        Reason.CHILD_NOT_OWNED,
        Reason.CHILD_REFUSED,
        Reason.SPEC_INVALID,
        Reason.STATUS_REFUSED,
        Reason.OPERATOR_FAULT,
    }
)
# somebody's wish, or an offer: no fault
_CALM: Final = frozenset({Reason.SCALED_TO_ZERO, Reason.ROLLING_OUT, Reason.PLAN_OUTDATED, PodReason.IMAGE_PULLING})
# False while pods start is the ordinary course of things; it is news only after it was True, or with a cause
_NEWS_WHEN_LOST: Final = frozenset({ConditionType.AVAILABLE, ConditionType.UP_TO_DATE})
_CAUSES: Final = frozenset(PodReason)


@dataclass(frozen=True, slots=True)
class Note:
    """One Event to be."""

    warning: bool
    reason: str
    action: str  # machine-readable: which condition moved
    message: str


def transitions(before: Sequence[Condition], after: Sequence[Condition]) -> Iterator[Note]:
    """Yield what is worth an Event."""
    was = {condition.type: condition for condition in before}
    moved = [one for one in after if not _is_old(one, was.get(one.type))]
    serves_again = any(one.type == ConditionType.AVAILABLE and one.status is ConditionStatus.TRUE for one in moved)
    for condition in moved:
        if condition.type == ConditionType.UP_TO_DATE and condition.status is ConditionStatus.TRUE and serves_again:
            continue  # one good news, not two
        if _is_news(condition, was.get(condition.type)):
            yield Note(
                warning=condition.status is ConditionStatus.FALSE and condition.reason not in _CALM,
                reason=condition.reason,
                action=condition.type,
                message=condition.message,
            )


def _is_old(condition: Condition, previous: Condition | None) -> bool:
    return previous is not None and (previous.status, previous.reason) == (condition.status, condition.reason)


def _is_news(condition: Condition, previous: Condition | None) -> bool:
    if condition.type == ConditionType.READY:
        mended = previous is not None and previous.reason in _ONLY_READY_SAYS
        return condition.reason in _ONLY_READY_SAYS or mended
    if condition.type == ConditionType.ATTENTION_VERIFIED and condition.status is ConditionStatus.TRUE:
        return previous is not None and previous.status is ConditionStatus.FALSE  # nobody was worried by not knowing
    if condition.status is ConditionStatus.TRUE:
        return previous is not None and previous.status is not ConditionStatus.TRUE
    if condition.status is ConditionStatus.UNKNOWN:
        return condition.reason == Reason.PAUSED
    if condition.type in _NEWS_WHEN_LOST:
        lost = previous is not None and previous.status is ConditionStatus.TRUE
        return lost or condition.reason == Reason.ROLLOUT_STALLED or condition.reason in _CAUSES
    return True
