"""The closed set of kinds the operator deals with, and where the API server keeps them."""

from typing import Final, NamedTuple
from urllib.parse import quote

from mistral_operator.api import names
from mistral_operator.api.plain_text import encodable


class Resource(NamedTuple):
    """One kind."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """API version without the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path of the collection, of one object, or of its subresource.

        Names come out of specs and of other people's objects: whatever stands in one, it names an object of this
        namespace and kind, and no other path.
        """
        parts = ["apis" if self.group else "api", *self.api_version.split("/")]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/" + "/".join(quote(encodable(part), safe="") for part in parts)


MISTRAL_DEPLOYMENTS: Final = Resource(names.API_VERSION, names.KIND, names.PLURAL)
DEPLOYMENTS: Final = Resource("apps/v1", "Deployment", "deployments")
REPLICA_SETS: Final = Resource("apps/v1", "ReplicaSet", "replicasets")
SERVICES: Final = Resource("v1", "Service", "services")
PVCS: Final = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
PODS: Final = Resource("v1", "Pod", "pods")
NODES: Final = Resource("v1", "Node", "nodes", namespaced=False)
SECRETS: Final = Resource("v1", "Secret", "secrets")
EVENTS: Final = Resource("events.k8s.io/v1", "Event", "events")
CORE_EVENTS: Final = Resource("v1", "Event", "events")  # the same, and only here they can be asked for by their object
AUTOSCALERS: Final = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
LEASES: Final = Resource("coordination.k8s.io/v1", "Lease", "leases")

CHILDREN: Final = {resource.kind: resource for resource in (DEPLOYMENTS, SERVICES, PVCS)}
