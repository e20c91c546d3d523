"""What the API server may answer instead of what was asked for."""

from collections.abc import Sequence
from typing import ClassVar, Final

# server-side apply answers 500 for what a schema does not know (kubernetes issue 118877) and for a number that its Go
# type cannot hold, and so does an API server whose etcd takes no object of this size (1.5 MiB by default): that looks
# like an ill server and is a wrong object
_WRONG_OBJECT: Final = (
    "not declared in schema",
    "duplicate entries",
    "failed to create typed patch object",
    "failed to convert new object",
    "cannot unmarshal",
    "request is too large",
    "message larger than max",
)


class ClusterError(Exception):
    """A request to the API server failed; ``str()`` names the object and the server's own sentence.

    Attributes
    ----------
    status : int
        HTTP status; 0 where no answer came.
    """

    transient: ClassVar[bool] = False

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what}: {message}")
        self.status = status
        self.message = message
        self.retry_after_seconds: float | None = None  # what the API server asks for, where it does


class UnreachableError(ClusterError):
    """No answer, or one that says "later" (429, 5xx), or that our credentials have just run out (401)."""

    transient = True


class NotLeadingError(ClusterError):
    """A write that was not sent, because this process does not lead."""

    transient = True


class NotFoundError(ClusterError):
    """404."""


class ExpiredError(ClusterError):
    """410: the API server does not remember that far back; whoever watches has to list again."""

    transient = True


class ConflictError(ClusterError):
    """409: somebody else changed the object, owns the field, or was faster."""

    transient = True


class ForbiddenError(ClusterError):
    """403: a missing right, a quota, a policy, or a namespace that is being deleted."""


class NamespaceTerminatingError(ForbiddenError):
    """403, because the namespace is being deleted: nothing can be created in it any more."""


class TooLongError(ClusterError):
    """An answer that is longer than its reader takes."""


class RefusedError(ClusterError):
    """400, 413 or 422, or 500 for an object that is wrong: repeating it is useless."""


def error_of(what: str, status: int, message: str, causes: Sequence[str] = ()) -> ClusterError:
    """Return the error that an HTTP status means.

    Parameters
    ----------
    causes
        Reasons among the details of the server's answer.
    """
    wrong_object = status == 500 and any(words in message for words in _WRONG_OBJECT)
    kind: type[ClusterError]
    if status == 404:
        kind = NotFoundError
    elif status == 410:
        kind = ExpiredError
    elif status == 409:
        kind = ConflictError
    elif status == 403:
        kind = NamespaceTerminatingError if "NamespaceTerminating" in causes else ForbiddenError
    elif wrong_object or (400 <= status < 500 and status not in (401, 408, 429)):
        kind = RefusedError
    else:
        kind = UnreachableError
    return kind(what, status, message)
