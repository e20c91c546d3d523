"""Figures as a table: one column for each operator, and how the first compares with the others."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from bench.converge.figures import Figures
from bench.converge.load import Load
from bench.converge.rows import ROWS, Row


def table_of(load: Load, runs: Sequence[Figures], *, goals: bool) -> Table:
    """Return a table of runs under one load.

    Parameters
    ----------
    goals
        Whether the first run is mistral-operator's, which has goals to reach.
    """
    first, *others = runs
    table = Table(title=str(load), title_justify="left", title_style="bold")
    table.add_column("")
    if goals:
        table.add_column("goal", justify="right")
    for run in runs:
        table.add_column(run.operator, justify="right")
    for other in others:
        table.add_column(f"÷ {other.operator}", justify="right")
    for row in ROWS:
        if any(row.value(run) is not None for run in runs):
            table.add_row(*_cells(row, load, first, others, goals=goals))
    return table


def _cells(row: Row, load: Load, first: Figures, others: Sequence[Figures], *, goals: bool) -> list[Text]:
    goal = row.goal(load) if goals else None
    cells = [Text(row.title)]
    if goals:
        cells.append(Text("" if goal is None else f"≤ {row.text(goal)}"))
    cells.append(_value(row, row.value(first), goal))
    cells += [_value(row, row.value(other), None) for other in others]
    cells += [_ratio(row.value(first), row.value(other)) for other in others]
    return cells


def _value(row: Row, value: float | None, goal: float | None) -> Text:
    if value is None:
        return Text("–")
    style = "" if goal is None else "green" if value <= goal else "bold red"
    return Text(row.text(value), style=style)


def _ratio(own: float | None, other: float | None) -> Text:
    return Text("" if own is None or not other else f"{own / other:.2f}")
