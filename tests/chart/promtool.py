"""Prometheus itself judges what is written for it: its parser, and its evaluation of rules over made-up series."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from devcluster.binaries import BINARIES, ensure
from devcluster.binaries.progress import Progress

Rule = Mapping[str, Any]


class PromtoolError(Exception):
    """Prometheus refuses, or finds something else than expected; ``str()`` is what it says."""


def check_rules(folder: Path, rules: Sequence[Rule]) -> None:
    """Let Prometheus read rules.

    Raises
    ------
    PromtoolError
        When it cannot.
    """
    _run("check", "rules", _written(folder / "rules.json", {"groups": [{"name": "rules", "rules": rules}]}))


def evaluate(
    folder: Path, rules: Sequence[Rule], series: Mapping[str, str], expected: Sequence[Mapping[str, Any]]
) -> None:
    """Evaluate alerts over series with a sample each minute, in Prometheus' notation for them.

    Parameters
    ----------
    expected
        Each ``alert_rule_test`` of ``promtool test rules``.

    Raises
    ------
    PromtoolError
        When other alerts fire than expected.
    """
    rules_file = _written(folder / "rules.json", {"groups": [{"name": "rules", "rules": rules}]})
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": expected,
    }
    tests = {"rule_files": [rules_file.name], "evaluation_interval": "1m", "tests": [test]}
    _run("test", "rules", _written(folder / "tests.json", tests))


def _written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _run(*arguments: str | Path) -> None:
    command = [_promtool(), *map(str, arguments)]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=120)  # noqa: S603
    if done.returncode != 0:
        raise PromtoolError(f"{done.stdout}{done.stderr}".strip())


@cache
def _promtool() -> str:
    return str(ensure([BINARIES["promtool"]], progress=Progress())["promtool"])
