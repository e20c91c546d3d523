"""Figures out of what a run has shown."""

import io

import pytest
from rich.console import Console

from bench.console import console
from bench.converge.figures import Figures, figures_of, percentile
from bench.converge.load import Load
from bench.converge.measure import Seen, Window
from bench.converge.processes import Usage
from bench.converge.table import table_of
from bench.converge.tally import Call, Tally

CREATE, GET, STATUS = Call("create", "deployments"), Call("get", "greetings"), Call("patch", "greetings/status")


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([5.0], 0.99, 5.0),
        ([2.0, 1.0], 0.5, 1.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 0.75, 3.0),
        ([float(number) for number in range(1, 101)], 0.5, 50.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 1001)], 0.99, 990.0),
        ([1.0, 2.0], 0.0, 1.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_percentile(values: list[float], share: float, expected: float) -> None:
    """Percentiles are values that were measured, by nearest rank."""
    assert percentile(values, share) == expected


def test_nothing_has_no_percentile() -> None:
    """No figure is made up."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def _seen(*, statuses: bool = True, settled: bool = True, idle: bool = True) -> Seen:
    begun = {"a": 10.0, "b": 10.5}
    return Seen(
        begun=begun,
        created_seconds=0.75,
        deployments={"a": 12.0, "b": 11.0},
        statuses={"a": 12.5, "b": 14.0} if statuses else {},
        converging=Window(4.0, Tally.of({CREATE: 2, GET: 4, STATUS: 2}), Tally(), 0.5, 1.5),
        settling=Window(7.0, Tally.of({CREATE: 2, GET: 6, STATUS: 2}), Tally.of({CREATE: 2}), 0.5, 1.5),
        settled=settled,
        idle=Window(60.0, Tally.of({GET: 3, STATUS: 1}), Tally.of({GET: 5}), 0.25, 0.5) if idle else None,
        end=Usage(9.0, 64 * 2**20),
    )


def test_figures() -> None:
    """Latencies are per object, times are from the first creation, and requests are shared out."""
    figures = figures_of("greeter", Load(2), _seen())
    assert (figures.deployment.p50, figures.deployment.p99, figures.deployment.most) == (0.5, 2.0, 2.0)
    assert figures.status is not None
    assert (figures.status.p50, figures.status.most) == (2.5, 3.5)
    assert (figures.deployments_seconds, figures.converged_seconds) == (2.0, 4.0)
    assert (figures.requests_per_object, figures.writes_per_object) == (4.0, 2.0)
    assert figures.requests_per_object_until_quiet == 5.0
    assert figures.requests_by_kind == {"get greetings": 6, "create deployments": 2, "patch greetings/status": 2}
    assert figures.requests_by_verb_of_server == {"create": 2}
    assert (figures.cpu_seconds, figures.cpu_seconds_of_server) == (0.5, 1.5)
    assert figures.cpu_seconds_until_quiet == 0.5
    assert figures.resident_mib == 64.0
    assert figures.idle is not None
    assert (figures.idle.requests, figures.idle.writes, figures.idle.by_verb_of_server) == (4, 1, {"get": 5})


def test_without_a_status_the_deployments_count() -> None:
    """An operator that writes no status has converged with its last Deployment."""
    figures = figures_of("greeter", Load(2), _seen(statuses=False))
    assert figures.status is None
    assert figures.converged_seconds == figures.deployments_seconds == 2.0


def test_what_never_rests_has_no_requests_until_quiet() -> None:
    """A number that would depend on how long one looks on is left out."""
    assert figures_of("greeter", Load(2), _seen(settled=False)).requests_per_object_until_quiet is None


def _shown(load: Load, *runs: Figures, goals: bool) -> str:
    console = Console(width=120, file=io.StringIO(), color_system="truecolor", force_terminal=True)
    with console.capture() as capture:
        console.print(table_of(load, runs, goals=goals))
    return capture.get()


def _row(shown: str, title: str) -> str:
    return next(line for line in shown.splitlines() if title in line)


def test_table_holds_a_run_against_the_goals() -> None:
    """What is within a goal is green, what is beyond it red."""
    shown = _shown(Load(100), figures_of("own", Load(100), _seen()), goals=True)
    assert "≤ 1.50 s" in _row(shown, "every status")
    assert "\x1b[1;31m  4.00 s" in _row(shown, "every status")
    assert "\x1b[32m    0.08" in _row(shown, "requests per object  ")
    assert "≤" not in _row(shown, "p99")
    assert "5.00 ms" in _row(shown, "CPU per object")


def test_names_are_whole_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A table that is piped is as wide as what it holds."""
    label = "an-operator-of-somebody-else-with-a-long-name"
    runs = [figures_of(name, Load(2), _seen()) for name in ("own", label, f"{label}-2")]
    console().print(table_of(Load(2), runs, goals=True))
    shown = capsys.readouterr().out
    assert f" {label} " in shown
    assert f"÷ {label}-2 " in shown
    assert "operator's CPU per object, until quiet" in shown


def test_table_compares_operators() -> None:
    """With several operators each has a column, and the first is divided by each other."""
    first, second = figures_of("own", Load(2), _seen()), figures_of("other", Load(2), _seen(statuses=False, idle=False))
    shown = _shown(Load(2), first, second, goals=False)
    assert "÷ other" in shown
    assert "goal" not in shown
    assert [cell.strip() for cell in _row(shown, "every status").split("│")[2:5]] == ["4.00 s", "2.00 s", "2.00"]
    assert [cell.strip() for cell in _row(shown, "to status").split("│")[2:5]] == ["2,500 ms", "–", ""]


def test_table_leaves_out_what_nobody_has() -> None:
    """A run without a window of idleness has no rows about it."""
    assert "idle" not in _shown(Load(2), figures_of("own", Load(2), _seen(idle=False)), goals=False)
