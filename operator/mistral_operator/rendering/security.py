"""Security contexts that pass the *restricted* Pod Security level; a user's own are merged over them."""

from collections.abc import Mapping
from typing import Any, Final

from mistral_operator.api.spec import MistralDeploymentSpec

_USER: Final = 2000  # the image has it in /etc/passwd; torch 2.11 dies at import without an entry


def pod_security(spec: MistralDeploymentSpec) -> dict[str, Any]:
    """Return the pod's security context."""
    ours = {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "fsGroupChangePolicy": "OnRootMismatch",  # a volume of weights takes minutes to walk
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return _merged(ours, spec.pod_security_context or {})


def container_security(spec: MistralDeploymentSpec) -> dict[str, Any]:
    """Return the vLLM container's security context."""
    ours = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    return _merged(ours, spec.security_context or {})


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(ours)
    for name, value in theirs.items():
        before = merged.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged
