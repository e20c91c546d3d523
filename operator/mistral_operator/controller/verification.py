"""Which pods are asked what they run, and when: once for each run of a pod, and never by a reconcile.

A reconcile looks at what is known and goes on; a small pool of workers asks, and makes the object due when an answer
changes something. A pod is asked only when it is of the object's own Deployment: labels are free to anybody, and with
the question goes the API key.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from mistral_operator.api.conditions import Reason
from mistral_operator.api.names import CONTAINER
from mistral_operator.api.spec import SecretKeyRef
from mistral_operator.api.status import Resolved
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ClusterError, ForbiddenError
from mistral_operator.cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from mistral_operator.controller.backoff import backoff_seconds
from mistral_operator.controller.keys import Key, controller_of
from mistral_operator.controller.measures import AskResult
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.pod_reports import PodReports, UntoldError
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.settings import VerificationSettings
from mistral_operator.controller.settled import Settled
from mistral_operator.controller.store import Body, Store
from mistral_operator.controller.tokens import TokenError, Tokens
from mistral_operator.planning.frozen import plan_digest
from mistral_operator.status.observed import condition_of, is_leaving, is_ready, plan_of
from mistral_operator.status.pod_report import PodReport
from mistral_operator.status.verified import Asked, Untold

_STRANGER_RETRIES: Final = 3  # a ReplicaSet may be on its way from one Deployment to its successor


class _Run(NamedTuple):
    """One run of a pod's vLLM: what it told stays true for as long."""

    uid: str
    restarts: int


@dataclass(slots=True)
class _Pod:
    """One pod that is asked."""

    owner: Key
    deployment: str  # uid
    secret: SecretKeyRef | None
    run: _Run
    ready_since: str
    is_ours: bool | None = None  # None: not looked up yet
    answer: PodReport | Untold | None = None
    failures: int = 0
    trouble: Settled = field(default_factory=Settled)


class Verification:
    """Asks the pods of all objects.

    Parameters
    ----------
    keys
        Reads API keys.
    want
        Is told the key of each object about whose pods there is news.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        keys: Tokens,
        store: Store,
        settings: VerificationSettings,
        want: Callable[[Key], None],
        clock: Callable[[], float],
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._cluster = cluster
        self._keys = keys
        self._store = store
        self._settings = settings
        self._want = want
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self.reset()

    def reset(self) -> None:
        """Believe nothing of before: another process may have led in between."""
        self._queue = WorkQueue(self._clock, self._settings.parallel)
        self._pods: dict[Key, _Pod] = {}
        self._pods_of: dict[Key, frozenset[Key]] = {}

    def forget(self, owner: Key) -> None:
        """Drop what is known of an object's pods."""
        self._keep(owner, frozenset())

    def look(
        self,
        owner: Key,
        secret: SecretKeyRef | None,
        resolved: Resolved | None,
        deployment: Body | None,
        pods: Sequence[Body],
    ) -> list[Asked]:
        """Return what is known of an object's pods of one plan, by name; those it is worth to ask will be asked."""
        if resolved is None or deployment is None or not pods or not resolved.runtime.name.tells_attention:
            self.forget(owner)
            return []
        digest = plan_digest(resolved)
        known = {
            Key.of(pod): self._known(Key.of(pod), owner, secret, str(deployment["metadata"]["uid"]), pod)
            for pod in pods
            if not is_leaving(pod) and plan_of(pod) == digest
        }
        found = {key: pod for key, pod in known.items() if pod is not None}
        self._keep(owner, frozenset(found))
        self._pods |= found
        counting = [(key, pod) for key, pod in sorted(found.items()) if pod.is_ours is not False]
        return [Asked(key.name, pod.answer) for key, pod in counting]

    async def run(self) -> None:
        """Ask until cancelled."""
        async with (
            PodReports(self._settings.port, self._settings.timeout_seconds) as reports,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._settings.parallel):
                group.create_task(self._worker(reports))

    def _known(self, key: Key, owner: Key, secret: SecretKeyRef | None, deployment: str, body: Body) -> _Pod | None:
        """Return what is known of a pod, after wanting it asked where there may be news; None where it cannot tell."""
        run, since = _run_of(body), str(condition_of(body, "Ready").get("lastTransitionTime"))
        pod = self._pods.get(key)
        if pod is not None and (pod.run, pod.deployment) != (run, deployment):
            pod = None
        if not is_ready(body):
            # a report is true of its run whether or not requests get through; of others nothing is expected now
            return pod if pod is not None and isinstance(pod.answer, PodReport) else None
        if pod is None:
            pod = _Pod(owner, deployment, secret, run, since)
        elif (pod.secret, pod.ready_since) != (secret, since):
            if pod.secret != secret:
                pod.trouble = Settled()  # with another key another answer is no chance
            pod.secret, pod.ready_since, pod.failures = secret, since, 0
        else:
            return pod
        self._queue.add(key, Cause.DUE)
        return pod

    def _keep(self, owner: Key, pods: frozenset[Key]) -> None:
        for key in self._pods_of.pop(owner, frozenset()) - pods:
            self._pods.pop(key, None)
            self._queue.forget(key)
        if pods:
            self._pods_of[owner] = pods

    async def _worker(self, reports: PodReports) -> None:
        while True:
            key, _ = await self._queue.take()
            try:
                await self._one(key, reports)
            finally:
                self._queue.done(key)

    async def _one(self, key: Key, reports: PodReports) -> None:
        pod, body = self._pods.get(key), self._store.get(PODS, key)
        if pod is None or body is None or not _is_running(body, pod.run):
            return  # whatever became of it, the watch makes its object look again
        try:
            answer = await self._ask(key, pod, body, reports)
        except ClusterError as error:
            self._log.debug("could not ask a pod", pod=str(key), error=str(error), again_seconds=self._later(key, pod))
            result: str = AskResult.API_SERVER
        except Exception:  # noqa: BLE001 - told with its traceback, and other pods are asked all the same
            self._log.exception("could not ask a pod: this is a fault in the operator", pod=str(key))
            self._later(key, pod)
            result = AskResult.FAULT
        else:
            result = self._take(key, pod, answer)
        self._metrics.attention_asks.labels(result=result).inc()

    async def _ask(self, key: Key, pod: _Pod, body: Body, reports: PodReports) -> PodReport | Untold | None:
        """Return a pod's answer; None where it is not for this object to ask."""
        try:
            if not pod.is_ours:
                pod.is_ours = await self._is_of(pod.deployment, key, body)
            if not pod.is_ours:
                return None
            secret = None
            if pod.secret is not None:
                secret = await self._keys.read(key.namespace, pod.secret)
                # the key goes to the pod that there is now, not to one that has got its address since the watch spoke
                body = await self._cluster.get(PODS, key.namespace, key.name) or {}
                if not body or not _is_running(body, pod.run):
                    return None
            return await reports.ask(str(body["status"].get("podIP")), secret)
        except ForbiddenError as error:
            return Untold(
                Reason.NOT_ASKED_YET,
                f"pod {key.name} is not asked, because the API server does not show whose it is: {error.message}; "
                "`mistral-operator rbac` prints the operator's rights",
            )
        except TokenError as error:
            return Untold(Reason.KEY_MISSING, f"pod {key.name} cannot be asked: {error}")
        except UntoldError as error:
            return Untold(error.reason, f"pod {key.name} {error}")

    async def _is_of(self, deployment: str, key: Key, body: Body) -> bool:
        """Tell whether a pod is of a Deployment: of a ReplicaSet that is there and that the Deployment controls."""
        reference = controller_of(body)
        if reference is None or reference.get("kind") != REPLICA_SETS.kind:
            return False
        replica_set = await self._cluster.get(REPLICA_SETS, key.namespace, str(reference["name"]))
        if replica_set is None or replica_set["metadata"]["uid"] != reference.get("uid"):
            return False
        owner = controller_of(replica_set)
        return owner is not None and (owner.get("kind"), owner.get("uid")) == (DEPLOYMENTS.kind, deployment)

    def _take(self, key: Key, pod: _Pod, answer: PodReport | Untold | None) -> str:
        """Keep an answer, and make the object due where it says something new; return its name in the metrics."""
        before = (pod.answer, pod.is_ours)
        if pod.is_ours is False and pod.failures < _STRANGER_RETRIES:
            self._later(key, pod)
        if isinstance(answer, PodReport):
            pod.answer, pod.failures = answer, 0
        elif answer is not None:
            if not isinstance(pod.answer, PodReport):  # what it told before is still so
                pod.answer = pod.trouble.hear(answer, self._clock())
            accepted = isinstance(pod.answer, PodReport) or pod.answer.reason is answer.reason
            if answer.reason is not Reason.IMAGE_CANNOT_TELL or not accepted:  # only another image can
                self._later(key, pod)
        if self._pods.get(key) is pod and (pod.answer, pod.is_ours is False) != (before[0], before[1] is False):
            self._want(pod.owner)
        if answer is None:
            return AskResult.NOT_ASKED
        return AskResult.TOLD if isinstance(answer, PodReport) else str(answer.reason)

    def _later(self, key: Key, pod: _Pod) -> float:
        """Want a pod asked again, each time later than the last; return in how many seconds."""
        seconds = backoff_seconds(self._settings.retry_seconds, pod.failures, self._settings.slow_retry_seconds)
        pod.failures += 1
        if self._pods.get(key) is pod:
            self._queue.add_after(key, seconds)
        return seconds


def _run_of(body: Body) -> _Run:
    statuses = body.get("status", {}).get("containerStatuses") or ()
    restarts = next((one.get("restartCount", 0) for one in statuses if one.get("name") == CONTAINER), 0)
    return _Run(str(body["metadata"]["uid"]), int(restarts))


def _is_running(body: Body, run: _Run) -> bool:
    return _run_of(body) == run and is_ready(body) and not is_leaving(body)
