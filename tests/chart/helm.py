"""Helm, and the chart, for tests: what it renders, and what it does to a cluster."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from devcluster.binaries import BINARIES, ensure
from devcluster.binaries.progress import Progress

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "mistral-operator"
CRD: Final = "mistraldeployments.mistral-operator.io"

Body = dict[str, Any]
Values = Mapping[str, Any]


class HelmError(Exception):
    """Helm refuses; ``str()`` is what it says."""


@dataclass(frozen=True)
class Release:
    """One release of the chart: its name, its namespace and its values."""

    name: str = "mistral-operator"
    namespace: str = "mistral-operator-system"
    values: Values = field(default_factory=dict)

    def rendered(self) -> list[Body]:
        """Return what ``helm template`` prints for it."""
        return _rendered(self.name, self.namespace, self.text)

    def find(self, kind: str, name: str | None = None) -> Body:
        """Return the one rendered object of a kind, or of a kind and a name."""
        (body,) = [
            body for body in self.rendered() if body["kind"] == kind and name in (None, body["metadata"]["name"])
        ]
        return body

    def container(self) -> Body:
        """Return the operator's container."""
        (container,) = self.find("Deployment")["spec"]["template"]["spec"]["containers"]
        return dict(container)

    @property
    def text(self) -> str:
        """Its values as YAML."""
        return json.dumps(self.values)


def helm(*arguments: str | Path, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
    """Run Helm and return what it prints.

    Raises
    ------
    HelmError
        When it fails.
    """
    command = [_helm(), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBECONFIG"))}
    if kubeconfig is not None:
        environment["KUBECONFIG"] = str(kubeconfig)
    done = subprocess.run(  # noqa: S603
        command, input=stdin, text=True, capture_output=True, check=False, timeout=120, env=environment
    )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def refusal(**values: Any) -> str | None:
    """Return what Helm says against values; None where it takes them."""
    try:
        Release(values=values).rendered()
    except HelmError as error:
        return str(error)
    return None


def rules_of(bodies: Sequence[Body]) -> list[Body]:
    """Return the rules of all roles."""
    return [rule for body in bodies if body["kind"] in ("Role", "ClusterRole") for rule in body["rules"]]


def arguments_of(container: Mapping[str, Any]) -> list[str]:
    """Return what a container gives to the command after ``run``."""
    command, *arguments = container["args"]
    assert command == "run"
    return [str(argument) for argument in arguments]


@cache
def _rendered(name: str, namespace: str, values: str) -> list[Body]:
    said = helm("template", name, CHART, f"--namespace={namespace}", "--values=-", stdin=values)
    return [body for body in yaml.load_all(said, Loader=yaml.CSafeLoader) if body]


@cache
def _helm() -> str:
    return str(ensure([BINARIES["helm"]], progress=Progress())["helm"])
