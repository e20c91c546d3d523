"""The one place through which every message of a status goes, whoever said what it repeats."""

from typing import Final

from mistral_operator.api.plain_text import plain_text
from mistral_operator.api.shortening import shortened
from mistral_operator.api.status import AttentionStatus, Condition, MistralDeploymentStatus, PlanWarning

_LONGEST: Final = 4096  # characters: Kubernetes' own conditions may have 32,768, and a status has dozens of messages
_MOST_WARNINGS: Final = 64


def plain_status(status: MistralDeploymentStatus) -> MistralDeploymentStatus:
    """Return a status whose messages are plain and bounded; what pods are rendered from stays as it is."""
    model, attention = status.model, status.attention
    return status.model_copy(
        update={
            "conditions": [_condition(one) for one in status.conditions],
            "warnings": [_warning(one) for one in status.warnings[:_MOST_WARNINGS]],
            "attention": None if attention is None else _attention(attention),
            "model": model
            and model.model_copy(update={"architecture": model.architecture and _plain(model.architecture)}),
        }
    )


def _plain(words: str) -> str:
    return shortened(plain_text(words), _LONGEST)


def _condition(condition: Condition) -> Condition:
    return condition.model_copy(update={"message": _plain(condition.message)})


def _warning(warning: PlanWarning) -> PlanWarning:
    return warning.model_copy(update={"message": _plain(warning.message)})


def _attention(attention: AttentionStatus) -> AttentionStatus:
    rejected = [one.model_copy(update={"message": _plain(one.message)}) for one in attention.rejected]
    return attention.model_copy(update={"message": _plain(attention.message), "rejected": rejected})
