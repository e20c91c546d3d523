"""Findings for a person: drawn on a terminal, one line each everywhere else."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mistral_operator.api.plain_text import without_secrets
from mistral_operator.cli.doctor.finding import Check, Finding, Level
from mistral_operator.cli.terminal import visible

if TYPE_CHECKING:  # only a terminal needs it
    from rich.console import Console

_CHECK_WIDTH: Final = max(map(len, Check))
_LEVEL_WIDTH: Final = max(map(len, Level))
_STYLES: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def plain_lines(findings: Sequence[Finding]) -> list[str]:
    """Return one line for each finding, and one that sums up."""
    return [*(_line(one) for one in findings), summary(findings)]


def draw(findings: Sequence[Finding], console: "Console") -> None:
    """Print findings with colours, wrapped to the terminal, the next step on a line of its own."""
    from rich.table import Table  # noqa: PLC0415 - scripts need no drawing
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for one in findings:
        said = Text.assemble((visible(one.object), "bold"), f": {_what(one)}")
        grid.add_row(Text(one.level, style=_STYLES[one.level]), Text(one.check), said)
        if one.next_step:
            grid.add_row("", "", Text(f"→ {_sentence(one.next_step)}", style="cyan"))
    console.print(grid)
    console.print(f"\n{summary(findings)}", style="bold")


def summary(findings: Sequence[Finding]) -> str:
    """Say how many problems and warnings there are."""
    counts = Counter(one.level for one in findings)
    told = [
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}"
        for level in (Level.PROBLEM, Level.WARNING)
        if counts[level]
    ]
    return f"{' and '.join(told)}." if told else "Nothing is wrong."


def _line(one: Finding) -> str:
    step = f" Next: {_sentence(one.next_step)}" if one.next_step else ""
    return f"{one.level:<{_LEVEL_WIDTH}}  {one.check:<{_CHECK_WIDTH}}  {visible(one.object)}: {_what(one)}{step}"


def _what(one: Finding) -> str:
    reason = "" if one.level is Level.OK else f" ({visible(one.reason)})"
    return f"{_sentence(one.message).removesuffix('.')}{reason}."


def _sentence(text: str) -> str:
    """Return a text on one line, with one full stop."""
    return f"{visible(without_secrets(' '.join(text.split()))).rstrip('.')}."
