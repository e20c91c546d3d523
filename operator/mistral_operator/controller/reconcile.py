"""One object, from what it wants to what is: the operator in one function, readable from top to bottom.

Level-triggered: it asks what is, never what has happened, so that it may run at any time and as often as wanted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from structlog.typing import FilteringBoundLogger

from mistral_operator.api.mistral_deployment import (
    MistralDeployment,
    SpecInvalidError,
    read_object,
)
from mistral_operator.api.status import Resolved
from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ForbiddenError, NotFoundError
from mistral_operator.cluster.resources import CHILDREN, MISTRAL_DEPLOYMENTS
from mistral_operator.controller.autoscalers import scaled_by_others
from mistral_operator.controller.children import Children, StaleViewError, Synced
from mistral_operator.controller.crash_logs import CrashLogs
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.models import Models
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.placements import Placements
from mistral_operator.controller.pod_events import NOTHING_TOLD, events_of
from mistral_operator.controller.status_writer import StatusWriter, timestamp
from mistral_operator.controller.store import Body, Store, version_of
from mistral_operator.controller.verification import Verification
from mistral_operator.planning.frozen import plan_digest, same_wishes
from mistral_operator.planning.verdict import Circumstances, Verdict, decide_plan
from mistral_operator.planning.wishes import Defaults
from mistral_operator.rendering.children import prunable_kinds, render_children
from mistral_operator.rendering.owner import Owner, selector_of, selector_text
from mistral_operator.rendering.problems import Unrenderable
from mistral_operator.rendering.service import url_of
from mistral_operator.rendering.volumes import claim_name
from mistral_operator.status.diagnosis import speaks, wanted_of
from mistral_operator.status.evidence import Evidence
from mistral_operator.status.observed import Observed, condition_of
from mistral_operator.status.refused import faulty_status
from mistral_operator.status.report import Subject, report, report_invalid
from mistral_vllm.profiles import Profile

_T = TypeVar("_T")
_AUTOSCALER_SECONDS: Final = 60.0  # an autoscaler that is not watched may be gone
_CHILD_SECONDS: Final = 60.0  # a quota, a policy or a stranger that stands in a child's way is not watched either
_FRESH_SECONDS: Final = 10.0  # how old an answer of the hub a new plan may rest on


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the last pass over an object took into account, by resourceVersion."""

    version: int
    children: dict[str, int]
    pods: frozenset[tuple[str, int]]


class Reconciler:
    """Reconciles any object; keeps nothing that it could not do without.

    Parameters
    ----------
    now
        The time of day, in UTC.
    threads
        In which the words of pods are read.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        models: Models,
        nodes: Nodes,
        verification: Verification,
        crash_logs: CrashLogs,
        defaults: Defaults,
        profiles: Sequence[Profile],
        identity: str,
        now: Callable[[], datetime],
        metrics: Metrics,
        log: FilteringBoundLogger,
        threads: Executor,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._models = models
        self._nodes = nodes
        self._verification = verification
        self._crash_logs = crash_logs
        self._defaults = defaults
        self._profiles = profiles
        self._now = now
        self._metrics = metrics
        self._log = log
        self._threads = threads
        self._children = Children(cluster, store)
        self._placements = Placements()
        self._taken: dict[Key, _Taken] = {}
        self._status = StatusWriter(cluster=cluster, metrics=metrics, identity=identity, now=now, log=log)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one object to what it wants and say what is.

        Returns
        -------
        float or None
            Seconds until it is worth looking again although nothing is seen to change; None when it is gone.

        Raises
        ------
        ClusterError
            When the API server cannot be reached or somebody else was faster: to be tried again.
        """
        new = None if key in self._taken else self._store.take_new(key)
        if new is not None:
            try:
                return await self._pass(key, new, is_live=False)
            except (StaleViewError, NotFoundError):
                self._log.debug("not as new as the watch has shown it", object=str(key))
        body = await self._cluster.get(MISTRAL_DEPLOYMENTS, key.namespace, key.name)
        return await self._pass(key, body, is_live=True)

    async def _pass(self, key: Key, body: Manifest | None, *, is_live: bool) -> float | None:
        """Do what :meth:`reconcile` promises, for an object as it was read, or as new as a watch has shown it.

        Of the latter nothing is changed but its status, and that only if it still has the same resourceVersion: a
        watch may lag behind. Its children are created, and if they are there already it is read after all.
        """
        if body is None or body["metadata"].get("deletionTimestamp") is not None:
            self._forget(key)  # ownerReferences do the rest; applying now would re-create children
            return None
        pods = self._store.pods_of(key)
        shown = {kind: version_of(child) for kind, child in self._shown(key).items()}
        before = self._status.previous(key, body)
        try:
            subject = read_object(body)
        except SpecInvalidError as error:
            generation = int(body["metadata"]["generation"])
            deployment = self._children.seen(key, body["metadata"]["uid"]).get("Deployment")
            observed, again_seconds = await self._observe(key, deployment, pods, None)
            why = str(error)
            after = await self._apart(
                lambda: report_invalid(before, generation, why, observed, self._timestamp()),
                are_words=_are_words(observed),
            )
            self._remember(key, await self._status.write(key, body, before, after, desired=None), shown, pods)
            return _soonest(self._models.recheck_seconds, again_seconds)
        seen = self._children.seen(key, subject.uid)
        frozen = _with_schedule(before.resolved, Observed.of(seen.get("Deployment"), pods))

        makes_a_plan = frozen is None or not same_wishes(frozen, subject.spec, subject.replan)
        outcome = await self._models.read(
            key.namespace, subject.spec, fresh_seconds=_FRESH_SECONDS if makes_a_plan else None, holder=key
        )
        circumstances = Circumstances(
            outcome.answer, self._nodes.inventory, self._defaults, self._profiles, self._placements.place
        )
        verdict = decide_plan(subject.spec, frozen, circumstances, generation=subject.generation, replan=subject.replan)
        if subject.paused:
            verdict = verdict.held_back(frozen)
        scaled = scaled_by_others(self._cluster, self._store, key, subject.spec.replicas, before.warnings)
        warnings = await self._if_allowed(key, scaled, [])
        synced = await self._render_and_apply(key, subject, verdict, seen, is_live=is_live)

        claim, deployment = claim_name(key.name, subject.spec), synced.bodies.get("Deployment")
        observed, events_again_seconds = await self._observe(key, deployment, pods, claim)
        asked = self._verification.look(key, subject.spec.api_key_secret_ref, verdict.resolved, deployment, pods)
        told = _told_subject(key, subject)
        after = await self._apart(
            lambda: report(before, told, verdict, observed, synced.trouble, self._timestamp(), warnings, asked),
            are_words=_are_words(observed),
        )
        version = await self._status.write(key, body, before, after, desired=subject.spec.replicas)
        if _is_decision(verdict, frozen):
            self._log_decision(key, verdict)  # only now that it stands: what was not written is decided again
        shown |= {kind: version_of(child) for kind, child in synced.bodies.items()}
        self._remember(key, version, shown, pods)
        return _soonest(
            outcome.again_seconds,
            events_again_seconds,
            _AUTOSCALER_SECONDS if warnings else None,
            _CHILD_SECONDS if synced.trouble is not None else None,
        )

    async def report_fault(self, key: Key, fault: Exception) -> None:
        """Say on an object that the operator fails at it: once, until a pass over it succeeds.

        Raises
        ------
        ClusterError
            As :meth:`reconcile`.
        """
        body = await self._cluster.get(MISTRAL_DEPLOYMENTS, key.namespace, key.name)
        if body is None or body["metadata"].get("deletionTimestamp") is not None:
            return
        before, generation = self._status.previous(key, body), int(body["metadata"]["generation"])
        after = faulty_status(before, generation, f"{type(fault).__name__}: {fault}", self._timestamp())
        await self._status.write(key, body, before, after, desired=None)

    def is_news(self, key: Key) -> bool:
        """Tell whether the watches show anything of an object that its last pass did not take into account.

        Our own writes come back through the watches; without this each would cost another pass.
        """
        taken = self._taken.get(key)
        if taken is None:
            return True
        own = self._store.get(MISTRAL_DEPLOYMENTS, key)
        if own is not None and version_of(own) > taken.version:
            return True
        if any(version_of(child) > taken.children.get(kind, 0) for kind, child in self._shown(key).items()):
            return True
        return _versions(self._store.pods_of(key)) != taken.pods

    def reset(self) -> None:
        """Believe nothing of before: another process may have led in between."""
        self._taken.clear()
        self._status.reset()
        self._store.forget_new()
        self._children.reset()
        self._models.reset()
        self._verification.reset()
        self._crash_logs.reset()
        self._metrics.reset()

    async def _render_and_apply(
        self, key: Key, subject: MistralDeployment, verdict: Verdict, seen: dict[str, Body], *, is_live: bool
    ) -> Synced:
        if not verdict.renderable or verdict.resolved is None:
            return Synced(seen)
        owner = Owner(subject.name, subject.namespace, subject.uid)
        try:
            manifests = render_children(owner, subject.spec, verdict.resolved)
        except Unrenderable as problem:
            return Synced(seen, problem.as_condition())
        synced = await self._children.sync(key, subject.uid, manifests, creates_only=not is_live)
        if synced.trouble is not None or not is_live:
            return synced
        trouble = await self._children.prune(key, subject.uid, manifests, prunable_kinds(owner, subject.spec))
        return Synced(synced.bodies, trouble)

    async def _if_allowed(self, key: Key, asking: Awaitable[_T], otherwise: _T) -> _T:
        """Return what is asked for beside the object itself: a right that is missing costs no more than the answer."""
        try:
            return await asking
        except ForbiddenError as error:
            self._log.warning(
                "a right is missing, which `mistral-operator rbac` prints", object=str(key), error=str(error)
            )
            return otherwise

    async def _observe(
        self, key: Key, deployment: Body | None, pods: Sequence[Body], claim: str | None
    ) -> tuple[Observed, float | None]:
        """Return what is seen of an object's children, and in how many seconds Events are worth another look."""
        wanted = await self._apart(lambda: wanted_of(pods), are_words=_say_something(pods))
        asking = events_of(self._cluster, pods, wanted, claim, self._now())
        events = await self._if_allowed(key, asking, NOTHING_TOLD)
        causes = self._crash_logs.look(key, pods, wanted)
        evidence = Evidence(
            events=events.pods,
            claim_events=events.claim,
            causes=causes.found,
            unread=causes.unread,
            lost_nodes=self._nodes.lost,
            claim=claim,
        )
        return Observed.of(deployment, pods, evidence), events.again_seconds

    async def _apart(self, reading: Callable[[], _T], *, are_words: bool) -> _T:
        """Return what reading comes to: in a thread where it goes over others' words, of which there may be many."""
        if not are_words:
            return reading()
        return await asyncio.get_running_loop().run_in_executor(self._threads, reading)

    def _log_decision(self, key: Key, verdict: Verdict) -> None:
        if verdict.adopted is None:
            return
        plan, decision = verdict.adopted.plan, verdict.adopted.plan.decision
        self._log.info(
            "planned",
            object=str(key),
            model=plan.facts.id,
            commit=plan.facts.commit,
            window=plan.layout.window_tokens,
            sliding=plan.layout.sliding,
            full=plan.layout.full,
            backends={str(kind): backend for kind, backend in decision.backends.items()},
            reason=str(decision.reason),
            xformers=str(decision.xformers),
            gpus=[str(gpu) for gpu in verdict.adopted.classes],
        )

    def _shown(self, key: Key) -> dict[str, Body]:
        found = ((kind, self._store.get(resource, key)) for kind, resource in CHILDREN.items())
        return {kind: body for kind, body in found if body is not None}

    def _remember(self, key: Key, version: int, children: dict[str, int], pods: Sequence[Body]) -> None:
        self._taken[key] = _Taken(version, children, _versions(pods))

    def _forget(self, key: Key) -> None:
        self._models.forget(key)
        self._taken.pop(key, None)
        self._status.forget(key)
        self._children.forget(key)
        self._verification.forget(key)
        self._crash_logs.forget(key)
        self._metrics.forget(key)

    def _timestamp(self) -> str:
        return timestamp(self._now())


def _say_something(pods: Iterable[Body]) -> bool:
    return any(speaks(pod) for pod in pods)


def _are_words(observed: Observed) -> bool:
    """Tell whether a status rests on what pods, their Events, their logs or the API server say in words."""
    evidence = observed.evidence
    refused = observed.deployment is not None and bool(condition_of(observed.deployment, "ReplicaFailure"))
    return refused or bool(evidence.events or evidence.causes) or _say_something([*observed.pods, *observed.failed])


def _soonest(*waits: float | None) -> float:
    """Return the shortest of some waits; None is nothing to wait for."""
    return min(seconds for seconds in waits if seconds is not None)


def _told_subject(key: Key, subject: MistralDeployment) -> Subject:
    owner = Owner(key.name, key.namespace, subject.uid)
    return Subject(
        generation=subject.generation,
        replicas=subject.spec.replicas,
        selector=selector_text(selector_of(key.name)),
        url=url_of(owner, subject.spec),
        paused=subject.paused,
    )


def _with_schedule(frozen: Resolved | None, observed: Observed) -> Resolved | None:
    """Note for good that a pod of the frozen plan got a node: from then on facts do not move it."""
    if frozen is None or frozen.scheduled or not observed.any_scheduled(plan_digest(frozen)):
        return frozen
    return frozen.model_copy(update={"scheduled": True})


def _is_decision(verdict: Verdict, frozen: Resolved | None) -> bool:
    """Tell whether a plan was adopted, and not only the frozen one for another generation of the spec."""
    if verdict.adopted is None or verdict.resolved is None:
        return False
    return frozen is None or verdict.resolved != frozen.model_copy(update={"generation": verdict.resolved.generation})


def _versions(pods: Sequence[Body]) -> frozenset[tuple[str, int]]:
    return frozenset((str(pod["metadata"]["uid"]), version_of(pod)) for pod in pods)
