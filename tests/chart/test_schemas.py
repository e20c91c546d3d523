"""Whatever the values: manifests that Kubernetes' own schemas admit, and a command line that the operator takes."""

from typing import Final

import kubernetes_validate
import pytest
import typer

from chart.helm import Release, arguments_of
from chart.value_sets import SETS
from mistral_operator.cli.app import app

OF_OTHERS: Final = "monitoring.coreos.com/v1"  # of the Prometheus operator
VERSIONS: Final = [f"1.{minor}" for minor in range(31, 38)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SETS)
def test_manifests_are_valid(name: str, version: str) -> None:
    """In each release of Kubernetes that the chart is for, with no field that it does not know."""
    for body in SETS[name].rendered():
        if body["apiVersion"] != OF_OTHERS and body["kind"] != "CustomResourceDefinition":
            kubernetes_validate.validate(body, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_definition_is_valid(version: str) -> None:
    """The same whatever the values."""
    kubernetes_validate.validate(Release().find("CustomResourceDefinition"), version, strict=True)


@pytest.mark.parametrize("name", SETS)
def test_names_and_labels(name: str) -> None:
    """Names are unique and no longer than Kubernetes admits; what is namespaced says where; all have our labels."""
    seen: set[tuple[str, str, str]] = set()
    for body in SETS[name].rendered():
        metadata, kind = body["metadata"], body["kind"]
        cluster_wide = kind in ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
        assert ("namespace" in metadata) is not cluster_wide
        key = (kind, metadata.get("namespace", ""), metadata["name"])
        assert key not in seen
        seen.add(key)
        assert len(metadata["name"]) <= (253 if "Role" in kind or kind == "CustomResourceDefinition" else 63)
        if kind in ("ClusterRole", "ClusterRoleBinding"):
            assert metadata["name"].startswith(f"{SETS[name].namespace}:")
        assert all(len(value) <= 63 for value in metadata.get("labels", {}).values())


@pytest.mark.parametrize("name", SETS)
def test_the_command_takes_its_arguments(name: str) -> None:
    """Each argument exists and parses; the last of a kind counts."""
    group = typer.main.get_command(app)
    run = group.commands["run"]  # type: ignore[attr-defined]  # a group's
    parsed = run.make_context("run", arguments_of(SETS[name].container())).params
    assert parsed["lease_namespace"] == SETS[name].namespace
    assert sorted(parsed["namespace"] or ()) == sorted(SETS[name].values.get("watchNamespaces", ()))


def test_selectors_meet_the_pods() -> None:
    """Deployment, disruption budget, Service, NetworkPolicy and spread all mean the operator's pods."""
    values = {"replicaCount": 2, "networkPolicy": {"enabled": True}, "metrics": {"service": {"enabled": True}}}
    release = Release("one", "system", values)
    template = release.find("Deployment")["spec"]["template"]
    selectors = [
        release.find("Deployment")["spec"]["selector"]["matchLabels"],
        release.find("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        release.find("Service")["spec"]["selector"],
        release.find("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        template["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector == selectors[0] for selector in selectors)
    assert selectors[0].items() <= template["metadata"]["labels"].items()
    other = Release("two", "system", values).find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not selectors[0].items() <= other.items()
