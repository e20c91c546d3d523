"""Time that passes only while nothing happens: a wait of an hour is tested in milliseconds, and to the second."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")
_IDLE_SECONDS: Final = 0.005  # of real time: what is under way between sockets of this process arrives within


class _Selector(selectors.DefaultSelector):
    """Finds what has happened; where nothing has, lets the time pass for which the loop would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        happened = super().select(timeout if timeout is None or timeout <= 0 else _IDLE_SECONDS)
        if not happened and timeout is not None and timeout > 0:
            self.now += timeout
        return happened


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on its own clock."""

    def __init__(self) -> None:
        self._waiting = _Selector()
        super().__init__(self._waiting)

    def time(self) -> float:
        """Return the seconds that have passed since the loop began."""
        return self._waiting.now


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a test on a clock of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the time on that clock."""
    return asyncio.get_running_loop().time()
