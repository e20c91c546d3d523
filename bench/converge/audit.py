"""The API server's audit log: who asked for what, exactly."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bench.converge.tally import Call, Tally


class Request(NamedTuple):
    """One answered request."""

    received: float  # seconds since the epoch
    call: Call


class AuditLog:
    """One user's requests in a log that grows.

    A line is written when a request is answered, and tells when it was received.
    """

    def __init__(self, path: Path, user: str) -> None:
        self._path = path
        self._user = user
        self._read_bytes = 0
        self._requests: list[Request] = []

    def between(self, begin: float, end: float) -> Tally:
        """Count what was received between two moments, in seconds since the epoch, as far as it has been answered."""
        self._read_on()
        return Tally.of(Counter(request.call for request in self._requests if begin <= request.received < end))

    def _read_on(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._read_bytes)
            content = log.read()
        whole = content.rfind(b"\n") + 1  # the last line may still be being written
        self._read_bytes += whole
        self._requests += requests_of(content[:whole].splitlines(), self._user)


def requests_of(lines: Iterable[bytes | str], user: str) -> Iterator[Request]:
    """Yield a user's requests in lines of an audit log, each once."""
    for line in lines:
        event = json.loads(line)
        if event["stage"] == "ResponseComplete" and event["user"]["username"] == user:
            target = event.get("objectRef") or {}
            resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
            call = Call(event["verb"], resource or event["requestURI"].partition("?")[0])
            yield Request(datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(), call)
