"""A bounded number of slots for many owners, of which none gets more than its share: its own, and no one else's, wait.

Slots are never taken back, so that a share holds even while nobody else asks: whoever comes next finds a free one.
"""

import asyncio
from collections import Counter, deque


class FairSlots:
    """Slots of one event loop.

    Parameters
    ----------
    total
        How many there are.
    share
        How many of them one owner may hold.
    """

    def __init__(self, total: int, share: int) -> None:
        self._free = total
        self._share = share
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[bool]]] = {}
        self._grants = 0
        self._granted_at: dict[str, int] = {}  # by the number of grants, of those that hold or wait

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return sum(not request.done() for queue in self._waiting.values() for request in queue)

    def request(self, owner: str) -> "asyncio.Future[bool]":
        """Ask for a slot: True when it is there, False when it was withdrawn.

        Who gets one gives it back with :meth:`release`; who stops waiting says so with :meth:`give_up`.
        """
        request: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(request)
        self._hand_out()
        return request

    def withdraw(self, request: "asyncio.Future[bool]") -> None:
        """Let a request that still waits end without a slot."""
        if not request.done():
            request.set_result(False)

    def give_up(self, owner: str, request: "asyncio.Future[bool]") -> None:
        """Stop waiting, and give back what came meanwhile."""
        if request.done() and not request.cancelled() and request.result():
            self.release(owner)
        else:
            request.cancel()

    def release(self, owner: str) -> None:
        """Give a slot back."""
        self._free += 1
        self._held[owner] -= 1
        self._hand_out()
        if not self._held[owner]:
            del self._held[owner]
            if owner not in self._waiting:
                self._granted_at.pop(owner, None)

    def _hand_out(self) -> None:
        while self._free:
            for owner, queue in list(self._waiting.items()):
                while queue and queue[0].done():
                    queue.popleft()
                if not queue:
                    del self._waiting[owner]
            able = [owner for owner in self._waiting if self._held[owner] < self._share]
            if not able:
                return
            # who holds the fewest, and of those who has got none for the longest
            owner = min(able, key=lambda owner: (self._held[owner], self._granted_at.get(owner, 0)))
            self._grants += 1
            self._granted_at[owner] = self._grants
            self._free -= 1
            self._held[owner] += 1
            self._waiting[owner].popleft().set_result(True)
