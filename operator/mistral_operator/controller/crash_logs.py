"""Logs of vLLM's last run, for images that do not write down themselves why it ended: read once for each crash.

A reconcile looks at what is known and goes on; a small pool of workers reads, each log bounded in lines, bytes and
time, and makes the object due when a cause was found. What is kept of a log is one sentence or a few. Namespaces are
served in turn and none holds the whole pool; logs are understood in a thread, for 128 KiB of them keep a core busy for
up to some tenths of a second.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ClusterError
from mistral_operator.cluster.resources import PODS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.store import Body
from mistral_operator.status.diagnosis import LogWanted, Wanted
from mistral_vllm.telling.root_cause import root_cause

_PARALLEL: Final = 4
_LINES: Final = 300
_BYTES: Final = 128 * 1024
_TIMEOUT_SECONDS: Final = 10.0
_KEPT: Final = 600  # characters of a cause: more than a message shows


@dataclass(slots=True)
class _Pod:
    """One pod whose vLLM ended."""

    pod: Key
    wanted: LogWanted
    cause: str | None  # of this run, and until that is read of the one before: what it says will seldom differ
    read: bool = False


class Causes(NamedTuple):
    """What is known of an object's pods, by uid."""

    found: Mapping[str, str]
    unread: frozenset[str]


class CrashLogs:
    """Reads the logs of all objects' pods.

    Parameters
    ----------
    want
        Is told the key of each object of whose pods a log has been read.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, cluster: Cluster, want: Callable[[Key], None], clock: Callable[[], float], log: FilteringBoundLogger
    ) -> None:
        self._cluster = cluster
        self._want = want
        self._clock = clock
        self._log = log
        self.reset()

    def reset(self) -> None:
        """Believe nothing of before: another process may have led in between."""
        self._queue = WorkQueue(self._clock, _PARALLEL)
        self._unread: dict[Key, tuple[Key, str]] = {}  # pod -> owner and uid, of those in the queue
        self._pods: dict[Key, dict[str, _Pod]] = {}  # owner -> uid -> pod

    def forget(self, owner: Key) -> None:
        """Drop what is known of an object's pods."""
        self._pods.pop(owner, None)

    def look(self, owner: Key, pods: Sequence[Body], wanted: Mapping[str, Wanted]) -> Causes:
        """Return what is known of an object's pods; logs that may say more will be read.

        Parameters
        ----------
        wanted
            What is to be asked for, by the uid of a pod.
        """
        before, known = self._pods.pop(owner, {}), {}
        for body in pods:
            uid = str(body["metadata"]["uid"])
            log = wanted[uid].log if uid in wanted else None
            if log is None:
                continue
            pod = before.get(uid)
            if pod is None or pod.wanted.run != log.run:
                pod = _Pod(Key.of(body), log, None if pod is None else pod.cause)
                self._unread[pod.pod] = owner, uid
                self._queue.add(pod.pod, Cause.DUE)
            pod.wanted = log
            known[uid] = pod
        if known:
            self._pods[owner] = known
        return Causes(
            {uid: pod.cause for uid, pod in known.items() if pod.cause},
            frozenset(uid for uid, pod in known.items() if pod.cause is None),
        )

    async def run(self) -> None:
        """Read until cancelled."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="logs")
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_PARALLEL):
                    group.create_task(self._worker(thread))
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    async def _worker(self, thread: ThreadPoolExecutor) -> None:
        while True:
            key, _ = await self._queue.take()
            try:
                await self._one(key, thread)
            finally:
                self._queue.done(key)

    async def _one(self, key: Key, thread: ThreadPoolExecutor) -> None:
        owner, uid = self._unread.pop(key, (key, ""))
        pod = self._pods.get(owner, {}).get(uid)
        if pod is None or pod.read:
            return  # it is gone, or has not ended since
        cause = await self._read(pod, thread)
        if self._pods.get(owner, {}).get(uid) is pod:
            pod.cause, pod.read = cause, True
            self._want(owner)

    async def _read(self, pod: _Pod, thread: ThreadPoolExecutor) -> str:
        """Return why a run ended, empty where its log says nothing; where it cannot be read, what is known already.

        A log that nobody foresaw does not end the others' reading, and the process with it. The query has no
        ``limitBytes``: that cuts off the end of the lines asked for, where the cause stands.
        """
        query = {
            "container": pod.wanted.container,
            "previous": str(pod.wanted.previous).lower(),
            "tailLines": str(_LINES),
        }
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                text = await self._cluster.end_of_text(PODS.path(pod.pod.namespace, pod.pod.name, "log"), query, _BYTES)
            return await asyncio.get_running_loop().run_in_executor(thread, _cause_in, text, pod.wanted.exit_code)
        except (ClusterError, TimeoutError) as error:
            self._log.debug("a log could not be read", pod=str(pod.pod), error=str(error))
        except Exception:  # noqa: BLE001 - told with its traceback, and other logs are read all the same
            self._log.exception("could not read a log: this is a fault in the operator", pod=str(pod.pod))
        return pod.cause or ""


def _cause_in(text: str, exit_code: int) -> str:
    """Return why a run ended; the number of lines is the kubelet's to keep, and another's may not."""
    lines = text.rsplit("\n", _LINES + 1)[-_LINES - 1 :]
    return root_cause("\n".join(lines), exit_code)[:_KEPT] if text.strip() else ""
