"""Requests, out of an audit log and out of the API server's metrics."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.converge import server_metrics
from bench.converge.audit import AuditLog
from bench.converge.tally import Call, Tally

USER = "system:serviceaccount:apps:greeter"


def _line(verb: str, resource: str | None, **changes: Any) -> str:
    plural, _, subresource = (resource or "").partition("/")
    target = {"resource": plural, "namespace": "bench", "apiVersion": "v1"} | (
        {"subresource": subresource} if subresource else {}
    )
    event = {
        "stage": "ResponseComplete",
        "requestURI": "/apis/example.com/v1?timeout=5s",
        "verb": verb,
        "requestReceivedTimestamp": "2026-11-24T21:30:46.123456Z",
        "user": {"username": USER, "groups": ["system:authenticated"]},
        "responseStatus": {"code": 200},
    }
    return json.dumps(event | ({"objectRef": target} if resource else {}) | changes)


def test_audit_log_counts_one_user(tmp_path: Path) -> None:
    """Each request of the user counts once, a refused one too; watches, Leases, Events and others' do not."""
    lines = [
        _line("create", "deployments"),
        _line("create", "deployments"),
        _line("create", "deployments", responseStatus={"code": 409}),
        _line("patch", "greetings/status"),
        _line("get", "greetings"),
        _line("get", None),
        _line("watch", "greetings"),
        _line("watch", "greetings", stage="ResponseStarted"),
        _line("list", "greetings", stage="ResponseStarted"),
        _line("update", "leases"),
        _line("create", "events"),
        _line("delete", "deployments", user={"username": "admin"}),
    ]
    tally = _written(tmp_path, *lines).between(0, math.inf)
    assert tally.by_kind() == {
        "create deployments": 3,
        "get /apis/example.com/v1": 1,
        "get greetings": 1,
        "patch greetings/status": 1,
    }
    assert tally.by_verb() == {"create": 3, "get": 2, "patch": 1}
    assert (tally.total, tally.writes) == (6, 4)


def test_audit_log_counts_by_the_time_of_receipt(tmp_path: Path) -> None:
    """A request belongs to the window in which it was received, whenever it was answered."""
    moments = ("2026-11-24T21:30:45.999999Z", "2026-11-24T21:30:46.000000Z", "2026-11-24T21:30:46.500000Z")
    log = _written(tmp_path, *(_line("get", "greetings", requestReceivedTimestamp=moment) for moment in moments))
    begin = datetime(2026, 11, 24, 21, 30, 46, tzinfo=UTC).timestamp()
    assert log.between(begin - 1, begin).total == 1
    assert log.between(begin, begin + 0.5).total == 1
    assert log.between(begin, begin + 1).total == 2


def test_audit_log_is_read_while_it_is_written(tmp_path: Path) -> None:
    """What has come since the last look is added, and a line that is still being written waits for its end."""
    path = tmp_path / "audit.log"
    log = AuditLog(path, USER)
    assert log.between(0, math.inf).total == 0
    second = _line("get", "greetings")
    path.write_text(f"{_line('create', 'deployments')}\n{second[:40]}")
    assert log.between(0, math.inf).by_kind() == {"create deployments": 1}
    with path.open("a") as more:
        more.write(f"{second[40:]}\n")
    assert log.between(0, math.inf).by_kind() == {"create deployments": 1, "get greetings": 1}


def _written(folder: Path, *lines: str) -> AuditLog:
    path = folder / "audit.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    return AuditLog(path, USER)


METRICS = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="201",dry_run="",group="apps",resource="deployments",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="409",dry_run="",group="apps",resource="deployments",scope="resource",subresource="",verb="POST",version="v1"} 1
apiserver_request_total{code="200",dry_run="",group="a",resource="greetings",scope="resource",subresource="status",verb="APPLY",version="v1"} 2
apiserver_request_total{code="0",dry_run="",group="a",resource="greetings",scope="cluster",subresource="",verb="WATCH",version="v1"} 5
apiserver_request_total{code="201",dry_run="",group="",resource="ipaddresses",scope="resource",subresource="",verb="POST",version="v1"} 7
apiserver_request_total{code="200",dry_run="",group="",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 7
apiserver_request_total{code="200",dry_run="",group="",resource="",scope="",subresource="/readyz",verb="GET",version=""} 9
apiserver_request_terminations_total{code="200",component="apiserver",resource="pods",verb="GET"} 4
"""  # noqa: E501 - lines as they are


def test_metrics_count_everybody() -> None:
    """The API server's metrics are counted like the audit log: by verb and resource, whatever was answered."""
    tally = server_metrics.tally_of(METRICS)
    assert tally.by_kind() == {"post deployments": 4, "apply greetings/status": 2}
    assert (tally.total, tally.writes) == (6, 6)


def test_tallies_subtract() -> None:
    """What the benchmark itself asked for is taken away, and leaves nothing below zero."""
    post, get = Call("post", "deployments"), Call("get", "deployments")
    assert (Tally.of({post: 3, get: 1}) - Tally.of({post: 2, get: 2})).by_kind() == {"post deployments": 1}
