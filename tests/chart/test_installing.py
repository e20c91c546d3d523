"""Every set of values, installed on a real control plane, upgraded and uninstalled."""

import pytest

from chart.helm import Release
from chart.installing import Installer
from chart.value_sets import SETS


def namespaces_of(release: Release) -> list[str]:
    """Return the namespaces that must be there beforehand."""
    return [release.namespace, *release.values.get("watchNamespaces", ())]


@pytest.mark.parametrize("name", SETS)
def test_installed_upgraded_uninstalled(installer: Installer, name: str) -> None:
    """The API server takes everything, an upgrade to the same changes nothing, only the definition is left."""
    release = SETS[name]
    installer.add_namespaces(*namespaces_of(release))
    installer.add_monitoring()
    installer.install(release)
    rendered = [body for body in release.rendered() if body["kind"] != "CustomResourceDefinition"]
    assert installer.missing(rendered) == []
    deployment = installer.plane.get(
        "deployment", "--all-namespaces", "-l", f"app.kubernetes.io/instance={release.name}"
    )
    installer.upgrade(release)
    again = installer.plane.get("deployment", "--all-namespaces", "-l", f"app.kubernetes.io/instance={release.name}")
    assert [body["metadata"]["generation"] for body in again["items"]] == [
        body["metadata"]["generation"] for body in deployment["items"]
    ]
    installer.uninstall(release)
    assert len(installer.missing(rendered)) == len(rendered)
    values = {"enabled": True, "keep": True} | dict(release.values.get("crds", {}))
    assert (installer.definition() is not None) is (values["enabled"] and values["keep"])
