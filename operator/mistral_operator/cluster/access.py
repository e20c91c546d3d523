"""What this process may do, and what the API server serves: asked before anything depends on it."""

from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import NotFoundError
from mistral_operator.cluster.resources import Resource

_REVIEW = Resource("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False)


async def may(cluster: Cluster, verb: str, resource: Resource, namespace: str | None = None) -> bool:
    """Ask whether this process has a right; ``namespace`` None means in all of them."""
    attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
    if namespace is not None:
        attributes["namespace"] = namespace
    review = await cluster.create(
        _REVIEW,
        {
            "apiVersion": _REVIEW.api_version,
            "kind": _REVIEW.kind,
            "metadata": {},
            "spec": {"resourceAttributes": attributes},
        },
    )
    return bool(review.get("status", {}).get("allowed"))


async def serves(cluster: Cluster, resource: Resource) -> bool:
    """Ask whether the API server serves a kind."""
    try:
        answer = await cluster.request("GET", f"/apis/{resource.api_version}")
    except NotFoundError:
        return False
    return any(served.get("name") == resource.plural for served in answer.get("resources", []))
