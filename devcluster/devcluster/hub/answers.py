"""HTTP answers as the hub gives them: files, JSON, and refusals with the headers that tell them apart.

huggingface_hub 2.4.0 (``utils/_http.py``) looks at ``X-Error-Code`` first, then at two exact values of
``X-Error-Message``, and last at the status. A 401 without a code means a missing repository to it, but only
on the hub's own https addresses, so every refusal here carries its code.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from devcluster.hub.contents import RepoFile
from devcluster.hub.faults import Action, Fault, Kind, Occasion

_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Parameters
    ----------
    status
        HTTP status.
    headers
        All headers but ``Content-Length``.
    length
        Length of the body in bytes, which HEAD announces too.
    body
        The body in pieces; not read for HEAD.
    delay
        Seconds to wait before answering.
    """

    status: HTTPStatus
    headers: Mapping[str, str]
    length: int
    body: Iterable[bytes] = field(repr=False)
    delay: float = 0.0


def json_answer(
    document: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Answer:
    """Answer with a JSON document."""
    data = json.dumps(document).encode()
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, len(data), (data,))


def file_answer(file: RepoFile, commit: str, byte_range: str | None, *, torn: bool = False) -> Answer:
    """Answer with a file, or with the one range of it that is asked for.

    Parameters
    ----------
    file
        What to send.
    commit
        Sent as ``X-Repo-Commit``, from which clients learn what a branch name stands for.
    byte_range
        The ``Range`` header; whatever is not a single range of bytes is ignored, as RFC 9110 allows.
    torn
        Whether to act as if the file ended in its middle. The ``ETag`` stays that of the whole file, as it does when
        something between the hub and its reader cuts the answer short.

    Returns
    -------
    Answer
        Status 200, 206 with ``Content-Range``, or 416 when the range starts past the end.
    """
    size = file.size // 2 if torn else file.size
    etag = f'"{file.etag}"'
    headers = {"X-Repo-Commit": commit, "ETag": etag, "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-Size": str(size), "X-Linked-Etag": etag}
    headers["Content-Type"] = "application/json" if file.name.endswith(".json") else "application/octet-stream"
    bounds = _bounds(byte_range, size)
    if bounds is None:
        return Answer(HTTPStatus.OK, headers, size, file.content.read(0, size))
    start, stop = bounds
    if start >= stop:
        headers["Content-Range"] = f"bytes */{size}"
        return Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, 0, ())
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, stop - start, file.content.read(start, stop))


def repository_not_found(token: str | None) -> Answer:
    """Answer for a repository that is missing, or hidden from this token: the hub says the same for both."""
    status = HTTPStatus.UNAUTHORIZED if token is None else HTTPStatus.NOT_FOUND
    return _refusal(status, "RepoNotFound", "Repository not found")


def revision_not_found(revision: str) -> Answer:
    """Answer for a branch or commit that the repository does not have."""
    return _refusal(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {quote(revision)}")


def entry_not_found(commit: str) -> Answer:
    """Answer for a file that the revision does not have; clients remember the absence by the commit."""
    return _refusal(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})


def bad_request(message: str) -> Answer:
    """Answer for a request that cannot be understood."""
    return json_answer({"error": message}, HTTPStatus.BAD_REQUEST)


def no_such_route() -> Answer:
    """Answer for an address that this hub does not serve."""
    return json_answer({"error": "this development hub has no such route"}, HTTPStatus.NOT_FOUND)


def fault_answer(fault: Fault, occasion: Occasion) -> Answer | None:
    """Return the refusal that a fault makes of a request; None for a fault that only changes the answer."""
    match fault.kind:
        case Kind.GATED:
            status = HTTPStatus.UNAUTHORIZED if occasion.token is None else HTTPStatus.FORBIDDEN
            return _refusal(status, "GatedRepo", "Access to this model is restricted and must be granted first")
        case Kind.PRIVATE:
            return repository_not_found(occasion.token)
        case Kind.BAD_TOKEN:
            return _refusal(HTTPStatus.UNAUTHORIZED, None, "Invalid credentials in Authorization header")
        case Kind.REVISION_MISSING:
            return revision_not_found(occasion.revision or "")
        case Kind.DISABLED:
            return _refusal(HTTPStatus.FORBIDDEN, None, "Access to this resource is disabled.")
        case Kind.RATE_LIMITED:
            bucket = "resolvers" if occasion.action is Action.RESOLVE else "api"
            wait = math.ceil(fault.seconds)
            return _refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                None,
                "Too many requests",
                {"RateLimit": f'"{bucket}";r=0;t={wait}', "Retry-After": str(wait)},
            )
        case Kind.UNAVAILABLE:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, None, "The service is temporarily unavailable")
        case Kind.NO_CONFIG | Kind.TORN | Kind.GARBLED | Kind.SLOW:
            return None


def _refusal(status: HTTPStatus, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    codes = {} if code is None else {"X-Error-Code": code}
    return json_answer({"error": message}, status, {**codes, "X-Error-Message": message, **(headers or {})})


def _bounds(byte_range: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last of a ``Range`` header, or None to send everything."""
    match = _RANGE.fullmatch(byte_range or "")
    if match is None:
        return None
    first, last = match["first"], match["last"]
    if not first:
        return (max(0, size - int(last)), size) if last else None
    stop = min(int(last) + 1, size) if last else size
    return (int(first), stop) if not last or int(last) >= int(first) else None
