"""``python -m bench.faults``: runs all points, prints a table, and fails where an end state differs."""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop
from rich.console import Console
from rich.table import Table

from bench.faults.errors import HarnessError
from bench.faults.lab import Lab
from bench.faults.planted_bugs import PLANTED, PlantedBug
from bench.faults.points import Pattern
from bench.faults.run import Plan, Row, run
from bench.faults.scenarios import SCENARIOS
from devcluster.binaries import KUBERNETES_VERSION
from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane

_RESULTS: Final = Path("bench/results/faults.json")
_AT_ONCE: Final = 12
_T = TypeVar("_T")


def main() -> None:
    """Run, print, write; the exit status is 1 where anything differs."""
    arguments = _parser().parse_args()
    wanted = tuple(scenario for scenario in SCENARIOS if arguments.scenario in (None, scenario.name))
    plan = Plan(
        scenarios=wanted,
        replicas=(arguments.replicas,) if arguments.replicas else (1, 2),
        patterns=(Pattern(arguments.pattern),) if arguments.pattern else tuple(Pattern),
        at_once=arguments.at_once,
        stride=arguments.stride,
        only=arguments.only,
        logs=arguments.logs,
    )
    begun = time.monotonic()
    try:
        if arguments.planted is not None:
            bugs = [bug for bug in PLANTED.values() if arguments.planted in bug.name]
            found = uvloop.run(_on_a_lab(lambda lab: _run_planted(lab, plan, bugs)))
            sys.exit(_report_planted(found, time.monotonic() - begun))
        rows = uvloop.run(_on_a_lab(lambda lab: run(lab, plan, _say)))
    except* HarnessError as errors:
        raise SystemExit("\n".join(f"Error: {error}" for error in errors.exceptions)) from None
    seconds = time.monotonic() - begun
    _console().print(table_of(rows, seconds))
    path = arguments.json or (_RESULTS if _is_whole(plan) else None)
    if path is not None:
        write(path, rows, seconds)
    if any(row.findings for row in rows):
        sys.exit(1)


def _is_whole(plan: Plan) -> bool:
    return plan == replace(Plan(SCENARIOS), at_once=plan.at_once, logs=plan.logs)


async def _on_a_lab(do: Callable[[Lab], Awaitable[_T]]) -> _T:
    with ControlPlane(Progress()) as plane:
        async with Lab.on(plane) as lab:
            return await do(lab)


async def _run_planted(lab: Lab, plan: Plan, bugs: Sequence[PlantedBug]) -> dict[str, Row]:
    """Run the points of one pattern of one scenario for each planted bug."""
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    found = {}
    for bug in bugs:
        narrow = replace(
            plan, scenarios=[scenarios[bug.scenario]], replicas=(1,), patterns=(bug.pattern,), planted=bug.name
        )
        _say(f"planted: {bug.name}")
        (found[bug.name],) = await run(lab, narrow, _say)
    return found


def _report_planted(found: Mapping[str, Row], seconds: float) -> int:
    """Print what was found; return the exit status, which is 1 where a bug was not."""
    table = Table(title=f"planted bugs, {seconds:.0f} s", title_justify="left")
    for name in ("planted bug", "pattern", "scenario"):
        table.add_column(name)
    for name in ("points", "differences"):
        table.add_column(name, justify="right")
    for name, row in found.items():
        pattern = PLANTED[name].pattern
        table.add_row(name, str(pattern), row.scenario, str(row.points[pattern]), str(len(row.findings)))
    _console().print(table)
    return 0 if all(row.findings for row in found.values()) else 1


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140)


def table_of(rows: list[Row], seconds: float) -> Table:
    """Return points and differences of each scenario, and their sums."""
    table = Table(title=f"{seconds:.0f} s", title_justify="left")
    table.add_column("scenario")
    for name in ("replicas", *Pattern, "points", "not reached", "differences"):
        table.add_column(str(name), justify="right")
    for row in rows:
        counts = [row.points[pattern] for pattern in Pattern]
        table.add_row(row.scenario, *map(str, (row.replicas, *counts, sum(counts), row.not_reached, len(row.findings))))
    table.add_section()
    sums = [sum(row.points[pattern] for row in rows) for pattern in Pattern]
    last = (sum(row.not_reached for row in rows), sum(len(row.findings) for row in rows))
    table.add_row("all", "", *map(str, (*sums, sum(sums), *last)))
    return table


def write(path: Path, rows: list[Row], seconds: float) -> None:
    """Write the figures, with the command that made them and the machine they were made on."""
    result: dict[str, Any] = {
        "command": shlex.join(("python", "-m", "bench.faults", *sys.argv[1:])),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "kubernetes": KUBERNETES_VERSION,
        },
        "seconds": round(seconds),
        "points": sum(row.points.total() for row in rows),
        "differences": sum(len(row.findings) for row in rows),
        "scenarios": [
            {
                "scenario": row.scenario,
                "replicas": row.replicas,
                "points": {str(pattern): row.points[pattern] for pattern in Pattern},
                "not_reached": row.not_reached,
                "differences": {str(found.point or "undisturbed"): list(found.differences) for found in row.findings},
            }
            for row in rows
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__.partition(": ")[2])
    parser.add_argument("--scenario", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--replicas", type=int, choices=(1, 2))
    parser.add_argument("--pattern", choices=[str(pattern) for pattern in Pattern])
    parser.add_argument("--only", default="", help="points whose name has this in it, as it is printed")
    parser.add_argument("--stride", type=int, default=1, help="only every so many points, for a quick look")
    parser.add_argument("--logs", type=Path, help="a folder for the logs of operators of points that differ")
    parser.add_argument("--planted", nargs="?", const="", metavar="NAME", help="whether planted bugs are found")
    parser.add_argument("--at-once", type=int, default=_AT_ONCE, help="how many trials run side by side")
    parser.add_argument("--json", type=Path, help=f"where the figures are written; those of a whole run: {_RESULTS}")
    return parser
