"""The life of a release: models outlive it, and what there is already is neither lost nor taken by accident."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from chart.helm import CHART, CRD, HelmError, Release
from chart.installing import Installer
from mistral_operator.cli.crd import crd_yaml

MODEL: Final = {
    "apiVersion": "mistral-operator.io/v1alpha1",
    "kind": "MistralDeployment",
    "metadata": {"name": "m", "namespace": "default"},
    "spec": {"model": {"id": "mistralai/Mistral-7B-v0.1"}},
}
OURS: Final = Release("mistral-operator", "life")
OTHER: Final = Release("another", "life-elsewhere")


@pytest.fixture
def life(installer: Installer) -> Installer:
    """Return Helm on a cluster with the namespaces of these tests."""
    installer.add_namespaces(OURS.namespace, OTHER.namespace, "team-a", "team-b")
    return installer


def add_model(life: Installer) -> str:
    """Create an object, and return its uid."""
    life.until_served()
    life.plane.apply(MODEL)
    return uid_of_model(life)


def uid_of_model(life: Installer) -> str:
    """Return the uid of that object; empty where it is gone."""
    body = life.plane.get("mdep", "m", "--namespace=default")
    return str(body["metadata"]["uid"]) if body else ""


def with_values(release: Release, **values: Any) -> Release:
    """Return a release with other values."""
    return Release(release.name, release.namespace, values)


def test_models_outlive_a_release(life: Installer) -> None:
    """Upgrade, uninstall and the same release anew: the object is the same one throughout."""
    life.install(OURS)
    uid = add_model(life)
    life.upgrade(with_values(OURS, replicaCount=2))
    assert uid_of_model(life) == uid
    life.uninstall(OURS)
    assert uid_of_model(life) == uid
    life.install(OURS)
    assert uid_of_model(life) == uid


def test_the_definition_is_upgraded_with_the_chart(life: Installer, tmp_path: Path) -> None:
    """A release of an older chart gets the new fields; objects stay."""
    older = tmp_path / "older"
    shutil.copytree(CHART, older)
    definition = yaml.safe_load(crd_yaml())
    fields = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del fields["schedulerName"]
    (older / "files" / "crd.yaml").write_text(yaml.safe_dump(definition), encoding="utf-8")
    metadata = yaml.safe_load((older / "Chart.yaml").read_text(encoding="utf-8")) | {"version": "0.0.9"}
    (older / "Chart.yaml").write_text(yaml.safe_dump(metadata), encoding="utf-8")

    def knows() -> bool:
        return "schedulerName" in json.dumps(life.definition())

    life.install(OURS, chart=older)
    uid = add_model(life)
    assert not knows()
    life.upgrade(OURS)
    assert knows()
    assert uid_of_model(life) == uid


@pytest.mark.parametrize("flags", [("--take-ownership",), ()], ids=["taken over", "left to whom it belongs"])
def test_another_release_after_one_that_is_gone(life: Installer, flags: tuple[str, ...]) -> None:
    """Helm refuses a kept definition; there are two ways on, and objects stay in both."""
    life.install(OURS)
    uid = add_model(life)
    life.uninstall(OURS)
    with pytest.raises(HelmError, match=f'(?s){CRD}.*invalid ownership metadata.*"another"'):
        life.install(OTHER)
    life.install(OTHER if flags else with_values(OTHER, crds={"enabled": False}), *flags)
    definition = life.definition()
    assert definition is not None
    owner = OTHER if flags else OURS
    assert definition["metadata"]["annotations"]["meta.helm.sh/release-name"] == owner.name
    life.uninstall(OTHER)
    assert uid_of_model(life) == uid


def test_after_kubectl(life: Installer) -> None:
    """A definition that kubectl applied is refused, and taken over when Helm is told to."""
    life.plane.kubectl("apply", "--server-side", "-f", "-", stdin=crd_yaml())
    uid = add_model(life)
    with pytest.raises(HelmError, match=r"(?s)invalid ownership metadata.*app.kubernetes.io/managed-by"):
        life.install(OURS)
    life.install(OURS, "--take-ownership")
    life.upgrade(OURS)
    life.uninstall(OURS)
    assert uid_of_model(life) == uid


def test_an_older_definition_of_kubectl(life: Installer) -> None:
    """Fields that kubectl owns with other contents need --force-conflicts too, once."""
    definition = yaml.safe_load(crd_yaml())
    definition["spec"]["versions"][0]["additionalPrinterColumns"].pop()
    life.plane.apply(definition)
    with pytest.raises(HelmError, match="conflict"):
        life.install(OURS, "--take-ownership")
    life.upgrade(OURS, "--install", "--take-ownership", "--force-conflicts")
    found = life.definition()
    assert found is not None
    assert len(found["spec"]["versions"][0]["additionalPrinterColumns"]) == 10
    life.upgrade(OURS)


@pytest.mark.parametrize("values", [{"crds": {"enabled": False}}, {"crds": {"enabled": False, "keep": False}}])
def test_a_definition_that_is_given_up(life: Installer, values: dict[str, Any]) -> None:
    """An upgrade that no longer has it does not delete it."""
    life.install(OURS)
    uid = add_model(life)
    life.upgrade(with_values(OURS, **values))
    assert uid_of_model(life) == uid
    life.uninstall(OURS)
    assert uid_of_model(life) == uid


def test_a_definition_that_is_not_kept(life: Installer) -> None:
    """It goes with the release, with everything: notes say so beforehand."""
    notes = life.install(with_values(OURS, crds={"keep": False}))
    assert "WARNING: crds.keep=false" in notes
    add_model(life)
    life.uninstall(OURS)
    assert life.definition() is None


def test_two_that_watch_everything(life: Installer) -> None:
    """The second is refused, with what to do; the first can still be upgraded."""
    life.install(OURS)
    with pytest.raises(HelmError, match="Release mistral-operator in namespace life watches every namespace already"):
        life.install(with_values(OTHER, crds={"enabled": False}))
    with pytest.raises(HelmError, match="watches every namespace already"):
        life.install(with_values(OTHER, crds={"enabled": False}, watchNamespaces=["team-a"]))
    life.upgrade(OURS)
    assert life.releases() == [OURS]


def test_what_a_lost_release_left(life: Installer) -> None:
    """The command that the refusal names clears the way."""
    life.install(OURS)
    life.plane.kubectl(
        "delete", "secret", "--namespace=life", "-l", "owner=helm"
    )  # as if its namespace had been deleted
    other = with_values(OTHER, crds={"enabled": False})
    with pytest.raises(HelmError) as refused:
        life.install(other)
    _, _, command = str(refused.value).partition("kubectl ")
    life.plane.kubectl(*command.split())
    life.install(other)
    for kind in ("deployment", "role", "rolebinding", "serviceaccount"):
        life.plane.kubectl("delete", kind, "--namespace=life", "-l", "app.kubernetes.io/instance=mistral-operator")
    selector = "app.kubernetes.io/instance=mistral-operator"
    life.plane.kubectl("delete", "clusterrole,clusterrolebinding", "-l", selector)


def test_side_by_side(life: Installer) -> None:
    """Two releases that watch different namespaces get along, in two namespaces and in one; a third is refused."""
    first = with_values(OURS, watchNamespaces=["team-a"])
    life.install(first)
    second = with_values(OTHER, watchNamespaces=["team-b"], crds={"enabled": False})
    life.install(second)
    same = Release("third", OURS.namespace, {"watchNamespaces": ["life"], "crds": {"enabled": False}})
    life.install(same)
    for release in (first, second, same):
        rendered = [body for body in release.rendered() if body["kind"] != "CustomResourceDefinition"]
        assert life.missing(rendered) == []
    with pytest.raises(HelmError, match="Release another in namespace life-elsewhere watches namespace team-b already"):
        life.upgrade(with_values(OURS, watchNamespaces=["team-a", "team-b"]))
    with pytest.raises(HelmError, match=r"Release .* watches namespace .* already"):
        life.upgrade(with_values(OURS))
    life.uninstall(second)
    life.upgrade(with_values(OURS, watchNamespaces=["team-a", "team-b"]))


def test_from_named_namespaces_to_all_and_back(life: Installer) -> None:
    """A release is not in its own way, and leaves no role behind where it no longer watches."""
    for values in ({"watchNamespaces": ["team-a"]}, {}, {"watchNamespaces": ["team-b"]}):
        release = with_values(OURS, **values)
        life.upgrade(release, "--install")
        assert life.missing(body for body in release.rendered() if body["kind"] != "CustomResourceDefinition") == []
    selector = "mistral-operator.io/watches"
    roles = life.plane.get("role,clusterrole", "--all-namespaces", "-l", selector)["items"]
    assert [role["metadata"].get("namespace") for role in roles] == ["team-b"]


def test_the_owner_of_a_namespace(life: Installer) -> None:
    """Whoever may do everything in one namespace, and nothing outside, can install an operator there."""
    life.plane.kubectl("apply", "--server-side", "-f", "-", stdin=crd_yaml())
    life.plane.kubectl("create", "serviceaccount", "owner", "--namespace=team-a")
    life.plane.kubectl("create", "role", "owner", "--namespace=team-a", "--verb=*", "--resource=*.*")
    everything = ("--role=owner", "--serviceaccount=team-a:owner")
    life.plane.kubectl("create", "rolebinding", "owner", "--namespace=team-a", *everything)
    owner = Installer(life.plane, life.plane.kubeconfig_for_service_account("team-a", "owner"))
    values = {"watchNamespaces": ["team-a"], "crds": {"enabled": False}}
    with pytest.raises(HelmError, match="forbidden"):
        owner.install(Release("mine", "team-a", values))
    release = Release("mine", "team-a", values | {"rbac": {"nodes": False, "aggregateClusterRoles": False}})
    owner.install(release)
    assert life.missing(release.rendered()) == []
    owner.uninstall(release)


def test_the_commands_of_the_notes_work(life: Installer) -> None:
    """As they stand there, one after the other, in a namespace that asks for the Pod Security level *restricted*."""
    life.plane.kubectl("label", "namespace", OURS.namespace, "pod-security.kubernetes.io/enforce=restricted")
    life.plane.kubectl("create", "namespace", "told")
    notes = life.install(with_values(OURS, watchNamespaces=["told"]))
    life.until_served()
    blocks = notes.split("kubectl ")[1:]
    assert len(blocks) == 3
    ready, apply, describe = blocks
    assert "successfully rolled out" in life.plane.kubectl(*ready.splitlines()[0].split())
    here = apply.partition("<<'YAML'\n")[2].partition("\nYAML\n")[0]
    assert "mistral-7b serverside-applied" in life.plane.kubectl(
        "apply", "--server-side", "-f", "-", stdin=here
    ).replace("mistraldeployment.mistral-operator.io/", "")
    assert notes.rstrip().endswith(describe.rstrip())
    assert "Mistral-7B-v0.1" in life.plane.kubectl(*describe.split())
