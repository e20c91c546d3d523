"""The one place through which every message of a status goes, whoever said what it repeats."""

from typing import Any, Final, TypeVar

from mistral_operator.api.plain_text import plain_text
from mistral_operator.api.shortening import shortened
from mistral_operator.api.spec import ApiModel
from mistral_operator.api.status import AttentionStatus, MistralDeploymentStatus

_Part = TypeVar("_Part", bound=ApiModel)
_LONGEST: Final = 4096  # characters: Kubernetes' own conditions may have 32,768, and a status has dozens of messages
_MOST_WARNINGS: Final = 64


def plain_status(status: MistralDeploymentStatus) -> MistralDeploymentStatus:
    """Return a status whose messages are plain and bounded; what pods are rendered from stays as it is.

    What is plain already, as most messages of most passes are, is not copied.
    """
    changed: dict[str, Any] = {
        "conditions": [_with_plain(one, "message") for one in status.conditions],
        "warnings": [_with_plain(one, "message") for one in status.warnings[:_MOST_WARNINGS]],
        "attention": None if status.attention is None else _attention(status.attention),
        "model": None if status.model is None else _with_plain(status.model, "architecture"),
    }
    return status.model_copy(update=changed)


def _with_plain(part: _Part, field: str) -> _Part:
    words = getattr(part, field)
    plain = None if words is None else shortened(plain_text(words), _LONGEST)
    return part if plain == words else part.model_copy(update={field: plain})


def _attention(attention: AttentionStatus) -> AttentionStatus:
    rejected = [_with_plain(one, "message") for one in attention.rejected]
    plain = _with_plain(attention, "message")
    return plain if rejected == attention.rejected else plain.model_copy(update={"rejected": rejected})
