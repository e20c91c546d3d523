"""Workers: take keys, reconcile them, and decide when each is looked at next. A bad object never stops another."""

import asyncio
import random
import time

from structlog.typing import FilteringBoundLogger

from mistral_operator.cluster.errors import ClusterError, ConflictError
from mistral_operator.controller.keys import Key
from mistral_operator.controller.measures import ReconcileResult
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.reconcile import Reconciler


async def work(
    queue: WorkQueue, reconciler: Reconciler, metrics: Metrics, log: FilteringBoundLogger, *, workers: int
) -> None:
    """Work until cancelled."""
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(_worker(queue, reconciler, metrics, log))


async def _worker(queue: WorkQueue, reconciler: Reconciler, metrics: Metrics, log: FilteringBoundLogger) -> None:
    while True:
        key, cause = await queue.take()
        try:
            if cause is Cause.DUE or reconciler.is_news(key):
                await _one(key, queue, reconciler, metrics, log)
        finally:
            queue.done(key)


async def _one(key: Key, queue: WorkQueue, reconciler: Reconciler, metrics: Metrics, log: FilteringBoundLogger) -> None:
    begun = time.monotonic()
    try:
        again_seconds = await reconciler.reconcile(key)
    except ConflictError as error:
        log.debug("somebody else was faster", object=str(key), error=str(error))
        result = ReconcileResult.CONFLICT
        queue.retry(key)
    except ClusterError as error:
        result = ReconcileResult.UNREACHABLE if error.transient else ReconcileResult.REFUSED
        log.warning("could not reconcile", object=str(key), error=str(error), again_seconds=queue.retry(key))
    except Exception as fault:
        result = ReconcileResult.FAULT
        log.exception("could not reconcile: this is a fault in the operator", object=str(key))
        queue.retry(key)
        await _report_fault(key, fault, reconciler, log)
    else:
        result = ReconcileResult.DONE
        queue.succeeded(key)
        if again_seconds is None:
            queue.forget(key)
        else:
            queue.add_after(key, again_seconds * random.uniform(1.0, 1.1))  # noqa: S311 - spreads load
    metrics.reconciles.labels(result=result).inc()
    metrics.reconcile_seconds.observe(time.monotonic() - begun)


async def _report_fault(key: Key, fault: Exception, reconciler: Reconciler, log: FilteringBoundLogger) -> None:
    try:
        await reconciler.report_fault(key, fault)
    except ClusterError as error:
        log.warning("could not report a fault in the status", object=str(key), error=str(error))
    except Exception:
        log.exception("could not report a fault in the status: this is another one", object=str(key))
