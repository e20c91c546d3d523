"""What the watches show becomes state in the store, and the key of the object concerned becomes due in the queue."""

from collections.abc import Iterable

from mistral_operator.api import names
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS, NODES, PODS, Resource
from mistral_operator.controller.keys import Key
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.store import Body, Store


class Watches:
    """Turns lists and events of everything watched into keys."""

    def __init__(self, store: Store, nodes: Nodes, queue: WorkQueue) -> None:
        self._store = store
        self._nodes = nodes
        self._queue = queue

    def seen(self, resource: Resource, body: Body, *, deleted: bool) -> None:
        """Take one event."""
        if resource is NODES:
            if self._nodes.is_lost_anew(body, deleted=deleted):
                self._pods_are_due(str(body["metadata"]["name"]))
            if self._nodes.watched(body, deleted=deleted):
                self.everything_is_due()
            return
        self._store.watched(resource, body, deleted=deleted)
        self._want(owner_key(resource, body), Cause.DUE if deleted else Cause.WATCHED)

    def listed(self, resource: Resource, bodies: Iterable[Body]) -> None:
        """Take one page of a list; only what differs from what was known becomes work."""
        for body in bodies:
            if resource is NODES:
                if self._nodes.is_lost_anew(body, deleted=False):
                    self._pods_are_due(str(body["metadata"]["name"]))
                self._nodes.listed(body)
            elif self._store.listed(resource, body):
                self._want(owner_key(resource, body), Cause.WATCHED)

    def list_ended(self, resource: Resource, namespace: str | None, keys: set[Key]) -> None:
        """Take that a list is complete: what was known and is not on it is gone."""
        if resource is NODES:
            if self._nodes.list_ended({key.name for key in keys}):
                self.everything_is_due()
            return
        for key in self._store.keys(resource):
            gone = None if key in keys or namespace not in (None, key.namespace) else self._store.get(resource, key)
            if gone is not None:
                self.seen(resource, gone, deleted=True)

    def everything_is_due(self) -> None:
        """Want every object to be looked at: what they were planned on has changed."""
        for key in self._store.keys(MISTRAL_DEPLOYMENTS):
            self._queue.add(key, Cause.DUE)

    def _pods_are_due(self, node: str) -> None:
        """Want the objects to be looked at whose pods are on a node; the pods' own news may have come before."""
        for key in self._store.keys(PODS):
            pod = self._store.get(PODS, key)
            self._want(None if pod is None or pod["spec"].get("nodeName") != node else owner_key(PODS, pod), Cause.DUE)

    def _want(self, key: Key | None, cause: Cause) -> None:
        if key is not None:
            self._queue.add(key, cause)


def owner_key(resource: Resource, body: Body) -> Key | None:
    """Return the MistralDeployment that an object belongs to; pods belong by their label."""
    if resource is MISTRAL_DEPLOYMENTS:
        return Key.of(body)
    if resource is PODS:
        instance = (body["metadata"].get("labels") or {}).get(names.INSTANCE_LABEL)
        return Key(body["metadata"]["namespace"], instance) if instance else None
    return Key.of_owner(body)
