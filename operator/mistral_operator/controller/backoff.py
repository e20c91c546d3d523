"""How long to wait after a failure: twice as long as after the one before, up to a limit."""

import random
from typing import Final

_DOUBLINGS: Final = 32  # more than it takes to any limit; a float ends at 1024


def backoff_seconds(first: float, failures: int, most: float) -> float:
    """Return the wait after a failure that ``failures`` others came before, without success in between."""
    return min(first * 2.0 ** min(failures, _DOUBLINGS), most)


def jittered_backoff_seconds(first: float, failures: int, most: float) -> float:
    """Return the same, but for up to a half that is left out at random: those that failed together retry apart."""
    return backoff_seconds(first, failures, most) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
