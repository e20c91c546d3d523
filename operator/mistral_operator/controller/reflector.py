"""A reflector: lists one collection page by page, then watches it from there, and so on until it is cancelled.

The protocol is that of client-go's Reflector (k8s.io/client-go/tools/cache/reflector.go): a watch that ends is resumed
at the last resourceVersion that was seen, history that has expired (410) means a new list, and what a new list does
not show any more is reported as deleted. A watch with bookmarks is never silent for long, so that one that is silent
is given up.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

from structlog.typing import FilteringBoundLogger

from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ClusterError, ExpiredError, ForbiddenError, NotFoundError, TooLongError
from mistral_operator.cluster.resources import Resource
from mistral_operator.controller.backoff import jittered_backoff_seconds
from mistral_operator.controller.keys import Key

PAGE: Final = 100
"""Objects of one page: the parsed page is the largest piece of memory that a list takes."""
PAGE_BYTES: Final = 8 * 2**20
"""Of one page; where objects are so large that it would be longer, there are fewer on one."""
_FIRST_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 4.0  # after an outage of any length, changes are seen this soon
_LONGEST_RETRY_AFTER_SECONDS: Final = 8.0
_LONGEST_WATCH_SECONDS: Final = 600.0
_SHORTEST_WATCH_SECONDS: Final = 1.0  # one that ends sooner without an event counts as failed


class Collection(NamedTuple):
    """What is watched; ``namespace`` None means all of them."""

    resource: Resource
    namespace: str | None = None
    labels: str | None = None

    def __str__(self) -> str:
        return self.resource.plural if self.namespace is None else f"{self.resource.plural} in {self.namespace}"


class Handler(Protocol):
    """Takes what a reflector reads, in order."""

    def listed(self, resource: Resource, bodies: list[Manifest]) -> None:
        """Take one page of a list."""

    def list_ended(self, resource: Resource, namespace: str | None, keys: set[Key]) -> None:
        """Take that a list is complete, and the keys of everything on it: whatever else was known is gone."""

    def seen(self, resource: Resource, body: Manifest, *, deleted: bool) -> None:
        """Take one event of a watch."""


class Reflector:
    """Keeps up with one collection.

    Parameters
    ----------
    reading
        Held while a page is read, so that of several reflectors one at a time has one in memory.
    relist_seconds
        How often the whole collection is listed, whatever the watch says.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        collection: Collection,
        handler: Handler,
        *,
        reading: asyncio.Lock,
        relist_seconds: float,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._collection = collection
        self._handler = handler
        self._reading = reading
        self._relist_seconds = relist_seconds
        self._log = log.bind(collection=str(collection))
        self._clock = clock
        self._version: str | None = None  # where to go on watching; None: list first
        self._list_due = 0.0
        self._failures = 0
        self._forbidden = False  # as of the last attempt, so that it is logged once
        self.tried = asyncio.Event()
        """Set once the first list is complete, or is known to be forbidden."""
        self.listed = asyncio.Event()
        """Set once the first list is complete."""
        self.active_at = clock()
        """When the last event or page arrived, or an attempt to get one began."""

    async def run(self) -> None:
        """List and watch until cancelled; return when the kind is not served any more."""
        while True:
            self.active_at = self._clock()
            try:
                if self._version is None or self._clock() >= self._list_due:
                    await self._list()
                else:
                    await self._watch(self._version)
            except NotFoundError:
                return
            except ExpiredError as error:
                self._log.debug("history has expired, so the collection is listed again", error=str(error))
                self._version = None
                await self._wait_after(error)
            except ClusterError as error:
                self._warn(error)
                await self._wait_after(error)

    async def _list(self) -> None:
        """List everything; what is known and not on the list is gone."""
        resource, namespace, labels = self._collection
        keys: set[Key] = set()
        version, proceed, limit = "", "", PAGE
        while True:
            async with self._reading:
                try:
                    page = await self._cluster.page(
                        resource,
                        namespace,
                        labels=labels,
                        limit=limit,
                        proceed=proceed,
                        longest_bytes=PAGE_BYTES if limit > 1 else None,
                    )
                except TooLongError:
                    limit = max(1, limit // 4)
                    continue
                self.active_at = self._clock()
                keys.update(map(Key.of, page.items))
                self._handler.listed(resource, page.items)
                version, proceed = page.version, page.proceed
                del page  # before the next one is read
            if not proceed:
                break
        self._handler.list_ended(resource, namespace, keys)
        self._version = version
        self._list_due = self._clock() + self._relist_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
        self.listed.set()
        self._succeeded()

    async def _watch(self, version: str) -> None:
        """Follow the collection until the API server ends the watch, or it is time to list again."""
        resource, namespace, labels = self._collection
        begun, events = self._clock(), 0
        seconds = min(_LONGEST_WATCH_SECONDS, max(1.0, self._list_due - begun))
        watch = self._cluster.watch(resource, namespace, labels=labels, version=version, seconds=seconds)
        async with aclosing(watch) as arriving:
            async for event in arriving:
                self.active_at = self._clock()
                events += 1
                if event.type != "BOOKMARK":
                    self._handler.seen(resource, event.body, deleted=event.type == "DELETED")
                self._version = str(event.body["metadata"]["resourceVersion"])
                self._succeeded()
        if not events and self._clock() - begun < min(_SHORTEST_WATCH_SECONDS, seconds / 2):
            self._failures += 1  # something between us and the API server cannot stream
            await asyncio.sleep(self._backoff_seconds())

    def _succeeded(self) -> None:
        if self._failures or self._forbidden:
            self._log.info("may be listed and watched again" if self._forbidden else "listed and watched again")
        self._failures, self._forbidden = 0, False
        self.tried.set()

    def _warn(self, error: ClusterError) -> None:
        """Log the first of several failures; those of the same outage that follow are no news."""
        if isinstance(error, ForbiddenError):
            self.tried.set()
            if not self._forbidden:
                self._log.warning(
                    "may not be listed and watched any more, so what was seen last counts; "
                    "grant the operator's ServiceAccount the rules that `mistral-operator rbac` prints",
                    error=str(error),
                )
            self._forbidden = True
        elif not self._failures:
            self._log.warning("failed to list or watch, retrying every few seconds", error=str(error))
        else:
            self._log.debug("failed to list or watch", error=str(error), failures=self._failures)

    async def _wait_after(self, error: ClusterError) -> None:
        seconds = self._backoff_seconds()
        if error.retry_after_seconds is not None:
            seconds = max(seconds, min(error.retry_after_seconds, _LONGEST_RETRY_AFTER_SECONDS))
        self._failures += 1
        await asyncio.sleep(seconds)

    def _backoff_seconds(self) -> float:
        return jittered_backoff_seconds(_FIRST_RETRY_SECONDS, self._failures, _LONGEST_RETRY_SECONDS)
