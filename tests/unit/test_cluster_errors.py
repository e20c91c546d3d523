"""What an answer of the API server means: whether it may help to ask again, and what the sentence names."""

import pytest

from mistral_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NamespaceTerminatingError,
    NotFoundError,
    RefusedError,
    UnreachableError,
    error_of,
)

UNKNOWN_FIELD = "failed to create typed patch object: .spec.foo: field not declared in schema"
DUPLICATE = 'failed to create typed patch object: .env: duplicate entries for key [name="A"]'
TOO_LARGE_A_NUMBER = (
    "failed to convert new object (n/m; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured "
    "object to apps/v1, Kind=Deployment: json: cannot unmarshal number 9007199254740992 into Go value of type int32"
)


@pytest.mark.parametrize(
    ("status", "message", "kind", "transient"),
    [
        (400, "bad", RefusedError, False),
        (401, "Unauthorized", UnreachableError, True),  # a token that is just being renewed
        (403, "exceeded quota", ForbiddenError, False),
        (404, "not found", NotFoundError, False),
        (405, "not allowed", RefusedError, False),
        (408, "timeout", UnreachableError, True),
        (409, "modified", ConflictError, True),
        (410, "continue token expired", ExpiredError, True),
        (413, "too large", RefusedError, False),
        (422, "invalid", RefusedError, False),
        (429, "too many", UnreachableError, True),
        (500, "etcd is away", UnreachableError, True),
        (500, UNKNOWN_FIELD, RefusedError, False),
        (500, DUPLICATE, RefusedError, False),
        (500, "failed to create typed patch object (/m; …): .status.url: expected string, got 5", RefusedError, False),
        (500, "etcdserver: request is too large", RefusedError, False),
        (500, TOO_LARGE_A_NUMBER, RefusedError, False),
        (500, "rpc error: trying to send message larger than max (3000701 vs. 2097152)", RefusedError, False),
        (502, "bad gateway", UnreachableError, True),
        (503, "unavailable", UnreachableError, True),
        (504, DUPLICATE, UnreachableError, True),
        (302, "elsewhere", UnreachableError, True),
    ],
)
def test_what_a_status_means(status: int, message: str, kind: type[ClusterError], transient: bool) -> None:
    """A wrong object is never tried for ever, be it answered with 500; an ill server is."""
    error = error_of("PATCH /apis/apps/v1/namespaces/n/deployments/d", status, message)
    assert type(error) is kind
    assert (error.transient, error.status, error.message) == (transient, status, message)
    assert str(error) == f"PATCH /apis/apps/v1/namespaces/n/deployments/d: {message}"


def test_a_namespace_that_is_deleted() -> None:
    """The cause tells it from a missing right and from a quota, whatever the sentence is."""
    error = error_of("POST /api/v1/namespaces/n/services", 403, "forbidden", ["NamespaceTerminating"])
    assert type(error) is NamespaceTerminatingError
    assert type(error_of("POST /api/v1/namespaces/n/services", 403, "forbidden", ["Other"])) is ForbiddenError
