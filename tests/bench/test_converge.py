"""The benchmark from end to end, against an operator that has nothing to do with models."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def _operator_file(folder: Path, **changes: Any) -> Path:
    path = folder / "greeter.yaml"
    fields = {
        "label": "greeter",
        "command": [sys.executable, str(HERE / "greeter.py")],
        "environment": {"GREETER_PHASE": "Greeted"},
        "manifests": [str(HERE / "greetings.yaml")],
        "template": str(HERE / "greeting.yaml"),
        "status": ["status.phase=Greeted"],
        "status_patch": {"allowed": True},
    }
    path.write_text(yaml.safe_dump(fields | changes))
    return path


def _converge(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-m", "bench.converge", "--no-own", *arguments)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603


def test_any_operator_is_measured(tmp_path: Path) -> None:
    """Every object counts, each of the operator's requests counts once, and what it does when idle is seen."""
    results = tmp_path / "results.json"
    done = _converge(
        str(_operator_file(tmp_path)), "-n", "5", "--one-at-a-time", "3", "--idle", "8", "--json", str(results)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one_at_a_time, burst = json.loads(results.read_text())["runs"]

    for run in (one_at_a_time, burst):
        assert run["operator"] == "greeter"
        assert run["requests_by_kind"]["create deployments"] == run["objects"]
        assert run["requests_by_kind"]["patch greetings/status"] == run["objects"]
        assert 0 < run["deployment"]["p50"] <= run["deployment"]["p99"] <= run["deployment"]["most"]
        assert run["deployment"]["most"] <= run["converged_seconds"]
        assert run["requests_by_verb_of_server"]["post"] == run["requests_by_verb"]["create"] == run["objects"]
        assert run["requests_by_verb_of_server"]["patch"] == run["requests_by_verb"]["patch"] == run["objects"]
        assert run["cpu_seconds_of_server"] > 0
        assert run["resident_mib"] > 10
    assert (one_at_a_time["objects"], one_at_a_time["one_at_a_time"], one_at_a_time["idle"]) == (3, True, None)
    assert burst["requests_per_object"] >= 2
    assert burst["writes_per_object"] == 2
    assert burst["requests_per_object_until_quiet"] >= 2
    assert set(burst["idle"]["by_kind"]) == {"list greetings"}
    assert 1 <= burst["idle"]["requests"] <= 3
    assert burst["idle"]["writes"] == 0
    assert "5 objects at once" in done.stdout


def test_an_operator_that_ends_is_told(tmp_path: Path) -> None:
    """An operator that ends gives no figures, but the end of its log."""
    file = _operator_file(tmp_path, command=[sys.executable, "-c", "raise SystemExit('no greetings today')"])
    done = _converge(str(file), "-n", "1", "--one-at-a-time", "0", "--json", str(tmp_path / "results.json"))
    assert done.returncode == 1
    assert "greeter ended with code 1 while it was measured" in done.stderr
    assert "no greetings today" in done.stderr
    assert "Traceback" not in done.stderr
