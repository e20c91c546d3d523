"""The work queue: each key once, one worker per key, exponential backoff per key, and "not before".

The semantics are client-go's: a key that is added while it is being worked on is worked on once more afterwards.

Namespaces are served in turn, and none may hold all the workers: one whose keys take long (a hub that trickles, pods
that do not answer) leaves some to the others. A worker cannot be taken back, so the share is kept free before anybody
asks for it: a namespace gets another worker only while it holds less than ``_SHARE`` times as many as are free. One
namespace alone gets three quarters of the workers, two get three sevenths each, and so on: with n of them at their
limit, 1 in 3n + 1 is still free for the next one to come (the dynamic thresholds of Choudhury and Hahne, "Dynamic
queue length thresholds for shared-memory packet switches", 1998).
"""

import asyncio
import heapq
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final

from mistral_operator.controller.backoff import backoff_seconds
from mistral_operator.controller.keys import Key

_BACKOFF_FIRST_SECONDS: Final = 0.1
_BACKOFF_MOST_SECONDS: Final = 30.0
_SUPERSEDED: Final = 64  # wishes that no longer count and are kept until they would be due
_SHARE: Final = 3  # how many workers a namespace may hold for each that is free


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
    workers
        How many take keys, which namespaces share; None for no limit.
    """

    def __init__(self, clock: Callable[[], float], workers: int | None = None) -> None:
        self._clock = clock
        self._workers = workers
        # by namespace, the one that is served next first; keys of one in order of arrival. OrderedDict, because finding
        # the first key of a dict whose first keys were removed takes as long as there were keys
        self._queued: OrderedDict[str, OrderedDict[Key, Cause]] = OrderedDict()
        self._waiting = 0  # keys in _queued
        self._active: dict[Key, float] = {}  # key -> since when
        self._held: Counter[str] = Counter()  # namespace -> active keys
        self._dirty: dict[Key, Cause] = {}  # added while active
        self._failures: dict[Key, int] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}  # what of _later still counts
        self._count = itertools.count()
        self._takers: deque[asyncio.Future[None]] = deque()  # workers that wait for a key
        self._timer: asyncio.TimerHandle | None = None  # for the first of _later

    def __len__(self) -> int:
        return self._waiting + len(self._dirty)

    def add(self, key: Key, cause: Cause) -> None:
        """Want a key to be worked on as soon as may be."""
        if key in self._active:
            self._dirty[key] = max(cause, self._dirty.get(key, cause))
            return
        waiting = self._queued.setdefault(key.namespace, OrderedDict())
        self._waiting += key not in waiting
        waiting[key] = max(cause, waiting.get(key, cause))
        self._wake_one()

    def add_after(self, key: Key, seconds: float) -> None:
        """Want a key to be worked on in a while; of several wishes for one key the last counts."""
        due = self._clock() + seconds
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._count), key))
        if len(self._later) > 2 * len(self._due) + _SUPERSEDED:
            self._later = [wish for wish in self._later if self._due.get(wish[2]) == wish[0]]
            heapq.heapify(self._later)
        if self._timer is None or self._later[0][0] == due:
            self._set_timer()

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
        while (namespace := self._next_namespace()) is None:
            await self._wait()
        taken = self._take_first(namespace)
        self._wake_one()  # whoever waits may have been told of the key that has just been taken
        return taken

    def done(self, key: Key) -> None:
        """Give a key back."""
        if self._active.pop(key, None) is None:
            return
        self._held[key.namespace] -= 1
        if not self._held[key.namespace]:
            del self._held[key.namespace]
        if key in self._dirty:
            self.add(key, self._dirty.pop(key))
        self._wake_one()  # a namespace that was at its limit may go on

    def longest_active_seconds(self) -> float:
        """Return how long the slowest worker has been on its key."""
        return max((self._clock() - since for since in self._active.values()), default=0.0)

    def _next_namespace(self) -> str | None:
        """Return the namespace whose turn it is, of those that may have another worker.

        Those that may not are stepped over: they hold a worker each, so that there are no more of them than workers.
        """
        return next((namespace for namespace in self._queued if self._may_have_more(namespace)), None)

    def _may_have_more(self, namespace: str) -> bool:
        if self._workers is None:
            return True
        return self._held[namespace] < max(1, _SHARE * (self._workers - len(self._active)))

    def _take_first(self, namespace: str) -> tuple[Key, Cause]:
        """Take a namespace's first key; its next one waits for the turn of all others."""
        waiting = self._queued[namespace]
        key, cause = waiting.popitem(last=False)
        self._waiting -= 1
        if waiting:
            self._queued.move_to_end(namespace)
        else:
            del self._queued[namespace]
        self._active[key] = self._clock()
        self._held[namespace] += 1
        return key, cause

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._later:
            seconds = max(0.0, self._later[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._promote)

    def _promote(self) -> None:
        """Move what is due from later to now."""
        now = self._clock()
        while self._later and (self._later[0][0] <= now or self._due.get(self._later[0][2]) != self._later[0][0]):
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key, Cause.DUE)
        self._set_timer()

    async def _wait(self) -> None:
        """Wait until there may be a key for this caller."""
        waker = asyncio.get_running_loop().create_future()
        self._takers.append(waker)
        try:
            await waker
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._takers.remove(waker)
            self._wake_one()  # the key that it may have been woken for is another's
            raise

    def _wake_one(self) -> None:
        """Wake one of those who wait, if there is a key for it."""
        while self._takers and self._next_namespace() is not None:
            waker = self._takers.popleft()
            if not waker.done():  # as that of a worker that is being cancelled is
                waker.set_result(None)
                return
