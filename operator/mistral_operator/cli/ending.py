"""How a command ends when it cannot do what it was asked: one sentence, the next step, an exit code."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from mistral_operator.cli.terminal import tell
from mistral_operator.hub import HubError, HubReason
from mistral_operator.planning.problems import Problem, Unplannable
from mistral_operator.rendering.problems import Unrenderable


class ExitCode(IntEnum):
    """What the command's exit code tells a script."""

    PLANNED = 0
    PROBLEMS = 1  # the doctor found something that does not work
    USAGE = 2  # a flag, a file or a context that means nothing
    MODEL = 3  # the model or its layout cannot be read
    PLACEMENT = 4  # no valid backend, or it does not fit


class Refused(Exception):
    """The command cannot do what it was asked.

    Attributes
    ----------
    code : ExitCode
    message : str
        The cause.
    next_step : str
        What to do about it.
    details : sequence of str
        Causes of their own, one sentence each.
    """

    def __init__(self, code: ExitCode, message: str, next_step: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step
        self.details = details

    def tell(self, about: str | None = None) -> None:
        """Print what is wrong, its details, what to do; ``about`` names the object where there may be several."""
        prefix = f"{about}: " if about else ""
        tell(f"Error: {prefix}{self.message.rstrip('.')}.")
        for detail in self.details:
            tell(f"  - {detail}")
        tell(f"Next: {self.next_step.rstrip('.')}.")


_OF_A_COMMAND: Final[Mapping[HubReason, str]] = {
    HubReason.INVALID_MODEL_ID: "Write OWNER/NAME, such as mistralai/Mistral-7B-v0.1, or a folder's path beginning "
    "with ./ or /.",
    HubReason.BAD_TOKEN: "Put a valid token into HF_TOKEN, or into the Secret that spec.hfTokenSecretRef names.",
}
"""Next steps that the status of a resource could not offer."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what reading, planning and rendering raise into :class:`Refused`."""
    try:
        yield
    except HubError as error:
        raise Refused(ExitCode.MODEL, error.message, _OF_A_COMMAND.get(error.reason, error.next_step)) from error
    except Unplannable as error:
        code = ExitCode.MODEL if error.problem is Problem.MODEL else ExitCode.PLACEMENT
        untold = [f"{no.backend}: {no.message}" for no in error.rejected if no.message not in error.message]
        raise Refused(code, error.message, error.next_step, untold) from error
    except Unrenderable as error:
        raise Refused(ExitCode.PLACEMENT, error.message, error.next_step) from error
