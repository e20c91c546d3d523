"""What the API server may answer instead of what was asked for."""

from typing import ClassVar


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


class UnreachableError(ClusterError):
    """No answer, or one that says "later" (429, 5xx), or that our credentials have just run out (401)."""

    transient = True


class NotLeadingError(ClusterError):
    """A write that was not sent, because this process does not lead."""

    transient = True


class NotFoundError(ClusterError):
    """404."""


class ConflictError(ClusterError):
    """409: somebody else changed the object, owns the field, or was faster."""

    transient = True


class ForbiddenError(ClusterError):
    """403: a missing right, a quota, a policy, or a namespace that is being deleted."""


class RefusedError(ClusterError):
    """400 or 422, or 500 for what a schema does not know: the object itself is wrong, and repeating it is useless."""


def error_of(what: str, status: int, message: str) -> ClusterError:
    """Return the error that an HTTP status means.

    Server-side apply answers 500 for unknown fields and duplicate keys (kubernetes issue 118877): that looks like
    an ill server and is a wrong object.
    """
    wrong_object = status == 500 and ("not declared in schema" in message or "duplicate entries" in message)
    kind: type[ClusterError]
    if status == 404:
        kind = NotFoundError
    elif status == 409:
        kind = ConflictError
    elif status == 403:
        kind = ForbiddenError
    elif wrong_object or (400 <= status < 500 and status not in (401, 408, 429)):
        kind = RefusedError
    else:
        kind = UnreachableError
    return kind(what, status, message)
