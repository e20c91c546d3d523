"""Bugs that are planted to see whether they are found: three for each pattern, as small changes of the operator.

Each is of a kind that controllers have had, and does no harm on a quiet day.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.faults.points import Pattern
from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.resources import CHILDREN, MISTRAL_DEPLOYMENTS, PODS, Resource
from mistral_operator.controller import notes, reconcile, status_writer, store
from mistral_operator.controller.children import Children, Synced
from mistral_operator.controller.keys import Key
from mistral_operator.controller.reconcile import Reconciler
from mistral_operator.controller.settings import Settings
from mistral_operator.controller.store import Body, Store
from mistral_operator.status.observed import Observed


def _nothing() -> None:
    """Change no code."""


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One bug.

    Parameters
    ----------
    scenario
        Where it shows.
    plant
        Makes it, in a process that is to become an operator.
    settings
        Makes it, where it is one of settings.
    """

    name: str
    pattern: Pattern
    scenario: str
    plant: Callable[[], None] = _nothing
    settings: Callable[[Settings], Settings] = lambda settings: settings


def _trust_a_predecessor() -> None:
    sync = Children.sync

    async def trusting(
        self: Children, owner: Key, uid: str, manifests: Sequence[Manifest], *, creates_only: bool = False
    ) -> Synced:
        seen, begun = self.seen(owner, uid), {name for _, name in self._applied}
        return (
            Synced(seen)
            if "Service" in seen and owner not in begun
            else await sync(self, owner, uid, manifests, creates_only=creates_only)
        )

    Children.sync = trusting  # type: ignore[method-assign]


def _name_events_at_random() -> None:
    event_of = notes.event_of

    def random(*arguments: Any, **named: Any) -> Manifest:
        event = event_of(*arguments, **named)
        name = f"{event['regarding']['name']}.{secrets.token_hex(8)}"
        return {**event, "metadata": {**event["metadata"], "name": name}}

    status_writer.event_of = random  # type: ignore[attr-defined]


def _prune_from_memory() -> None:
    prune = Children.prune

    async def forgetful(
        self: Children, owner: Key, uid: str, wanted: Sequence[Manifest], prunable: Sequence[str]
    ) -> Any:
        remembered = [kind for kind in prunable if (kind, owner) in self._applied]
        return await prune(self, owner, uid, wanted, remembered)

    Children.prune = forgetful  # type: ignore[method-assign]


def _keep_objects_whole() -> None:
    trim = store._trim

    def whole(resource: Resource, body: Body) -> Body:
        return body if resource is MISTRAL_DEPLOYMENTS else trim(resource, body)

    store._trim = whole


def _read_from_the_view() -> None:
    _keep_objects_whole()
    begin = Reconciler.__init__

    class FromView:
        """A client that reads objects where the watches have put them."""

        def __init__(self, cluster: Cluster, view: Store) -> None:
            self._cluster = cluster
            self._view = view

        def __getattr__(self, name: str) -> Any:
            return getattr(self._cluster, name)

        async def get(self, resource: Resource, namespace: str, name: str) -> Any:
            shown = self._view.get(resource, Key(namespace, name)) if resource is MISTRAL_DEPLOYMENTS else None
            return shown or await self._cluster.get(resource, namespace, name)

    def from_view(self: Reconciler, **parts: Any) -> None:
        begin(self, **parts | {"cluster": FromView(parts["cluster"], parts["store"])})

    Reconciler.__init__ = from_view  # type: ignore[method-assign]


def _plan_anew_without_a_deployment() -> None:
    scheduled = reconcile._with_schedule

    def forgetful(frozen: Any, observed: Observed) -> Any:
        return scheduled(frozen, observed) if observed.deployment is not None else None

    reconcile._with_schedule = forgetful


def _put_back_the_status_of_the_view() -> None:
    _keep_objects_whole()
    again: Callable[[Reconciler, Key], Awaitable[float | None]] = Reconciler.reconcile

    async def restoring(self: Reconciler, key: Key) -> float | None:
        shown = self._store.get(MISTRAL_DEPLOYMENTS, key)
        if key not in self._taken and shown is not None and shown.get("status"):
            status = {"apiVersion": shown["apiVersion"], "kind": shown["kind"], "status": shown["status"]}
            metadata = {"name": key.name, "namespace": key.namespace}
            await self._cluster.apply_status(MISTRAL_DEPLOYMENTS, {**status, "metadata": metadata})
        return await again(self, key)

    Reconciler.reconcile = restoring  # type: ignore[method-assign]


def _list_no_pods() -> None:
    listed = Store.listed

    def without_pods(self: Store, resource: Resource, body: Body) -> bool:
        return resource is not PODS and listed(self, resource, body)

    Store.listed = without_pods  # type: ignore[method-assign]


def _let_no_child_vanish() -> None:
    keys = Store.keys

    def without_children(self: Store, resource: Resource) -> Iterator[Key]:
        return iter(()) if resource in CHILDREN.values() else keys(self, resource)

    Store.keys = without_children  # type: ignore[method-assign]


PLANTED: Final = {
    bug.name: bug
    for bug in (
        PlantedBug("a Service means that all is applied", Pattern.KILLED, "create", _trust_a_predecessor),
        PlantedBug("Events have random names", Pattern.KILLED, "the pod crashes", _name_events_at_random),
        PlantedBug("only what is remembered is pruned", Pattern.KILLED, "the claim is dropped", _prune_from_memory),
        PlantedBug("the object is read from the view", Pattern.STALE, "change of spec", _read_from_the_view),
        PlantedBug(
            "no Deployment in view means no plan", Pattern.STALE, "the branch moves", _plan_anew_without_a_deployment
        ),
        PlantedBug(
            "the view's status is put back at a start", Pattern.STALE, "create", _put_back_the_status_of_the_view
        ),
        PlantedBug(
            "nothing is listed again",
            Pattern.MISSED,
            "scale",
            settings=lambda settings: replace(settings, resync_seconds=3600),
        ),
        PlantedBug("pods are not listed again", Pattern.MISSED, "create", _list_no_pods),
        PlantedBug(
            "children that are not listed are kept",
            Pattern.MISSED,
            "a stranger deletes the children",
            _let_no_child_vanish,
        ),
    )
}
