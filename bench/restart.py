"""How much memory the operator takes when it starts where there is much: its peak, and what it keeps.

One operator on etcd and kube-apiserver alone makes the children of N objects and ends. Then each build to compare is
started on what is there, by turns, and its resident memory is read every 20 ms until it is at rest: every object has
been reconciled, and its CPU time stands still.
"""

import asyncio
import shlex
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import psutil
import typer
from rich.table import Table

from bench.console import console
from bench.converge.api import ApiServer
from bench.converge.creating import NAMESPACE, Creator
from bench.converge.errors import BenchmarkError
from bench.converge.operators import Operator as Measured
from bench.converge.own import TEMPLATE, WISHES
from bench.converge.results import write
from bench.converge.watching import watching
from devcluster.binaries import BinariesError
from devcluster.binaries.progress import Progress
from devcluster.controlplane import KINDS, ControlPlane
from devcluster.hub import HubServer
from devcluster.operator import COMMAND, Operator
from devcluster.processes import StartError

_RESULTS: Final = Path("bench/results/restart.json")
_MIB: Final = 2**20
_SAMPLE_SECONDS: Final = 0.02
_REST_SECONDS: Final = 3.0  # longer than a standby waits between two looks at the Lease
_REST_SHARE: Final = 0.03  # of a core: renewing the Lease takes some
_AT_REST_SECONDS: Final = 600.0
_CREATE_SECONDS: Final = 900.0
_GOALS_MIB: Final = {1000: 160.0, 2000: 200.0, 5000: 320.0}


@dataclass(frozen=True, slots=True)
class Start:
    """What one start has shown."""

    operator: str
    objects: int
    peak_mib: float
    peak_after_seconds: float
    at_rest_mib: float
    scraped_mib: float  # the peak once /metrics has been read, too
    rest_seconds: float
    cpu_seconds: float


class Samples:
    """The resident memory of one process, over time."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._begun = time.monotonic()
        self._peak_bytes = 0
        self.peak_after_seconds = 0.0

    def take(self) -> None:
        """Read the memory once."""
        resident_bytes = self._process.memory_info().rss
        if resident_bytes > self._peak_bytes:
            self._peak_bytes, self.peak_after_seconds = resident_bytes, time.monotonic() - self._begun

    def until_at_rest(self) -> float:
        """Sample until hardly any CPU time has been used for a while; return the seconds until that began.

        Raises
        ------
        BenchmarkError
            When the process does not come to rest.
        """
        since, used = time.monotonic(), self.cpu_seconds
        while (now := time.monotonic()) - self._begun < _AT_REST_SECONDS:
            self.take()
            if now - since >= _REST_SECONDS:
                if self.cpu_seconds - used <= _REST_SHARE * (now - since):
                    return since - self._begun
                since, used = now, self.cpu_seconds
            time.sleep(_SAMPLE_SECONDS)
        raise BenchmarkError(f"it has not come to rest within {_AT_REST_SECONDS:g} s")

    @property
    def peak_mib(self) -> float:
        """The most that was seen."""
        return self._peak_bytes / _MIB

    @property
    def now_mib(self) -> float:
        """What it is now."""
        return self._process.memory_info().rss / _MIB

    @property
    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        times = self._process.cpu_times()
        return times.user + times.system


async def _populate(plane: ControlPlane, operator: Operator, count: int) -> None:
    """Create objects and wait until each has its Deployment and its status."""
    template = Measured(label="mistral-operator", command=(str(COMMAND),), template=TEMPLATE).object()
    async with ApiServer.of(plane) as api:
        resource = await api.resource(template["apiVersion"], template["kind"], NAMESPACE)
        names = [f"object-{number:05d}" for number in range(count)]
        async with watching(api, resource, WISHES) as (sightings, check_watches):

            def check() -> None:
                operator.check()
                check_watches()

            sightings.expect(names)
            await Creator(api, resource, template, None).create_all(names)
            await sightings.converged(_CREATE_SECONDS, check)


def _start(operator: Operator, label: str, count: int) -> Start:
    """Start an operator on what is there, look on until it is at rest, and end it."""
    operator.start()
    try:
        samples = Samples(operator.pid)
        while True:
            rest_seconds = samples.until_at_rest()
            peak_mib, peak_after_seconds = samples.peak_mib, samples.peak_after_seconds
            at_rest_mib, cpu_seconds = samples.now_mib, samples.cpu_seconds
            reconciled = _reconciled(operator)
            samples.take()
            if reconciled >= count:
                break  # else it waits for somebody who is busy
        return Start(
            operator=label,
            objects=count,
            peak_mib=peak_mib,
            peak_after_seconds=peak_after_seconds,
            at_rest_mib=at_rest_mib,
            scraped_mib=samples.peak_mib,
            rest_seconds=rest_seconds,
            cpu_seconds=cpu_seconds,
        )
    except psutil.NoSuchProcess as error:
        raise BenchmarkError(f"{label} ended while it was measured") from error
    finally:
        operator.stop()


def _reconciled(operator: Operator) -> float:
    """Return how many objects have been reconciled."""
    with urllib.request.urlopen(f"{operator.url}/metrics", timeout=30) as answer:  # noqa: S310 - always http
        text = answer.read().decode()
    return next(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith('mistral_operator_reconciles_total{result="done"}')
    )


@contextmanager
def _plane() -> Iterator[ControlPlane]:
    with ControlPlane(Progress(), controllers=False) as plane:
        plane.add_nodes({f"{kind.name}-0": kind for kind in KINDS})
        plane.kubectl("create", "namespace", NAMESPACE)
        yield plane


def table_of(count: int, starts: list[Start]) -> Table:
    """Return the medians of each build's starts, in a table."""
    table = Table(title=f"started on {count:,} objects", title_justify="left", title_style="bold")
    for column in ("operator", "starts", "peak", "goal", "peak after", "at rest", "with a scrape", "CPU", "until rest"):
        table.add_column(column, justify="left" if column == "operator" else "right", no_wrap=True)
    goal = _GOALS_MIB.get(count)
    for label in dict.fromkeys(start.operator for start in starts):
        own = [start for start in starts if start.operator == label]

        def median(of: str, own: list[Start] = own) -> float:
            return float(statistics.median(getattr(start, of) for start in own))

        table.add_row(
            label,
            str(len(own)),
            f"{median('peak_mib'):.0f} MiB",
            "" if goal is None else f"≤ {goal:.0f} MiB",
            f"{median('peak_after_seconds'):.1f} s",
            f"{median('at_rest_mib'):.0f} MiB",
            f"{median('scraped_mib'):.0f} MiB",
            f"{median('cpu_seconds'):.1f} s",
            f"{median('rest_seconds'):.1f} s",
        )
    return table


def restart(
    *,
    objects: Annotated[
        list[int] | None, typer.Option("-n", min=1, help="Objects that are there; repeat it.", show_default="1000")
    ] = None,
    turns: Annotated[int, typer.Option(min=1, help="Starts of each build.")] = 3,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="The mistral-operator command of another build, to start by turns.", exists=True),
    ] = None,
    json: Annotated[Path, typer.Option(help="Where the figures are written.")] = _RESULTS,
) -> None:
    """Measure the memory of an operator that starts where there are many objects."""
    out, progress = console(), console(stderr=True)
    builds = {"mistral-operator": COMMAND, **{str(path): path for path in against or ()}}
    command = shlex.join(["python", "-m", "bench.restart", *sys.argv[1:]])
    done: list[Start] = []
    try:
        for count in objects or (1000,):
            with HubServer() as hub, _plane() as plane:
                progress.print(f"creating {count:,} objects")
                with Operator(plane, hub.url, name="creating") as operator:
                    asyncio.run(_populate(plane, operator, count))
                for turn in range(turns):
                    for number, (label, path) in enumerate(builds.items()):
                        progress.print(f"turn {turn + 1} of {turns}: {label}")
                        started = Operator(plane, hub.url, name=f"build-{number}", command=path)
                        done.append(_start(started, label, count))
            write(json, command, [asdict(start) for start in done])
            out.print(table_of(count, [start for start in done if start.objects == count]))
    except (BenchmarkError, BinariesError, StartError, TimeoutError) as error:
        progress.print(f"Error: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    out.print(f"Written to {json}.")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(restart)
    app()
