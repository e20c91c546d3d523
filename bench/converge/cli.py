"""The command line of the benchmark."""

import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.console import console
from bench.converge.errors import BenchmarkError
from bench.converge.figures import Figures
from bench.converge.load import Load
from bench.converge.operators import Operator
from bench.converge.own import own_operator
from bench.converge.results import write
from bench.converge.run import Patience, run
from bench.converge.table import table_of
from devcluster.binaries import BinariesError
from devcluster.controlplane import StartError

_RESULTS: Final = Path("bench/results/converge.json")


def converge(
    *,
    operator_files: Annotated[
        list[Path] | None, typer.Argument(metavar="[OPERATOR-FILE]...", help="Other operators to measure as well.")
    ] = None,
    own: Annotated[bool, typer.Option("--own/--no-own", help="Whether mistral-operator is measured first.")] = True,
    objects: Annotated[
        list[int] | None,
        typer.Option("-n", min=1, help="Objects created at once; repeat it.", show_default="100"),
    ] = None,
    one_at_a_time: Annotated[int, typer.Option(min=0, help="Objects created one after the other.")] = 20,
    idle: Annotated[float, typer.Option(min=0, help="Seconds to look on once all have converged.")] = 60,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for all to converge.")] = 600,
    json: Annotated[Path, typer.Option(help="Where the figures are written.")] = _RESULTS,
) -> None:
    """Measure how fast operators turn objects into Deployments, and how quiet they are afterwards."""
    if not own and not operator_files:
        raise typer.BadParameter("there is nothing to measure: name an operator file, or leave --no-own out")
    out, progress = console(), console(stderr=True)
    loads = [Load(one_at_a_time, one_at_a_time=True)] if one_at_a_time else []
    loads += [Load(count) for count in objects or (100,)]
    command = shlex.join(["python", "-m", "bench.converge", *sys.argv[1:]])
    done: list[Figures] = []
    try:
        with ExitStack() as stack:
            operators = [stack.enter_context(own_operator())] if own else []
            operators += [Operator.load(path) for path in operator_files or ()]
            for load in loads:
                runs = [run(operator, load, Patience(idle, timeout), progress.print) for operator in operators]
                done += runs
                write(json, command, [asdict(run) for run in done])
                out.print(table_of(load, runs, goals=own))
    except (BenchmarkError, BinariesError, StartError) as error:
        _fail(progress, str(error))
    except subprocess.CalledProcessError as error:
        _fail(progress, "\n".join((f"{shlex.join(map(str, error.cmd))} fails", *getattr(error, "__notes__", ()))))
    out.print(f"Written to {json}.")


def _fail(progress: Console, message: str) -> None:
    progress.print(f"Error: {message}", style="red", markup=False)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leaves what it started in order
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(converge)
    app()
