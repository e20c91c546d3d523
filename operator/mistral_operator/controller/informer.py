"""The informer: one reflector for each collection that the operator reads, and whether all of them are up to date."""

import asyncio
import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from mistral_operator.api.names import MANAGED_SELECTOR
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS, NODES
from mistral_operator.controller.reflector import Collection, Handler, Reflector
from mistral_operator.controller.store import WATCHED


class Informer:
    """Lists and watches everything that the operator reads.

    Parameters
    ----------
    namespaces
        Which namespaces; empty means all of them.
    nodes
        Whether nodes may be read.
    relist_seconds
        How often each collection is listed again.
    """

    def __init__(
        self,
        cluster: Cluster,
        handler: Handler,
        *,
        namespaces: tuple[str, ...],
        nodes: bool,
        relist_seconds: float,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        reading = asyncio.Lock()

        def reflector(collection: Collection) -> Reflector:
            return Reflector(
                cluster, collection, handler, reading=reading, relist_seconds=relist_seconds, log=log, clock=clock
            )

        self._of_everybody = [
            reflector(Collection(resource, namespace, None if resource is MISTRAL_DEPLOYMENTS else MANAGED_SELECTOR))
            for resource in WATCHED
            for namespace in namespaces or (None,)
        ]
        self._nodes = [reflector(Collection(NODES))] if nodes else []

    async def run(self) -> None:
        """List and watch until cancelled; return when a kind is not served any more."""
        tasks = [asyncio.create_task(one.run(), name="reflector") for one in (*self._nodes, *self._of_everybody)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def until_synced(self) -> None:
        """Wait until everything has been listed once; nodes that turn out to be forbidden are not waited for."""
        for one in self._nodes:
            await one.tried.wait()
        for one in self._of_everybody:
            await one.listed.wait()

    def longest_silence_seconds(self) -> float:
        """Return for how long no word has come about the collection that was heard of least recently."""
        return self._clock() - min(one.active_at for one in (*self._nodes, *self._of_everybody))

    def excuse_silence(self) -> None:
        """Begin to count anew: the API server is away, and watches cannot receive anything."""
        for one in (*self._nodes, *self._of_everybody):
            one.active_at = self._clock()
