"""Helm at work on a control plane."""

import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from chart.helm import CHART, CRD, Body, Release, helm
from devcluster.controlplane import ControlPlane
from devcluster.definitions import delete_definition, until_established

# of the Prometheus operator, as far as Helm must know them
_MONITORING = {"servicemonitors": "ServiceMonitor", "podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"}


class Installer:
    """Installs releases of the chart, as the administrator unless another kubeconfig is named."""

    def __init__(self, plane: ControlPlane, kubeconfig: Path | None = None) -> None:
        self.plane = plane
        self._kubeconfig = kubeconfig or plane.admin_kubeconfig

    def install(self, release: Release, *flags: str, chart: Path = CHART) -> str:
        """Install a release; return its notes."""
        said = self._run("install", release, chart, "--values=-", *flags, stdin=release.text)
        return said.partition("NOTES:\n")[2]

    def upgrade(self, release: Release, *flags: str, chart: Path = CHART) -> str:
        """Upgrade a release; return its notes."""
        said = self._run("upgrade", release, chart, "--reset-values", "--values=-", *flags, stdin=release.text)
        return said.partition("NOTES:\n")[2]

    def uninstall(self, release: Release) -> str:
        """Uninstall a release."""
        return self._run("uninstall", release, "--wait", "--timeout=60s")

    def _run(self, verb: str, release: Release, *arguments: str | Path, stdin: str | None = None) -> str:
        where = f"--namespace={release.namespace}"
        return helm(verb, release.name, *arguments, where, stdin=stdin, kubeconfig=self._kubeconfig)

    def releases(self) -> list[Release]:
        """Return the releases there are."""
        said = helm("list", "--all-namespaces", "--output=json", kubeconfig=self.plane.admin_kubeconfig)
        return [Release(found["name"], found["namespace"]) for found in json.loads(said)]

    def add_namespaces(self, *names: str) -> None:
        """Make namespaces that there are not."""
        bodies = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
        self.plane.apply(*bodies)

    def add_monitoring(self) -> None:
        """Serve the kinds of the Prometheus operator."""
        self.plane.apply(*(_definition(plural, kind) for plural, kind in _MONITORING.items()))
        for plural in _MONITORING:
            until_established(self.plane, f"{plural}.monitoring.coreos.com")

    def definition(self) -> Body | None:
        """Return the CustomResourceDefinition, if it is there."""
        found: Body | None = self.plane.get("crd", CRD)
        return found

    def until_served(self) -> None:
        """Wait for MistralDeployments to be served."""
        until_established(self.plane, CRD)

    def missing(self, bodies: Iterable[Body]) -> list[str]:
        """Return the rendered objects that are not in the cluster, or differ there from what was rendered."""
        bodies = [*bodies]
        text = yaml.safe_dump_all(bodies)
        said = self.plane.kubectl("get", "-f", "-", "-o", "json", "--ignore-not-found", stdin=text)
        found = json.loads(said or '{"items": []}')
        there = {_name(body): body for body in found.get("items", [found])}
        return [f"{name}" for body in bodies if not _holds(there.get(name := _name(body)), body)]

    def clear(self) -> None:
        """Uninstall everything, the definition and all objects included."""
        for release in self.releases():
            self.uninstall(release)
        delete_definition(self.plane, CRD)


def _definition(plural: str, kind: str) -> Body:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def _name(body: Body) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def _holds(there: object, wanted: object) -> bool:
    """Tell whether everything that is wanted is there; the cluster may have added to it."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            _holds(there.get(key), value) for key, value in wanted.items() if value not in (None, "", {}, [])
        )
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_holds, there, wanted))
    return there == wanted
