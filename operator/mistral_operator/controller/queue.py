"""The work queue: each key once, one worker per key, exponential backoff per key, and "not before".

The semantics are client-go's: a key that is added while it is being worked on is worked on once more afterwards.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from mistral_operator.controller.backoff import backoff_seconds
from mistral_operator.controller.keys import Key

_BACKOFF_FIRST_SECONDS: Final = 0.1
_BACKOFF_MOST_SECONDS: Final = 30.0
_SUPERSEDED: Final = 64  # wishes that no longer count and are kept until they would be due


class Cause(IntEnum):
    """Why a key is in the queue; the stronger cause wins."""

    WATCHED = 0  # something of it was seen to change, maybe by our own hand
    DUE = 1  # its time has come, or somebody wants it looked at whatever was seen


class WorkQueue:
    """Keys that wait to be reconciled.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._queued: dict[Key, Cause] = {}  # in order of arrival
        self._active: dict[Key, float] = {}  # key -> since when
        self._dirty: dict[Key, Cause] = {}  # added while active
        self._failures: dict[Key, int] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}  # what of _later still counts
        self._count = itertools.count()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queued) + len(self._dirty)

    def add(self, key: Key, cause: Cause) -> None:
        """Want a key to be worked on as soon as may be."""
        waiting = self._dirty if key in self._active else self._queued
        waiting[key] = max(cause, waiting.get(key, cause))
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Want a key to be worked on in a while; of several wishes for one key the last counts."""
        due = self._clock() + seconds
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._count), key))
        if len(self._later) > 2 * len(self._due) + _SUPERSEDED:
            self._later = [wish for wish in self._later if self._due.get(wish[2]) == wish[0]]
            heapq.heapify(self._later)
        self._wake.set()

    def retry(self, key: Key) -> float:
        """Want a failed key to be worked on again, each time later than the last; return in how many seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = backoff_seconds(_BACKOFF_FIRST_SECONDS, failures, _BACKOFF_MOST_SECONDS)
        self.add_after(key, seconds)
        return seconds

    def succeeded(self, key: Key) -> None:
        """Forget a key's failures."""
        self._failures.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forget everything about a key that is not wanted any more."""
        self._failures.pop(key, None)
        self._due.pop(key, None)

    async def take(self) -> tuple[Key, Cause]:
        """Wait for a key; it is this caller's alone until :meth:`done`."""
        while True:
            self._promote()
            if self._queued:
                key = next(iter(self._queued))
                cause = self._queued.pop(key)
                self._active[key] = self._clock()
                return key, cause
            await self._wait()

    def done(self, key: Key) -> None:
        """Give a key back."""
        self._active.pop(key, None)
        if key in self._dirty:
            self.add(key, self._dirty.pop(key))

    def longest_active_seconds(self) -> float:
        """Return how long the slowest worker has been on its key."""
        return max((self._clock() - since for since in self._active.values()), default=0.0)

    def _promote(self) -> None:
        """Move what is due from later to now."""
        now = self._clock()
        while self._later and (self._later[0][0] <= now or self._due.get(self._later[0][2]) != self._later[0][0]):
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key, Cause.DUE)

    async def _wait(self) -> None:
        self._wake.clear()
        seconds = self._later[0][0] - self._clock() if self._later else None
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
