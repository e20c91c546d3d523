"""What the kubeconfig says of one of its contexts."""

import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from mistral_operator.cluster.connection import NoClusterError


def namespace_of(context: str) -> str:
    """Return the namespace that a context names, or "default".

    Raises
    ------
    NoClusterError
        When there is no kubeconfig that can be read, or no such context in it.
    """
    contexts = _contexts()
    if context not in contexts:
        there = f"it has {', '.join(sorted(contexts))}" if contexts else "it has none"
        raise NoClusterError(f"{KUBE_CONFIG_DEFAULT_LOCATION} has no context {context!r}: {there}.")
    return str(contexts[context].get("namespace") or "default")


def _contexts() -> dict[str, dict[str, Any]]:
    """Return all contexts by name; the client's own list asks for a current context, which need not be."""
    locations = str(KUBE_CONFIG_DEFAULT_LOCATION)
    if not any(Path(path).expanduser().is_file() for path in locations.split(os.pathsep) if path):
        raise NoClusterError(f"There is no kubeconfig at {locations}.")
    try:
        found = [node.value for node in KubeConfigMerger(locations).config.value["contexts"]]
        return {str(one["name"]): one.get("context") or {} for one in found}
    except (OSError, yaml.YAMLError, TypeError, AttributeError, LookupError) as error:
        why = " ".join(str(error).split())
        raise NoClusterError(f"{locations} is no kubeconfig: {why}.") from error
