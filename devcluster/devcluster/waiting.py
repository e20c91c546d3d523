"""Waiting for a condition, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(what: str, condition: Callable[[], T], *, seconds: float, every_seconds: float = 0.1) -> T:
    """Return the first truthy answer of a condition.

    Raises
    ------
    TimeoutError
        Naming what was waited for and the last answer.
    """
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}; the last answer was {answer!r}")
        time.sleep(every_seconds)
