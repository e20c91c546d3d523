"""Rights that the chart grants: those of the operator's single source, where it watches, and none beyond."""

import json
from typing import Any

import pytest

from chart.helm import Body, Release, rules_of
from chart.value_sets import SETS
from mistral_operator.cluster.rbac import lease_rules, node_rules, operator_rules, rbac_manifests


def granted(release: Release) -> dict[tuple[str, str], list[Body]]:
    """Return what the operator's ServiceAccount is bound to: rules, by kind and namespace of the role."""
    bodies = release.rendered()
    found: dict[tuple[str, str], list[Body]] = {}
    for binding in (body for body in bodies if body["kind"].endswith("RoleBinding")):
        (subject,) = binding["subjects"]
        pod = release.find("Deployment")["spec"]["template"]["spec"]
        assert subject == {
            "kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": release.namespace
        }  # fmt: skip
        namespace = binding["metadata"].get("namespace", "")
        (role,) = [
            body for body in bodies
            if (body["kind"], body["metadata"]["name"], body["metadata"].get("namespace", ""))
            == (binding["roleRef"]["kind"], binding["roleRef"]["name"], namespace)
        ]  # fmt: skip
        found.setdefault((role["kind"], namespace), []).extend(role["rules"])
    return found


def test_everywhere() -> None:
    """The same as `mistral-operator rbac` grants."""
    release = Release()
    lease = "mistral-operator"
    assert granted(release) == {
        ("ClusterRole", ""): [*operator_rules(), *node_rules()],
        ("Role", release.namespace): lease_rules(lease),
    }
    printed = rules_of(rbac_manifests(release.namespace, "mistral-operator", lease))
    ours = [rule for rules in granted(release).values() for rule in rules]
    assert sorted(json.dumps(rule, sort_keys=True) for rule in printed) == sorted(
        json.dumps(rule, sort_keys=True) for rule in ours
    )


def test_in_named_namespaces() -> None:
    """A Role in each; nodes are read by a ClusterRole of their own."""
    release = Release("one", "system", {"watchNamespaces": ["a", "b", "a"]})
    assert granted(release) == {
        ("Role", "a"): operator_rules(),
        ("Role", "b"): operator_rules(),
        ("Role", "system"): lease_rules("one-mistral-operator"),
        ("ClusterRole", ""): node_rules(),
    }


def test_in_its_own_namespace_alone() -> None:
    """Nothing is cluster-scoped, so that a namespace's admin can install it."""
    release = SETS["the rights of a namespace's admin"]
    assert {body["kind"] for body in release.rendered()} == {"ServiceAccount", "Role", "RoleBinding", "Deployment"}
    assert granted(release) == {("Role", "team-a"): [*lease_rules("mine-mistral-operator"), *operator_rules()]}


def test_the_lease_is_the_one_that_may_be_written() -> None:
    """A release with a long name, too."""
    for release in SETS.values():
        if rules := [rule for rule in rules_of(release.rendered()) if rule["resources"] == ["leases"]]:
            (name,) = rules[0]["resourceNames"]
            assert f"--lease-name={name}" in release.container()["args"]


@pytest.mark.parametrize("name", SETS)
def test_no_star(name: str) -> None:
    """No rule is for everything of anything."""
    for rule in rules_of(SETS[name].rendered()):
        assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]


@pytest.mark.parametrize(
    ("to", "rights"),
    [
        ("view", {"get", "list", "watch"}),
        ("edit", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
        ("admin", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
    ],
)
def test_the_clusters_own_roles(to: str, rights: set[str]) -> None:
    """Whoever may view or edit a namespace may do so with MistralDeployments; a status is the operator's alone."""
    label = f"rbac.authorization.k8s.io/aggregate-to-{to}"
    roles = [body for body in Release().rendered() if body["metadata"].get("labels", {}).get(label) == "true"]
    verbs: dict[str, set[str]] = {}
    for rule in rules_of(roles):
        assert rule["apiGroups"] == ["mistral-operator.io"]
        for resource in rule["resources"]:
            verbs.setdefault(resource, set()).update(rule["verbs"])
    assert verbs["mistraldeployments"] == rights
    assert verbs["mistraldeployments/status"] == {"get", "list", "watch"}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"rbac": {"create": False}}, {"ClusterRole"}),
        ({"rbac": {"create": False, "aggregateClusterRoles": False}}, set()),
        ({"rbac": {"aggregateClusterRoles": False}}, {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}),
    ],
)
def test_left_out(values: dict[str, Any], kinds: set[str]) -> None:
    """Roles that others make, or that nobody wants."""
    assert {body["kind"] for body in Release(values=values).rendered() if "Role" in body["kind"]} == kinds
