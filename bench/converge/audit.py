"""The API server's audit log: who asked for what, exactly."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.converge.tally import Call, Tally


class AuditLog:
    """One user's requests in a log that grows.

    The API server writes a line before it answers, so that what has been answered has been counted.
    """

    def __init__(self, path: Path, user: str) -> None:
        self._path = path
        self._user = user
        self._read_bytes = 0

    def take(self) -> Tally:
        """Count what has come since the last time."""
        if not self._path.exists():
            return Tally()
        with self._path.open("rb") as log:
            log.seek(self._read_bytes)
            content = log.read()
        whole = content.rfind(b"\n") + 1  # the last line may still be being written
        self._read_bytes += whole
        return tally_of(content[:whole].splitlines(), self._user)


def tally_of(lines: Iterable[bytes | str], user: str) -> Tally:
    """Count a user's requests in lines of an audit log; each counts once, when it is answered."""
    counts: Counter[Call] = Counter()
    for line in lines:
        event = json.loads(line)
        if event["stage"] == "ResponseComplete" and event["user"]["username"] == user:
            target = event.get("objectRef") or {}
            resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
            counts[Call(event["verb"], resource or event["requestURI"].partition("?")[0])] += 1
    return Tally.of(counts)
