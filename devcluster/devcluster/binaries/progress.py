"""What a person sees while binaries are built: a live line on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from devcluster.binaries.catalogue import Binary


class Building:
    """The builds that are under way."""

    def __init__(self, console: Console, bar: Bar | None, task: TaskID | None, count: int) -> None:
        self._console = console
        self._bar = bar
        self._task = task
        self._count = count
        self._begun = 0

    def begin(self, binary: Binary) -> None:
        """Tell that a build begins."""
        self._begun += 1
        text = f"building {binary.name} {binary.family.version} ({self._begun} of {self._count})"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text)
        else:
            self._console.print(text)


class Progress:
    """Tells a person on a console."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Say one thing."""
        self._console.print(text)

    @contextmanager
    def building(self, binaries: Sequence[Binary]) -> Iterator[Building]:
        """Show builds while they run."""
        minutes = sum(binary.minutes for binary in binaries)
        self.say(f"Building Kubernetes' own binaries, once: about {max(1, round(minutes))} min on two cores.")
        if not self._console.is_terminal:
            yield Building(self._console, None, None, len(binaries))
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Bar(*columns, console=self._console, transient=True) as bar:
            yield Building(self._console, bar, bar.add_task("…", total=None), len(binaries))
