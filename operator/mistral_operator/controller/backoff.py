"""How long to wait after a failure: twice as long as after the one before, up to a limit."""

from typing import Final

_DOUBLINGS: Final = 32  # more than it takes to any limit; a float ends at 1024


def backoff_seconds(first: float, failures: int, most: float) -> float:
    """Return the wait after a failure that ``failures`` others came before, without success in between."""
    return min(first * 2.0 ** min(failures, _DOUBLINGS), most)
