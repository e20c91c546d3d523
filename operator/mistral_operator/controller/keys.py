"""The name of one MistralDeployment: what the queue holds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mistral_operator.api import names


class Key(NamedTuple):
    """Namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Key":
        """Return the key of an object; the namespace is empty where its kind has none."""
        return cls(body["metadata"].get("namespace", ""), body["metadata"]["name"])

    @classmethod
    def of_owner(cls, body: Mapping[str, Any]) -> "Key | None":
        """Return the key of the MistralDeployment that controls an object, if one does."""
        owner = controller_of(body)
        if owner is None or owner.get("kind") != names.KIND or not is_ours(owner):
            return None
        return cls(body["metadata"]["namespace"], owner["name"])


def controller_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return an object's controller reference; there is at most one."""
    references = body.get("metadata", {}).get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def is_ours(reference: Mapping[str, Any]) -> bool:
    """Tell whether an owner reference is to our API group, whatever its version."""
    return str(reference.get("apiVersion", "")).partition("/")[0] == names.GROUP
