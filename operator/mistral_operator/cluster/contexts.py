"""What the kubeconfig says of one of its contexts."""

import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from mistral_operator.cluster.connection import NoClusterError


def namespace_of(context: str | None) -> str:
    """Return the namespace that a context, or the current one when None, names, or "default".

    Raises
    ------
    NoClusterError
        When there is no kubeconfig that can be read, or no such context in it.
    """
    config = _kubeconfig()
    contexts = config["contexts"]
    name = config["current-context"] if context is None else context
    if name not in contexts:
        there = f"it has {', '.join(sorted(contexts))}" if contexts else "it has none"
        wanted = "current context" if name is None else f"context {name!r}"
        raise NoClusterError(f"{KUBE_CONFIG_DEFAULT_LOCATION} has no {wanted}: {there}.")
    return str(contexts[name].get("namespace") or "default")


def _kubeconfig() -> dict[str, Any]:
    """Return all contexts by name and the current one's; the client's own list asks for one, which need not be."""
    locations = str(KUBE_CONFIG_DEFAULT_LOCATION)
    if not any(Path(path).expanduser().is_file() for path in locations.split(os.pathsep) if path):
        raise NoClusterError(f"There is no kubeconfig at {locations}.")
    try:
        config = KubeConfigMerger(locations).config.value
        found = [node.value for node in config["contexts"]]
        contexts = {str(one["name"]): one.get("context") or {} for one in found}
        return {"contexts": contexts, "current-context": config.get("current-context") or None}
    except (OSError, yaml.YAMLError, TypeError, AttributeError, LookupError) as error:
        why = " ".join(str(error).split())
        raise NoClusterError(f"{locations} is no kubeconfig: {why}.") from error
