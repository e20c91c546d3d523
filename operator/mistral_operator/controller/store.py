"""What the watches last showed, trimmed to what anybody reads.

Absence here proves nothing: after "410 Gone" kopf lists anew and tells nobody what has vanished in between. So
reconcile reads its object live, and a resync puts right what the watches missed.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mistral_operator.api.names import INSTANCE_LABEL
from mistral_operator.cluster.resources import CHILDREN, DEPLOYMENTS, MISTRAL_DEPLOYMENTS, PODS, Resource
from mistral_operator.controller.keys import Key

_METADATA: Final = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "ownerReferences", "labels", "annotations",
)  # fmt: skip
_GONE_SECONDS: Final = 300.0  # longer than a list is under way

WATCHED: Final = (MISTRAL_DEPLOYMENTS, *CHILDREN.values(), PODS)
"""What is watched of everybody's; nodes are the cluster's, and kept apart."""
Body = Mapping[str, Any]


class Store:
    """The last known state of everything watched.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bodies: dict[str, dict[Key, Body]] = {resource.kind: {} for resource in WATCHED}
        self._pods_of: dict[Key, dict[Key, Body]] = {}  # instance -> its pods
        self._late: dict[tuple[str, Key], tuple[int, float]] = {}  # listed, and the watch never told: version, since
        self._gone: dict[tuple[str, Key], tuple[int, float]] = {}  # told to be gone: version, when; the oldest first

    def get(self, resource: Resource, key: Key) -> Body | None:
        """Return an object as it was last seen."""
        return self._bodies[resource.kind].get(key)

    def keys(self, resource: Resource) -> Iterator[Key]:
        """Return the keys of everything of a kind."""
        return iter(tuple(self._bodies[resource.kind]))

    def pods_of(self, owner: Key) -> tuple[Body, ...]:
        """Return the pods that carry an object's instance label."""
        return tuple(self._pods_of.get(owner, {}).values())

    def watched(self, resource: Resource, body: Body, *, deleted: bool) -> None:
        """Take what a watch tells."""
        key = Key.of(body)
        late = self._late.get((resource.kind, key))
        if late is not None and (deleted or version_of(body) >= late[0]):
            del self._late[resource.kind, key]
        if deleted:
            self._drop(resource, key)
            self._bury(resource, key, version_of(body))
        else:
            self._put(resource, key, body)

    def listed(self, resource: Resource, body: Body) -> bool:
        """Take what a resync lists; tell whether it is news."""
        key = Key.of(body)
        seen = self.get(resource, key)
        if seen is not None and version_of(seen) >= version_of(body):
            return False
        if version_of(body) <= self._gone.get((resource.kind, key), (-1, 0))[0]:
            return False  # it was deleted while the list was under way
        self._late.setdefault((resource.kind, key), (version_of(body), self._clock()))
        self._put(resource, key, body)
        return True

    def vanished(self, resource: Resource, key: Key) -> None:
        """Drop what a whole list did not show."""
        self._late.pop((resource.kind, key), None)
        self._drop(resource, key)

    def longest_deaf_seconds(self) -> float:
        """Return for how long a change has been known from a list that no watch ever told."""
        return max((self._clock() - since for _, since in self._late.values()), default=0.0)

    def untold(self, resource: Resource) -> Iterator[Key]:
        """Return the keys of everything of a kind that a list has shown and that no watch has told of yet."""
        return iter(tuple(key for kind, key in self._late if kind == resource.kind))

    def be_patient(self) -> None:
        """Begin to count anew: the API server is away, and watches cannot tell anything."""
        now = self._clock()
        self._late = {name: (version, now) for name, (version, _) in self._late.items()}

    def _bury(self, resource: Resource, key: Key, version: int) -> None:
        now = self._clock()
        self._gone.pop((resource.kind, key), None)
        self._gone[resource.kind, key] = (version, now)
        while (oldest := next(iter(self._gone))) and self._gone[oldest][1] < now - _GONE_SECONDS:
            del self._gone[oldest]

    def _put(self, resource: Resource, key: Key, body: Body) -> None:
        trimmed = _trim(resource, body)
        if resource is PODS:
            self._drop(resource, key)  # its label, and with it whose it is, may have changed
            self._pods_of.setdefault(_instance(key, body), {})[key] = trimmed
        self._bodies[resource.kind][key] = trimmed

    def _drop(self, resource: Resource, key: Key) -> None:
        body = self._bodies[resource.kind].pop(key, None)
        if resource is PODS and body is not None:
            instance = _instance(key, body)
            pods = self._pods_of.get(instance, {})
            pods.pop(key, None)
            if not pods:
                self._pods_of.pop(instance, None)


def version_of(body: Body) -> int:
    """Return an object's resourceVersion as the number it is; Kubernetes orders them since 1.35, etcd always did."""
    version = str(body.get("metadata", {}).get("resourceVersion", ""))
    return int(version) if version.isdigit() else 0


def _instance(key: Key, body: Body) -> Key:
    labels = body["metadata"].get("labels") or {}
    return Key(key.namespace, labels.get(INSTANCE_LABEL, ""))


def _trim(resource: Resource, body: Body) -> Body:
    metadata = {name: body["metadata"][name] for name in _METADATA if body["metadata"].get(name) is not None}
    if resource is MISTRAL_DEPLOYMENTS:
        return {"metadata": {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}}
    if resource is PODS:
        spec = body.get("spec", {})
        wanted = "nodeName" if spec.get("nodeName") else "nodeSelector"  # of a pod without a node, where it may go
        kept = {wanted: spec[wanted]} if spec.get(wanted) else {}
        return {"metadata": metadata, "spec": kept, "status": body.get("status") or {}}
    metadata.pop("labels", None)
    metadata.pop("annotations", None)
    trimmed: Body = {"metadata": metadata, "status": body.get("status") or {}}
    return {**trimmed, "spec": {"replicas": body["spec"].get("replicas")}} if resource is DEPLOYMENTS else trimmed
