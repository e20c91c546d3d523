"""Time that passes only while nothing happens: a wait of an hour is tested in milliseconds, and to the second."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

_Result = TypeVar("_Result")
_Ts = TypeVarTuple("_Ts")
_LONG_SECONDS: Final = 5.0  # only time limits are that far away, and they must not pass while a busy machine is slow
_ARRIVES_SECONDS: Final = (0.01, 0.2)  # of real time, within which what is under way between sockets arrives


class _Selector(selectors.DefaultSelector):
    """Finds what has happened; where nothing has, lets the time pass for which the loop would have waited."""

    def __init__(self, *, talks: bool) -> None:
        super().__init__()
        self._talks = talks
        self.now = 0.0
        self.in_threads = 0  # what has been given to threads, and is not done

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        is_slow = timeout > _LONG_SECONDS or self.in_threads > 0
        happened = super().select(_ARRIVES_SECONDS[is_slow] if self._talks else 0)
        if not happened:
            self.now += timeout
        return happened


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on its own clock."""

    def __init__(self, *, talks: bool) -> None:
        self._waiting = _Selector(talks=talks)
        super().__init__(self._waiting)

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[_Ts]], _Result], *args: *_Ts
    ) -> "asyncio.Future[_Result]":
        """Run something in a thread, which needs real time as sockets do."""
        running = super().run_in_executor(executor, func, *args)
        self._waiting.in_threads += 1
        running.add_done_callback(self._leave)
        return running

    def _leave(self, _: "asyncio.Future[Any]") -> None:
        self._waiting.in_threads -= 1

    def time(self) -> float:
        """Return the seconds that have passed since the loop began."""
        return self._waiting.now


def run(main: Coroutine[Any, Any, _Result], *, talks: bool = False) -> _Result:
    """Run a test on a clock of its own; ``talks`` says that sockets or threads take part, which need real time."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(talks=talks)) as runner:
        return runner.run(main)


def now() -> float:
    """Return the time on that clock."""
    return asyncio.get_running_loop().time()
