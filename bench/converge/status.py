"""What of an object must be set before its status counts as written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class StatusWish:
    """One field that must be there, with any value or with a certain one.

    In a list of conditions a step of the path is the condition's type, and what counts is its status:
    ``status.conditions.Ready=True``.
    """

    path: tuple[str, ...]
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PATH`` or ``PATH=VALUE``.

        Raises
        ------
        ValueError
            When the path has an empty step.
        """
        path, has_value, value = text.partition("=")
        steps = tuple(path.split("."))
        if not all(steps):
            raise ValueError(f"{text!r} is no path: it is written as status.phase, or status.conditions.Ready=True")
        return cls(steps, value if has_value else None)

    def holds(self, body: Mapping[str, Any]) -> bool:
        """Tell whether an object has the field; an empty one counts as absent."""
        found: Any = body
        for step in self.path:
            found = _step(found, step)
        if self.value is None:
            return found not in (None, "", [], {})
        return str(found) == self.value


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return next((item.get("status") for item in value if item.get("type") == step), None)
    return None
