"""The operator's rights: nothing beyond what it does. That they suffice is shown wherever it runs with them alone."""

from typing import Any

import kubernetes_validate
import pytest

from mistral_operator.cluster.rbac import lease_rules, node_rules, operator_rules, rbac_manifests

EVERYTHING = {(group, resource, verb) for rule in operator_rules() for group in rule["apiGroups"]
              for resource in rule["resources"] for verb in rule["verbs"]}  # fmt: skip


@pytest.mark.parametrize(
    ("group", "resource", "verbs"),
    [
        ("mistral-operator.io", "mistraldeployments", {"get", "list", "watch"}),
        ("mistral-operator.io", "mistraldeployments/status", {"patch"}),
        ("mistral-operator.io", "mistraldeployments/finalizers", {"update"}),
        ("apps", "deployments", {"get", "list", "watch", "create", "patch"}),
        ("", "services", {"get", "list", "watch", "create", "patch"}),
        ("", "persistentvolumeclaims", {"get", "list", "watch", "create", "patch", "delete"}),
        ("", "pods", {"get", "list", "watch"}),
        ("apps", "replicasets", {"get"}),
        ("", "pods/log", {"get"}),
        ("", "secrets", {"get"}),
        ("", "events", {"list"}),
        ("events.k8s.io", "events", {"create"}),
        ("autoscaling", "horizontalpodautoscalers", {"list"}),
    ],
)
def test_rights(group: str, resource: str, verbs: set[str]) -> None:
    """Secrets by name alone; only claims are ever deleted; the object itself is never written, only its status."""
    assert {verb for of_group, of, verb in EVERYTHING if (of_group, of) == (group, resource)} == verbs


def test_nothing_else() -> None:
    """There is no rule beside those of the table, and none with a star."""
    assert len({(group, resource) for group, resource, _ in EVERYTHING}) == 13
    assert not any("*" in part for rule in EVERYTHING for part in rule)


def test_nodes_apart() -> None:
    """They are a right of their own, which a cluster may refuse."""
    assert node_rules() == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}]
    assert not [rule for rule in EVERYTHING if rule[1] == "nodes"]


def test_the_lease() -> None:
    """That one by its name; a create cannot be limited to one."""
    by_name, create = lease_rules("operator")
    assert (by_name["verbs"], by_name["resourceNames"]) == (["get", "update"], ["operator"])
    assert (create["verbs"], "resourceNames" in create) == (["create"], False)


@pytest.mark.parametrize("nodes", [True, False])
def test_manifests(nodes: bool) -> None:
    """Valid, each role bound to the one ServiceAccount, cluster-wide names told apart by namespace."""
    manifests = rbac_manifests("system", "operator", "lease", nodes=nodes)
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
    roles = {(one["kind"], one["metadata"]["name"]): one for one in manifests if "rules" in one}
    bindings: list[dict[str, Any]] = [one for one in manifests if "roleRef" in one]
    assert {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings} == roles.keys()
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": "system"}
    assert all(one["subjects"] == [subject] for one in bindings)
    assert all("system" in name for kind, name in roles if kind == "ClusterRole")
    assert any("nodes" in rule["resources"] for role in roles.values() for rule in role["rules"]) is nodes


def test_in_named_namespaces() -> None:
    """A Role in each, none for the cluster but the one for nodes, and all of them valid."""
    manifests = rbac_manifests("system", "operator", "lease", watched=["team-b", "team-a", "team-b"])
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
    rules = {
        (one["kind"], one["metadata"].get("namespace")): one["rules"]
        for one in manifests
        if one["kind"] in {"Role", "ClusterRole"}
    }
    assert rules == {
        ("Role", "team-a"): operator_rules(),
        ("Role", "team-b"): operator_rules(),
        ("Role", "system"): lease_rules("lease"),
        ("ClusterRole", None): node_rules(),
    }


def test_its_own_namespace_watched() -> None:
    """Two Roles of different names in one namespace: neither takes the other's place."""
    manifests = rbac_manifests("system", "operator", "lease", watched=["system"])
    names = [one["metadata"]["name"] for one in manifests if one["kind"] == "Role"]
    assert len(names) == len(set(names)) == 2
