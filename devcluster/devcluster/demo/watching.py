"""Waiting until MistralDeployments are Ready, with their phases to look at."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_FAILED: Final = "Failed"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one object's status says."""

    name: str
    phase: str
    is_ready: bool
    reason: str
    message: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Seen":
        """Read it."""
        status = body.get("status", {})
        conditions = status.get("conditions", ())
        ready: Mapping[str, Any] = next((condition for condition in conditions if condition["type"] == "Ready"), {})
        return cls(
            body["metadata"]["name"],
            status.get("phase", "new"),
            ready.get("status") == "True",
            ready.get("reason", "NoStatus"),
            ready.get("message", "the operator has not looked at it yet"),
        )

    def __str__(self) -> str:
        return f"{self.name} is {self.phase}{'' if self.is_ready else f' ({self.reason})'}"


def watch_until_ready(
    look: Callable[[], Sequence[Seen]],
    tell: Callable[[str], None],
    *,
    seconds: float,
    failed_seconds: float = 3.0,
    every_seconds: float = 0.2,
) -> Sequence[Seen]:
    """Look until all are Ready, one stays Failed, or the time is over; return what was seen last.

    Parameters
    ----------
    failed_seconds
        How long Failed must last to be believed.
    """
    end = time.monotonic() + seconds
    failed_since: float | None = None
    while True:
        seen, now = look(), time.monotonic()
        tell(", ".join(str(one) for one in seen))
        if seen and all(one.is_ready for one in seen):
            return seen
        if not any(one.phase == _FAILED for one in seen):
            failed_since = None
        elif failed_since is None:
            failed_since = now
        if now > end or (failed_since is not None and now - failed_since > failed_seconds):
            return seen
        time.sleep(every_seconds)
