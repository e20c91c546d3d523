"""How long each stage takes: said while it runs, and once more at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """A stopwatch with a name for each stage.

    Parameters
    ----------
    say
        Shows a line to whoever waits.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._begun = time.monotonic()
        self._taken: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        self._say(f"{name} …")
        begun = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - begun)

    def add(self, name: str, seconds: float) -> None:
        """Note a stage that something else has timed."""
        self._taken[name] = self._taken.get(name, 0.0) + seconds

    def lines(self) -> list[str]:
        """Return what each took, and all of it; nothing where there was none."""
        if not self._taken:
            return []
        total = time.monotonic() - self._begun
        return [f"{seconds:7.1f} s  {name}" for name, seconds in (*self._taken.items(), ("in all", total))]
