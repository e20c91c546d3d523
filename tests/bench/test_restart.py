"""The memory of an operator that starts where there are objects."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import bench.restart
from bench.converge.errors import BenchmarkError
from bench.restart import Samples

ROOT = Path(__file__).parents[2]
_PEAK_AND_REST = """
import sys, time
end, taken = time.monotonic() + 0.5, bytearray(b"x" * (100 * 2**20))
while time.monotonic() < end or time.process_time() < 0.3:
    pass
del taken
sys.stdin.read()
"""
_NEVER_AT_REST = "while True: pass"


def _started(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen((sys.executable, "-c", code), stdin=subprocess.PIPE)  # noqa: S603


def test_the_peak_is_seen_and_the_rest_after_it() -> None:
    """Memory that is taken for half a second counts for the peak, and not for what is kept."""
    process = _started(_PEAK_AND_REST)
    try:
        samples = Samples(process.pid)
        rest_seconds = samples.until_at_rest()
        assert samples.peak_mib > 100
        assert samples.now_mib < 100
        assert rest_seconds > samples.peak_after_seconds > 0
        assert samples.cpu_seconds > 0.2
    finally:
        process.kill()
        process.communicate()


def test_a_process_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives no figures."""
    monkeypatch.setattr(bench.restart, "_AT_REST_SECONDS", 4.0)
    process = _started(_NEVER_AT_REST)
    try:
        with pytest.raises(BenchmarkError, match="has not come to rest within 4 s"):
            Samples(process.pid).until_at_rest()
    finally:
        process.kill()
        process.communicate()


def test_a_start_is_measured(tmp_path: Path) -> None:
    """Each build is started as often as asked for, its name stands whole in a table that is piped."""
    results = tmp_path / "restart.json"
    build = Path(sys.executable).with_name("mistral-operator")
    command = (sys.executable, "-m", "bench.restart", "-n", "3", "--turns", "2", "--against", str(build))
    done = subprocess.run(  # noqa: S603
        (*command, "--json", str(results)), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(results.read_text())
    assert written["command"].startswith("python -m bench.restart -n 3")
    runs = written["runs"]
    assert [run["operator"] for run in runs] == ["mistral-operator", str(build)] * 2
    for run in runs:
        assert run["objects"] == 3
        assert 20 < run["at_rest_mib"] <= run["peak_mib"] <= run["scraped_mib"]
        assert run["peak_after_seconds"] > 0
        assert run["cpu_seconds"] > 0
    (row,) = (line for line in done.stdout.splitlines() if str(build) in line)
    assert "MiB" in row
