"""The benchmark beside hostile objects: what they say is as long as may be, and figures are what they are called."""

import ssl
import urllib.request
from pathlib import Path

import pytest

from bench.hostile.__main__ import table
from bench.hostile.kubelet import Kubelet
from bench.hostile.measure import p99
from bench.hostile.neighbours import hostile_log, hostile_statuses, kinds


@pytest.mark.parametrize(("seconds", "found"), [([1.0], 1.0), ([*map(float, range(100, 0, -1))], 100.0)])
def test_p99(seconds: list[float], found: float) -> None:
    """Of a hundred it is the largest."""
    assert p99(seconds) == found


def test_words_are_as_long_as_they_may_be() -> None:
    """A termination message has 4,096 bytes at most, a log is read to 128 KiB, and each turn differs from the last."""
    messages = [
        one["containerStatuses"][0]["lastState"]["terminated"].get("message", "")
        for one in hostile_statuses(1)
        if "containerStatuses" in one
    ]
    assert {len(message.encode()) for message in messages if message} <= {*range(4090, 4097)}
    assert messages.count("") == len(messages) // 2
    assert abs(len(hostile_log().encode()) - 128 * 1024) < 16
    assert hostile_statuses(1) != hostile_statuses(2)


def test_neighbours() -> None:
    """As many as are asked for of each kind; the hostile ones have names and questions of their own."""
    found = kinds(60)
    assert [len(kin.neighbours) for kin in found.values()] == [0, 60, 60]
    hostile = found["hostile"].neighbours
    assert len({one.name for one in hostile}) == 60
    assert len({str(one.model) for one in hostile}) == 3 * 10 + 3
    assert all("🚀" in one.env[0]["value"] for one in hostile)


def test_a_kubelet_that_serves_a_log(tmp_path: Path) -> None:
    """Over TLS, as the API server asks."""
    with Kubelet(tmp_path, "the log") as kubelet:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"https://{kubelet.address}:{kubelet.port}/containerLogs/ns/pod/vllm"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            assert answer.read() == b"the log"
        assert kubelet.asked == 1


def test_the_table() -> None:
    """Each line has the ratio to what it is beside nobody."""
    one = {"p50_seconds": 0.1, "p99_seconds": 0.2, "cores": 0.5, "resident_mib": 90.0}
    two = one | {"p50_seconds": 0.15, "p99_seconds": 0.5}
    lines = table({"good": 10, "beside": 20, "logs_read": 3, "nobody": one, "well": one, "hostile": two})
    assert "150 ms (1.50)" in lines[3]
    assert "500 ms (2.50)" in lines[3]
