"""What only rendering can find wrong with a spec."""

from enum import StrEnum

from mistral_operator.api.conditions import ConditionValue, false


class RenderingReason(StrEnum):
    """Reasons of rendering."""

    VOLUME_CONFLICT = "VolumeConflict"
    """`volumes` or `volumeMounts` contradict what every pod has. Next: Correct the field that is named."""


class Unrenderable(Exception):
    """Wishes that contradict what every pod has; nothing is rendered.

    Attributes
    ----------
    reason : RenderingReason
    message : str
        One sentence that names the field and the cause.
    next_step : str
        What to do about it.
    """

    def __init__(self, reason: RenderingReason, message: str, next_step: str) -> None:
        super().__init__(f"{message}. {next_step}.")
        self.reason = reason
        self.message = message
        self.next_step = next_step

    def as_condition(self) -> ConditionValue:
        """Return what it says of the object's condition."""
        return false(self.reason, str(self))
