"""The process: puts the parts together, starts them in an order that is safe, and stops them in one that is kind."""

import asyncio
import signal
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from structlog.typing import FilteringBoundLogger

from mistral_operator.cluster.access import may, serves
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.connection import Connection
from mistral_operator.cluster.errors import ClusterError
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS, NODES
from mistral_operator.controller.crash_logs import CrashLogs
from mistral_operator.controller.health import Health, serve
from mistral_operator.controller.informer import Informer
from mistral_operator.controller.lease import Elector
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.models import Models
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.reconcile import Reconciler
from mistral_operator.controller.settings import Settings
from mistral_operator.controller.store import Store
from mistral_operator.controller.tokens import API_KEY, Tokens
from mistral_operator.controller.verification import Verification
from mistral_operator.controller.watches import Watches
from mistral_operator.controller.workers import work
from mistral_vllm.profiles import load_profiles

_ASK_AGAIN_SECONDS: Final = 2.0
_AWAY: Final = (0, 502, 503, 504)  # no answer, or one of somebody who stands before the API server
_FIRST: Final = asyncio.FIRST_COMPLETED
_T = TypeVar("_T")


async def run(settings: Settings, client: Connection, log: FilteringBoundLogger) -> None:
    """Run one operator until SIGTERM or SIGINT.

    Raises
    ------
    NoPortError
        When it cannot listen where it is asked for its health.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    shared = _Shared(settings, client, log)
    health = Health(
        settings,
        shared.queue,
        leading=lambda: shared.elector.leading,
        ready=shared.listed.is_set,
        silence_seconds=shared.silence_seconds,
    )
    runner = await serve(health, shared.metrics, settings.http_host, settings.http_port)
    try:
        nodes = await _unless(stop, _prepare(shared.cluster, log))
        while nodes is not None:
            await _operate(shared, nodes, stop)
            nodes = await _unless(stop, _prepare(shared.cluster, log))
    finally:
        await runner.cleanup()


class _Shared:
    """What every part of one operator has in common."""

    def __init__(self, settings: Settings, client: Connection, log: FilteringBoundLogger) -> None:
        self.settings = settings
        self.client = client
        self.log = log
        self.metrics = Metrics()
        self.store = Store()
        self.cluster = Cluster(client, on_answer=self._answered)
        self.queue = WorkQueue(time.monotonic, settings.workers)
        self.elector = Elector(self.cluster, settings.lease, settings.identity, time.monotonic, log)
        # what the leader does goes through a client of its own, which looks at the lease before each write
        self.leaders_cluster = Cluster(client, on_answer=self._answered, may_write=lambda: self.elector.leading)
        self.threads = ThreadPoolExecutor(2, thread_name_prefix="pods")
        self.listed = asyncio.Event()  # the first lists are done
        self.informer: Informer | None = None  # while anything is watched

    def _answered(self, method: str, status: int) -> None:
        self.metrics.count_request(method, status)
        if status in _AWAY and self.informer is not None:
            self.informer.excuse_silence()

    def silence_seconds(self) -> float:
        """Return for how long a watch has received nothing although the API server answers."""
        return 0.0 if self.informer is None else self.informer.longest_silence_seconds()


async def _operate(shared: _Shared, nodes: Nodes, stop: asyncio.Event) -> None:
    """Watch and, while leading, work; end when told to stop, or when a kind that is watched is not served any more."""
    watches = Watches(shared.store, nodes, shared.queue)
    informer = Informer(
        shared.cluster,
        watches,
        namespaces=shared.settings.namespaces,
        nodes=nodes.readable,
        relist_seconds=shared.settings.resync_seconds,
        log=shared.log,
    )
    shared.informer = informer
    tokens = Tokens(shared.cluster, time.monotonic, shared.settings.hub.token_seconds)
    endpoint = shared.settings.defaults.hf_endpoint
    with closing(Models(tokens, shared.settings.hub, endpoint, time.monotonic, shared.metrics, shared.log)) as models:
        verification = _verification(shared)
        logs = CrashLogs(
            shared.leaders_cluster, lambda key: shared.queue.add(key, Cause.DUE), time.monotonic, shared.log
        )
        reconciler = _reconciler(shared, nodes, models, verification, logs)
        leading = asyncio.create_task(
            shared.elector.run(lambda: _lead(shared, watches, reconciler, verification, logs)), name="lead"
        )
        watching = asyncio.create_task(informer.run(), name="watch")
        syncing = asyncio.create_task(_sync(shared, informer), name="sync")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({stopping, watching, leading}, return_when=_FIRST)
        finally:
            # the workers first, so that the lease is free when the next leader looks; then what feeds them
            await _cancel(leading)
            await _cancel(watching, syncing, stopping)
            shared.listed.clear()
            shared.informer = None
    for part in (leading, watching):
        if not part.cancelled() and (error := part.exception()) is not None:
            raise error
    if not stop.is_set():
        shared.log.warning("a kind that is watched is not served any more, so everything is listed again once it is")
        await _unless(stop, asyncio.sleep(_ASK_AGAIN_SECONDS))


async def _sync(shared: _Shared, informer: Informer) -> None:
    await informer.until_synced()
    shared.listed.set()


def _verification(shared: _Shared) -> Verification:
    keys = Tokens(shared.cluster, time.monotonic, shared.settings.hub.token_seconds, use=API_KEY)
    return Verification(
        cluster=shared.leaders_cluster,
        keys=keys,
        store=shared.store,
        settings=shared.settings.verification,
        want=lambda key: shared.queue.add(key, Cause.DUE),
        clock=time.monotonic,
        metrics=shared.metrics,
        log=shared.log,
    )


def _reconciler(
    shared: _Shared, nodes: Nodes, models: Models, verification: Verification, logs: CrashLogs
) -> Reconciler:
    return Reconciler(
        cluster=shared.leaders_cluster,
        store=shared.store,
        models=models,
        nodes=nodes,
        verification=verification,
        crash_logs=logs,
        defaults=shared.settings.defaults,
        profiles=load_profiles(),
        identity=shared.settings.identity,
        now=lambda: datetime.now(UTC),
        metrics=shared.metrics,
        log=shared.log,
        threads=shared.threads,
    )


async def _lead(
    shared: _Shared, watches: Watches, reconciler: Reconciler, verification: Verification, logs: CrashLogs
) -> None:
    """Work on everything, from the first lists on, until cancelled."""
    reconciler.reset()
    await shared.listed.wait()
    watches.everything_is_due()
    shared.metrics.leading.set(1)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(verification.run(), name="verification")
            group.create_task(logs.run(), name="logs")
            await work(shared.queue, reconciler, shared.metrics, shared.log, workers=shared.settings.workers)
    finally:
        shared.metrics.leading.set(0)
        reconciler.reset()


async def _prepare(cluster: Cluster, log: FilteringBoundLogger) -> Nodes:
    """Wait until the API server answers and serves the resource; return the nodes, or that they may not be read."""
    told = ""
    while True:
        try:
            if await serves(cluster, MISTRAL_DEPLOYMENTS):
                return Nodes(readable=all([await may(cluster, verb, NODES) for verb in ("list", "watch")]))
            waiting = f"the API server does not serve {MISTRAL_DEPLOYMENTS.plural}.{MISTRAL_DEPLOYMENTS.group} yet"
        except ClusterError as error:
            waiting = str(error)
        if waiting != told:
            log.warning("waiting", reason=waiting)
            told = waiting
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _unless(stop: asyncio.Event, doing: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what a coroutine returns; None when told to stop before that."""
    stopping, done = asyncio.create_task(stop.wait(), name="stop"), asyncio.create_task(doing)
    try:
        await asyncio.wait({stopping, done}, return_when=_FIRST)
        return None if stop.is_set() else done.result()
    finally:
        await _cancel(stopping, done)


async def _cancel(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
