"""Whom the children belong to, and the names and labels that follow from it."""

from dataclasses import dataclass
from typing import Any

from mistral_operator.api import names

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """One MistralDeployment. Without a uid, as on a command line, children are rendered without ownerReferences."""

    name: str
    namespace: str
    uid: str | None = None


def metadata_of(owner: Owner, annotations: dict[str, str] | None = None) -> Manifest:
    """Return a child's metadata: all children bear the owner's name."""
    metadata: Manifest = {"name": owner.name, "namespace": owner.namespace, "labels": labels_of(owner.name)}
    if annotations:
        metadata["annotations"] = annotations
    if owner.uid is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return metadata


def labels_of(owner_name: str) -> dict[str, str]:
    """Return the labels of everything that belongs to an owner; the watches are filtered by managed-by."""
    return {
        **selector_of(owner_name),
        "app.kubernetes.io/component": "model-server",
        names.MANAGED_BY_LABEL: names.MANAGER,
    }


def selector_of(owner_name: str) -> dict[str, str]:
    """Return the labels that select an owner's pods; a Deployment's selector can never change."""
    return {"app.kubernetes.io/name": "vllm", names.INSTANCE_LABEL: owner_name}


def selector_text(selector: dict[str, str]) -> str:
    """Return a selector as the scale subresource tells it."""
    return ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
