"""What this process or an account may do, and what the API server serves: asked before anything depends on it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import NotFoundError
from mistral_operator.cluster.rbac import Rule
from mistral_operator.cluster.resources import Resource

_ACCOUNT_REVIEW: Final = Resource(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
_IDENTITY_REVIEW: Final = Resource(
    "authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False
)
_REVIEW: Final = Resource(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)


async def may(cluster: Cluster, verb: str, resource: Resource, namespace: str | None = None) -> bool:
    """Ask whether this process has a right; ``namespace`` None means in all of them."""
    attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
    if namespace is not None:
        attributes["namespace"] = namespace
    return await _is_allowed(cluster, _REVIEW, {"resourceAttributes": attributes})


async def serves(cluster: Cluster, resource: Resource) -> bool:
    """Ask whether the API server serves a kind."""
    try:
        answer = await cluster.request("GET", f"/apis/{resource.api_version}")
    except NotFoundError:
        return False
    return any(served.get("name") == resource.plural for served in answer.get("resources", []))


class Right(NamedTuple):
    """One verb on one resource; ``namespace`` None means in all of them, ``name`` None means every object."""

    group: str
    resource: str
    subresource: str | None
    verb: str
    name: str | None
    namespace: str | None

    def __str__(self) -> str:
        """Name the resource as kubectl does."""
        plural = self.resource if self.subresource is None else f"{self.resource}/{self.subresource}"
        resource = f"{plural}.{self.group}" if self.group else plural
        return resource if self.name is None else f"{resource} {self.name}"


def rights_of(rules: Sequence[Rule], namespace: str | None = None) -> Iterator[Right]:
    """Yield what rules allow, one by one."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for plural in rule["resources"]:
                resource, _, subresource = plural.partition("/")
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames") or (None,):
                        yield Right(group, resource, subresource or None, verb, name, namespace)


async def account_may(cluster: Cluster, namespace: str, account: str, right: Right) -> bool:
    """Ask whether a ServiceAccount has a right.

    Raises
    ------
    ForbiddenError
        When this process may not ask that of others.
    """
    attributes = {key: value for key, value in right._asdict().items() if value is not None}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    asked = {"user": f"system:serviceaccount:{namespace}:{account}", "groups": groups}
    return await _is_allowed(cluster, _ACCOUNT_REVIEW, asked | {"resourceAttributes": attributes})


async def whoami(cluster: Cluster) -> str:
    """Return the name of the user that the API server takes this process for."""
    return str((await _review(cluster, _IDENTITY_REVIEW)).get("userInfo", {}).get("username", ""))


async def _is_allowed(cluster: Cluster, kind: Resource, spec: Mapping[str, Any]) -> bool:
    return bool((await _review(cluster, kind, spec=spec)).get("allowed"))


async def _review(cluster: Cluster, kind: Resource, **said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have the API server review something; return the status that it answers with."""
    review = await cluster.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, **said})
    return review.get("status") or {}
