"""What the watches last showed, trimmed to what anybody reads.

Absence here proves nothing, and presence little: a watch lags behind. So reconcile reads its object live.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mistral_operator.api.names import INSTANCE_LABEL
from mistral_operator.cluster.resources import CHILDREN, DEPLOYMENTS, MISTRAL_DEPLOYMENTS, PODS, Resource
from mistral_operator.controller.keys import Key

_METADATA: Final = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "ownerReferences", "labels", "annotations",
)  # fmt: skip
_MOST_NEW_BYTES: Final = 8 * 2**20

WATCHED: Final = (MISTRAL_DEPLOYMENTS, *CHILDREN.values(), PODS)
"""What is watched of everybody's; nodes are the cluster's, and kept apart."""
Body = Mapping[str, Any]


class Store:
    """The last known state of everything watched.

    Of a MistralDeployment no more than its version is kept, as its content is read live. But one that a watch shows
    without a condition, which nobody has handled yet, is kept whole until it is taken, unless there are too many.
    """

    def __init__(self) -> None:
        self._new: dict[Key, bytes] = {}  # JSON: a tenth of the memory
        self._new_bytes = 0
        self._bodies: dict[str, dict[Key, Body]] = {resource.kind: {} for resource in WATCHED}
        self._pods_of: dict[Key, dict[Key, Body]] = {}  # instance -> its pods

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
        """Take an event of a watch."""
        key = Key.of(body)
        if resource is MISTRAL_DEPLOYMENTS:
            self._keep_new(key, None if deleted or _is_handled(body) else body)
        if deleted:
            self._drop(resource, key)
        else:
            self._put(resource, key, body)

    def listed(self, resource: Resource, body: Body) -> bool:
        """Take an object of a list; tell whether it differs from what was known."""
        key = Key.of(body)
        known = self.get(resource, key)
        if known is not None and version_of(known) == version_of(body):
            return False
        self._put(resource, key, body)
        return True

    def take_new(self, key: Key) -> dict[str, Any] | None:
        """Return an object that a watch has shown without a condition, once; it may have changed or gone since."""
        kept = self._new.pop(key, None)
        if kept is None:
            return None
        self._new_bytes -= len(kept)
        body: dict[str, Any] = json.loads(kept)
        return body

    def forget_new(self) -> None:
        """Keep none of the objects that :meth:`take_new` would return: they may be old."""
        self._new.clear()
        self._new_bytes = 0

    def _keep_new(self, key: Key, body: Body | None) -> None:
        self._new_bytes -= len(self._new.pop(key, b""))
        if body is None:
            return
        metadata = {name: of for name, of in body["metadata"].items() if name != "managedFields"}
        kept = json.dumps({**body, "metadata": metadata}).encode()
        if self._new_bytes + len(kept) <= _MOST_NEW_BYTES:
            self._new[key] = kept
            self._new_bytes += len(kept)

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


def _is_handled(body: Body) -> bool:
    """Tell whether a MistralDeployment has a condition; the defaults of its status come with its creation."""
    return bool((body.get("status") or {}).get("conditions"))


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
