"""What the operator may do, and nothing beyond it: the one source of its roles.

The command line prints them, the chart renders them, docs/security.md lists them, tests and demo run the operator with
exactly them.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mistral_operator.api import names
from mistral_operator.cluster.resources import (
    AUTOSCALERS,
    CORE_EVENTS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    MISTRAL_DEPLOYMENTS,
    NODES,
    PODS,
    PVCS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    Resource,
)

Rule = dict[str, list[str]]
_RBAC: Final = "rbac.authorization.k8s.io"


class Grant(NamedTuple):
    """One rule, and what it is for."""

    rule: Rule
    purpose: str


def _rule(resource: Resource, *verbs: str, subresource: str | None = None, name: str | None = None) -> Rule:
    plural = resource.plural if subresource is None else f"{resource.plural}/{subresource}"
    rule = {"apiGroups": [resource.group], "resources": [plural], "verbs": list(verbs)}
    return rule if name is None else rule | {"resourceNames": [name]}


def operator_grants() -> list[Grant]:
    """Return the rights on what it manages, in every namespace it watches."""
    return [
        Grant(_rule(MISTRAL_DEPLOYMENTS, "get", "list", "watch"), "what is wanted"),
        Grant(_rule(MISTRAL_DEPLOYMENTS, "patch", subresource="status"), "to write its findings"),
        Grant(
            _rule(MISTRAL_DEPLOYMENTS, "update", subresource="finalizers"),
            "asked for by blockOwnerDeletion where OwnerReferencesPermissionEnforcement is on; it sets none",
        ),
        *(
            Grant(
                _rule(child, "get", "list", "watch", "create", "patch"),
                f"the {child.kind} of each object; server-side apply is a patch, and a create where there is nothing",
            )
            for child in (DEPLOYMENTS, SERVICES)
        ),
        Grant(
            _rule(PVCS, "get", "list", "watch", "create", "patch", "delete"),
            "the claim of `storage.pvc.create`, deleted when the spec drops it",
        ),
        Grant(_rule(PODS, "get", "list", "watch"), "why they do not answer"),
        Grant(_rule(PODS, "get", subresource="log"), "the end of a run of vLLM that ended and did not say why"),
        Grant(_rule(REPLICA_SETS, "get"), "between a pod and the Deployment that it is of"),
        Grant(_rule(AUTOSCALERS, "list"), "to warn of one that scales the Deployment"),
        Grant(_rule(SECRETS, "get"), "`hfTokenSecretRef` and `apiKeySecretRef`, by name; it cannot list them"),
        Grant(_rule(EVENTS, "create"), "its Events"),
        Grant(_rule(CORE_EVENTS, "list"), "what the kubelet says of a pod that does not start"),
    ]


def node_grants() -> list[Grant]:
    """Return the rights on nodes: without them plans rest on the spec alone."""
    return [Grant(_rule(NODES, "list", "watch"), "which GPUs there are, and which nodes are lost")]


def lease_grants(name: str) -> list[Grant]:
    """Return the rights on the Lease, in the operator's own namespace. A create cannot be limited to a name."""
    return [
        Grant(_rule(LEASES, "get", "update", name=name), "which replica works"),
        Grant(_rule(LEASES, "create"), "the first time; a create cannot be limited to a name"),
    ]


def operator_rules() -> list[Rule]:
    """Return the rules of :func:`operator_grants`."""
    return [grant.rule for grant in operator_grants()]


def node_rules() -> list[Rule]:
    """Return the rules of :func:`node_grants`."""
    return [grant.rule for grant in node_grants()]


def lease_rules(name: str) -> list[Rule]:
    """Return the rules of :func:`lease_grants`."""
    return [grant.rule for grant in lease_grants(name)]


def rbac_manifests(
    namespace: str, service_account: str, lease: str, *, watched: Sequence[str] = (), nodes: bool = True
) -> list[dict[str, Any]]:
    """Return ServiceAccount, roles and bindings of an operator.

    Parameters
    ----------
    watched
        Namespaces that it watches, with a Role in each; a ClusterRole for all namespaces when empty.
    """
    full_name = f"{namespace}-{service_account}"  # names of two installations must differ wherever both have roles
    manifests = [_named("v1", "ServiceAccount", service_account, namespace)]
    if watched:
        for one in sorted(set(watched)):
            manifests += _granted("Role", full_name, one, operator_rules(), namespace, service_account)
    else:
        manifests += _granted("ClusterRole", full_name, None, operator_rules(), namespace, service_account)
    manifests += _granted("Role", service_account, namespace, lease_rules(lease), namespace, service_account)
    if nodes:
        manifests += _granted("ClusterRole", f"{full_name}-nodes", None, node_rules(), namespace, service_account)
    return manifests


def _granted(
    kind: str, name: str, role_namespace: str | None, rules: Sequence[Rule], namespace: str, service_account: str
) -> list[dict[str, Any]]:
    role = _named(f"{_RBAC}/v1", kind, name, role_namespace) | {"rules": list(rules)}
    binding = _named(f"{_RBAC}/v1", f"{kind}Binding", name, role_namespace) | {
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": service_account, "namespace": namespace}],
    }
    return [role, binding]


def _named(api_version: str, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": names.MANAGER}
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
