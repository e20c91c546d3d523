"""What goes out in place of a status that the API server refuses, and of one that could not be made.

A status that nobody can read is worse than a short one: the last that was written may say that pods serve which are
dead. So the conditions go out, each in one safe sentence, over what the API server took before.
"""

from typing import Final

from mistral_operator.api.conditions import ConditionType, ConditionValue, Phase, Reason, false
from mistral_operator.api.shortening import shortened
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.status.conditions import conditions_of, value_of
from mistral_operator.status.diagnosis.finding import steady

_LONGEST: Final = 300  # characters of the API server's words
_LEFT_OUT: Final = "not told, because the API server refuses the whole status: see Ready"
_IN_ITS_PLACE: Final = "plan and messages are those of the last status that it took"
_NEXT: Final = "shorten or remove what it names; where spec holds nothing like it, report this"


def smaller_status(
    before: MistralDeploymentStatus, refused: MistralDeploymentStatus, why: str, now: str
) -> MistralDeploymentStatus:
    """Return what stands already, with the refused status's conditions less their messages, and Ready that says why.

    The same refusal makes the same status, so that it is written once.

    Parameters
    ----------
    before
        The status that stands.
    why
        The API server's words.
    now
        RFC 3339, in seconds.
    """
    known = {(one.type, one.status, one.reason, one.message) for one in before.conditions}
    generation = refused.observed_generation or 0
    ready = conditions_of([(ConditionType.READY, _refusal(why))], before.conditions, generation, now)
    others = [
        one
        if (one.type, one.status, one.reason, one.message) in known
        else one.model_copy(update={"message": _LEFT_OUT})
        for one in refused.conditions
        if one.type != ConditionType.READY
    ]
    return before.model_copy(
        update={
            "observed_generation": refused.observed_generation,
            "phase": Phase.DEGRADED if refused.phase is Phase.READY else refused.phase,
            "replicas": refused.replicas,
            "ready_replicas": refused.ready_replicas,
            "selector": refused.selector,
            "conditions": [*ready, *others],
        }
    )


def faulty_status(before: MistralDeploymentStatus, generation: int, fault: str, now: str) -> MistralDeploymentStatus:
    """Return the status of an object that the operator fails at; the same as before where that is said already.

    Parameters
    ----------
    fault
        The exception's class and words.
    """
    said = value_of(before.conditions, ConditionType.READY)
    if said is not None and said.reason == Reason.OPERATOR_FAULT and before.observed_generation == generation:
        return before  # its words may hold what moves
    ready = false(
        Reason.OPERATOR_FAULT,
        f"a fault in the operator ({_told(fault)}): whatever runs goes on, and it is tried again; "
        "report it with the traceback in the operator's log",
    )
    others = [one for one in before.conditions if one.type != ConditionType.READY]
    available = value_of(before.conditions, ConditionType.AVAILABLE)
    return before.model_copy(
        update={
            "observed_generation": generation,
            "phase": Phase.DEGRADED if available is not None and available.is_true else Phase.FAILED,
            "conditions": [*conditions_of([(ConditionType.READY, ready)], before.conditions, generation, now), *others],
        }
    )


def _refusal(why: str) -> ConditionValue:
    return false(Reason.STATUS_REFUSED, f"the API server refuses this status ({_told(why)}); {_IN_ITS_PLACE}: {_NEXT}")


def _told(words: str) -> str:
    """Return words that no API server refuses: ASCII, bounded, without what moves."""
    return shortened(steady(words.encode("ascii", "backslashreplace").decode()), _LONGEST).rstrip(". ")
