"""What an operator leaves behind: its log, its metrics, and what the API server's audit log says that it did."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from devcluster.controlplane import ControlPlane
from devcluster.operator import Operator


def log_lines(operator: Operator) -> list[dict[str, Any]]:
    """Return what an operator has logged; every line must be a JSON object."""
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric."""

    name: str
    labels: dict[str, str]
    value: float


def metrics_text(operator: Operator) -> str:
    """Return an operator's metrics as Prometheus reads them."""
    with urllib.request.urlopen(f"{operator.url}/metrics", timeout=10) as answer:  # noqa: S310 - always http
        return str(answer.read().decode())


def samples(operator: Operator, metric: str, /, **labels: str) -> list[Sample]:
    """Return the samples of a metric that carry at least the given labels."""
    families = text_string_to_metric_families(metrics_text(operator))
    found = [sample for family in families for sample in family.samples]
    return [
        Sample(sample.name, dict(sample.labels), sample.value)
        for sample in found
        if sample.name == metric and labels.items() <= sample.labels.items()
    ]


def total(operator: Operator, metric: str, /, **labels: str) -> float:
    """Return the sum over the samples of a metric that carry at least the given labels."""
    return sum(sample.value for sample in samples(operator, metric, **labels))


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API server, as its audit log tells of it."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    status: int
    at: datetime  # when the API server received it
    credential: str  # which token it came with; every start of an operator has its own

    @property
    def writes(self) -> bool:
        """Whether it was meant to change something."""
        return self.verb not in ("get", "list", "watch")


class Audit:
    """Reads the audit log from where it ends now, or from where :meth:`forget` was called."""

    def __init__(self, plane: ControlPlane) -> None:
        self._path = plane.audit_log
        self._offset = 0
        self.forget()

    def forget(self) -> None:
        """Read only what is written from now on."""
        self._offset = self._path.stat().st_size

    def requests(self) -> list[Request]:
        """Return the finished requests of the audited users, without those for the leader's Lease."""
        return [request for request in self._read() if request.resource != "leases"]

    def everything(self) -> list[Request]:
        """Return the finished requests of the audited users, the oldest first."""
        return sorted(self._read(), key=lambda request: request.at)

    def _read(self) -> Iterator[Request]:
        with self._path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    return  # being written
                event = json.loads(line)
                if event["stage"] != "ResponseComplete":
                    continue
                what = event.get("objectRef") or {}
                yield Request(
                    verb=event["verb"],
                    group=what.get("apiGroup", ""),
                    resource=what.get("resource", event["requestURI"]),
                    subresource=what.get("subresource", ""),
                    namespace=what.get("namespace", ""),
                    name=what.get("name", ""),
                    status=event["responseStatus"]["code"],
                    at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
                    credential=event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0],
                )
