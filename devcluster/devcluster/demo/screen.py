"""What a person sees: a spinner for the step that is under way, and a line for each that is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn


class Step:
    """A step that is under way."""

    def __init__(self, bar: Bar | None, text: str) -> None:
        self.text = text
        self._bar = bar

    def say(self, text: str) -> None:
        """Say what it is at; the last word stands in the line that remains."""
        self.text = text
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=text)


class Screen:
    """Standard output: a terminal, or a file."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be looking."""
        return self.console.is_terminal

    @property
    def width(self) -> int | None:
        """Characters of a line; None where lines may be of any length."""
        return self.console.width if self.is_terminal else None

    def say(self, text: str = "", style: str = "") -> None:
        """Say one thing."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def show(self, output: str) -> None:
        """Show what a program printed, as it is."""
        self.console.print(output, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Show a step while it runs, and how long it took."""
        begun = time.monotonic()
        if self.is_terminal:
            columns = (TimeElapsedColumn(), SpinnerColumn(), TextColumn("{task.description}", markup=False))
            with Bar(*columns, console=self.console, transient=True) as bar:
                bar.add_task(text, total=None)
                step = Step(bar, text)
                yield step
        else:
            step = Step(None, text)
            yield step
        seconds = f"{time.monotonic() - begun:5.1f} s"
        self.console.print(f"{seconds}  {step.text}", markup=False, highlight=False, soft_wrap=True)
