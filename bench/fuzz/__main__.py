"""Drawn inputs of every kind against the operator and its command: how many end in a traceback, or in nothing at all.

``make fuzz``. Specs, pods and the hub's answers go through an operator on a real API server; model folders through the
command's own code; logs and reports through the functions that read them. The same seed draws the same inputs.
"""

import argparse
import asyncio
import json
import random
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from bench.converge.errors import BenchmarkError
from bench.fuzz.hub_answers import hostile_hub
from bench.fuzz.live import Log, Operating, Tally, Watched, has_condition, in_parallel, watched
from bench.fuzz.runs import fuzz_folders, fuzz_hub, fuzz_pods, fuzz_reading, fuzz_specs
from bench.fuzz.values import Values
from devcluster.binaries.progress import Progress
from devcluster.controlplane import H200, ControlPlane
from devcluster.hub import HubServer
from devcluster.operator import Operator

_RESULTS: Final = Path("bench/results/fuzz.json")
_NAMESPACE: Final = "fuzz"
_KINDS: Final = {"specs": 5_000, "folders": 10_000, "pods": 2_000, "logs": 2_000, "hub": 2_000}
_HEALTH_SECONDS: Final = 0.5
_MORE_BYTES: Final = 40 << 20  # over quiet
_HUB: Final = ("--hub-timeout=1", "--hub-slow-retry=300")
Run = Callable[..., Awaitable[Tally]]


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of input came to."""

    kind: str
    tally: Tally
    seconds: float
    watched: Watched | None = None

    def bad(self) -> int:
        """Return how many inputs did what none may."""
        tally = self.tally
        return len(tally.faults) + len(tally.without_condition) + len(tally.above_bounds) + len(self.stalls())

    def stalls(self) -> list[str]:
        """Say what the operator's process did that it may not."""
        if self.watched is None:
            return []
        found, more = [], self.watched.peak_bytes - self.watched.quiet_bytes
        if self.watched.slowest_health_seconds > _HEALTH_SECONDS or self.watched.unhealthy:
            found.append(
                f"/healthz took {self.watched.slowest_health_seconds:.2f} s, failed {self.watched.unhealthy} times"
            )
        if more > _MORE_BYTES:
            found.append(f"memory rose by {more >> 20} MiB over quiet")
        return found

    def line(self) -> str:
        """Return the row of the table."""
        tally = self.tally
        memory = health = "-"
        if self.watched is not None:
            memory = f"+{(self.watched.peak_bytes - self.watched.quiet_bytes) >> 20} MiB"
            health = f"{self.watched.slowest_health_seconds * 1000:.0f} ms"
        return (
            f"{self.kind:8} {tally.tried:7,} {tally.refused:8,} {len(tally.faults):10} "
            f"{len(tally.without_condition):12} {len(tally.above_bounds):7} "
            f"{memory:>9} {health:>9} {self.seconds:7.0f} s"
        )


_HEAD: Final = (
    f"{'input':8} {'tried':>7} {'refused':>8} {'tracebacks':>10} {'no condition':>12} {'beyond':>7} "
    f"{'memory':>9} {'/healthz':>9} {'time':>9}"
)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


@contextmanager
def _session(plane: ControlPlane) -> Iterator[Callable[[], aiohttp.ClientSession]]:
    token = yaml.safe_load(plane.admin_kubeconfig.read_text())["users"][0]["user"]["token"]
    trust = ssl.create_default_context(cafile=str(plane.ca_file))
    yield lambda: aiohttp.ClientSession(
        plane.server,
        headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(ssl=trust, limit=0),
        timeout=aiohttp.ClientTimeout(total=60),
    )


def _on_operator(plane: ControlPlane, hub_url: str, kind: str, run: Run) -> Row:
    """Start an operator, let it become quiet, and send it one kind of input."""
    with Operator(plane, hub_url, arguments=_HUB, name=f"operator-{kind}") as operator, _session(plane) as connect:
        operator.wait_ready()

        async def measure() -> Row:
            async with connect() as session:
                operating, log, begun = Operating(session, _NAMESPACE), Log(operator.log_path), time.monotonic()
                await _warm_up(operating)
                async with watched(operator.pid, operator.url) as seen:
                    tally = await run(operating, log)
                return Row(kind, tally, time.monotonic() - begun, seen)

        row = asyncio.run(measure())
        operator.check()
        return row


async def _warm_up(operating: Operating) -> None:
    """Let everything be imported and every pool be filled before memory is called quiet."""
    names = [f"warm-{number}" for number in range(100)]

    async def create(name: str) -> None:
        await operating.create(name, {"model": {"id": "mistralai/Mistral-7B-v0.1"}})

    await in_parallel(names, create)
    await operating.missing(names, has_condition, 60)
    await operating.delete_all()


def _rows(kinds: dict[str, int], seed: int) -> Iterator[Row]:
    for kind, read in (("folders", fuzz_folders), ("logs", fuzz_reading)):
        if count := kinds.get(kind):
            yield _in_this_process(kind, partial(read, _values(seed, kind), count, _say))
    if not kinds.keys() & {"specs", "pods", "hub"}:
        return
    with ControlPlane(Progress(), controllers=False) as plane, HubServer() as hub, hostile_hub(seed) as hostile:
        plane.add_node("h200-0", H200)
        plane.kubectl("create", "namespace", _NAMESPACE)
        plane.kubectl("create", "serviceaccount", "default", "-n", _NAMESPACE)
        runs: tuple[tuple[str, str, Run], ...] = (
            ("specs", hub.url, partial(fuzz_specs, values=_values(seed, "specs"))),
            ("pods", hub.url, partial(fuzz_pods, values=_values(seed, "pods"))),
            ("hub", hostile, fuzz_hub),
        )
        for kind, url, run in runs:
            if count := kinds.get(kind):
                yield _on_operator(plane, url, kind, partial(run, count=count, say=_say))


def _values(seed: int, kind: str) -> Values:
    """Return what draws a kind of input: the same whichever other kinds are drawn."""
    return Values(random.Random(f"{seed} {kind}"))  # noqa: S311 - repeatable, not secret


def _in_this_process(kind: str, run: Callable[[], Tally]) -> Row:
    begun = time.monotonic()
    tally = run()
    return Row(kind, tally, time.monotonic() - begun)


def main() -> None:
    """Draw, send, count and print; exit with 1 where anything did what it may not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", choices=[*_KINDS, []], help="which inputs; all without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual numbers: " + str(_KINDS))
    parser.add_argument("--json", type=Path, default=_RESULTS, help="where the figures are written")
    arguments = parser.parse_args()
    kinds = {kind: max(1, int(_KINDS[kind] * arguments.share)) for kind in arguments.kinds or _KINDS}
    rows: list[Row] = []
    try:
        for row in _rows(kinds, arguments.seed):
            rows.append(row)
            for trouble in (
                *row.tally.faults[:5],
                *row.tally.without_condition[:5],
                *row.tally.above_bounds[:5],
                *row.stalls(),
            ):
                _say(f"  {row.kind}: {trouble[-1_500:]}")
    except BenchmarkError as error:
        raise SystemExit(f"Error: {error}") from error
    _print(_HEAD)
    for row in rows:
        _print(row.line())
    figures: dict[str, Any] = {
        "command": f"python -m bench.fuzz --seed {arguments.seed} --share {arguments.share:g}",
        "inputs": {row.kind: _figures(row) for row in rows},
    }
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(row.bad() for row in rows))


def _figures(row: Row) -> dict[str, Any]:
    tally = row.tally
    counted = {
        "tried": tally.tried,
        "refused": tally.refused,
        "tracebacks": len(tally.faults),
        "without_condition": len(tally.without_condition),
        "beyond_bounds": len(tally.above_bounds),
        "seconds": round(row.seconds, 1),
    }
    return counted if row.watched is None else counted | asdict(row.watched)


if __name__ == "__main__":
    main()
