"""The rows of a table of figures, and the goals that mistral-operator has set itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.converge.figures import Figures
from bench.converge.load import Load

_BURST: Final = 100
_LARGE_BURST: Final = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what it is called, where it is found, and what it should not exceed.

    Parameters
    ----------
    goal
        The most that a load should come to; None where there is no goal.
    """

    title: str
    unit: str
    value: Callable[[Figures], float | None]
    goal: Callable[[Load], float | None] = lambda _: None
    digits: int = 0

    def text(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{value:,.{self.digits}f} {self.unit}".rstrip()


def _in_burst(most: float) -> Callable[[Load], float | None]:
    return lambda load: None if load.one_at_a_time else most


def _of(goals: dict[int, float]) -> Callable[[Load], float | None]:
    return lambda load: None if load.one_at_a_time else goals.get(load.objects)


def _first_deployment(load: Load) -> float | None:
    return 100.0 if load.one_at_a_time else _of({_LARGE_BURST: 8_000.0})(load)


ROWS: Final = (
    Row("apply to Deployment, p50", "ms", lambda run: run.deployment.p50 * 1e3, _first_deployment),
    Row("apply to Deployment, p99", "ms", lambda run: run.deployment.p99 * 1e3),
    Row("apply to status, p50", "ms", lambda run: None if run.status is None else run.status.p50 * 1e3),
    Row("until every Deployment exists", "s", lambda run: run.deployments_seconds, digits=2),
    Row(
        "until every status stands too", "s", lambda run: run.converged_seconds,
        _of({_BURST: 1.5, _LARGE_BURST: 16}), digits=2,
    ),
    Row("requests per object", "", lambda run: run.requests_per_object, _in_burst(3.5), digits=2),
    Row("of them writes", "", lambda run: run.writes_per_object, _in_burst(3.2), digits=2),
    Row("requests per object until quiet", "", lambda run: run.requests_per_object_until_quiet, digits=2),
    Row("operator's CPU until converged", "s", lambda run: run.cpu_seconds, digits=2),
    Row(
        "operator's CPU per object, until quiet", "ms", lambda run: run.cpu_seconds_until_quiet * 1e3 / run.objects,
        _of({_LARGE_BURST: 6.5}), digits=2,
    ),
    Row("API server's CPU until converged", "s", lambda run: run.cpu_seconds_of_server, digits=2),
    Row("idle: requests", "", lambda run: None if run.idle is None else run.idle.requests),
    Row("idle: writes", "", lambda run: None if run.idle is None else run.idle.writes, _in_burst(0)),
    Row("idle: operator's CPU", "s", lambda run: None if run.idle is None else run.idle.cpu_seconds, digits=2),
    Row("resident memory at the end", "MiB", lambda run: run.resident_mib, _of({_LARGE_BURST: 150})),
)  # fmt: skip
"""In the order they are shown."""
