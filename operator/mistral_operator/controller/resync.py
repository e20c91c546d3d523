"""Lists everything anew from time to time: finds what the watches missed, and what vanished without a word.

After "410 Gone" kopf lists anew and tells nobody what is gone, and a frozen watch tells nothing at all. The lists are
paged, and only what is news becomes work.
"""

import asyncio
import random
from typing import Final

from structlog.typing import FilteringBoundLogger

from mistral_operator.api.names import MANAGED_SELECTOR
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ClusterError, ForbiddenError
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS, NODES, Resource
from mistral_operator.controller.backoff import backoff_seconds
from mistral_operator.controller.keys import Key
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.store import WATCHED, Store
from mistral_operator.controller.watches import Watches, owner_key
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import gpus_of_node

_FIRST_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 30.0
_UNTOLD_SECONDS: Final = 60.0  # after a round, within which watches tell of what it listed


class Resync:
    """The first lists, and every later round."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        nodes: Nodes,
        watches: Watches,
        queue: WorkQueue,
        namespaces: tuple[str, ...],
        period_seconds: float,
        listed: asyncio.Event,
        log: FilteringBoundLogger,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._nodes = nodes
        self._watches = watches
        self._queue = queue
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._period_seconds = period_seconds
        self._log = log
        self._listed = listed
        self._nodes_forbidden = False  # as of the last round, so that it is said once

    async def run(self) -> None:
        """List at once, then every period, for ever; an API server that is away is waited for."""
        failures = 0
        while True:
            try:
                await self._round()
                self._listed.set()
                period_seconds = self._period_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, hides nothing
                await asyncio.sleep(min(period_seconds, _UNTOLD_SECONDS))
                await self._drop_untold()
                await asyncio.sleep(max(0, period_seconds - _UNTOLD_SECONDS))
            except ClusterError as error:
                again_seconds = backoff_seconds(_FIRST_RETRY_SECONDS, failures, _LONGEST_RETRY_SECONDS)
                self._log.warning("could not list everything", error=str(error), again_seconds=again_seconds)
                await asyncio.sleep(again_seconds)
                failures += 1
                continue
            failures = 0

    async def _round(self) -> None:
        if self._nodes.readable:
            await self._list_nodes_if_allowed()
        for resource in WATCHED:
            await self._list(resource)

    async def _list_nodes_if_allowed(self) -> None:
        """List the nodes; a right that was taken away leaves what is known of them, and the rest of the round."""
        try:
            await self._list_nodes()
        except ForbiddenError as error:
            if not self._nodes_forbidden:
                self._log.warning(
                    "nodes may not be listed any more, so plans rest on the GPUs seen last; "
                    "grant the operator's ServiceAccount list and watch on nodes",
                    error=str(error),
                )
            self._nodes_forbidden = True
        else:
            if self._nodes_forbidden:
                self._log.info("nodes may be listed again")
            self._nodes_forbidden = False

    async def _list_nodes(self) -> None:
        self._nodes.list_begins()
        gpus: dict[str, frozenset[GpuClass]] = {}  # and not the nodes: a large cluster's fill the memory
        async for page in self._cluster.pages(NODES):
            gpus |= {str(node["metadata"]["name"]): gpus_of_node(node) for node in page}
        if self._nodes.listed(gpus):
            self._watches.everything_is_due()

    async def _list(self, resource: Resource) -> None:
        labels = None if resource is MISTRAL_DEPLOYMENTS else MANAGED_SELECTOR
        known = set(self._store.keys(resource))
        for namespace in self._namespaces:
            async for page in self._cluster.pages(resource, namespace, labels=labels):
                for body in page:
                    known.discard(Key.of(body))
                    if self._store.listed(resource, body):
                        self._want(owner_key(resource, body), Cause.WATCHED)
        for key in known:
            await self._drop_if_gone(resource, key)

    async def _drop_untold(self) -> None:
        """Drop what was gone before its watch began: no watch ever tells of it, which must not pass for deafness."""
        for resource in WATCHED:
            for key in self._store.untold(resource):
                await self._drop_if_gone(resource, key)

    async def _drop_if_gone(self, resource: Resource, key: Key) -> None:
        """Look at an object itself: what came by a watch after its page was listed is no ghost."""
        ghost = self._store.get(resource, key)
        if ghost is not None and await self._cluster.get(resource, key.namespace, key.name) is None:
            self._store.vanished(resource, key)
            self._want(owner_key(resource, ghost), Cause.DUE)

    def _want(self, key: Key | None, cause: Cause) -> None:
        if key is not None:
            self._queue.add(key, cause)
