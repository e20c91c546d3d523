"""Kubernetes' own schemas of the types that stand in a MistralDeployment, as its API server publishes them.

Kept as a file beside this one, so that generating the CustomResourceDefinition needs no cluster;
``python -m devcluster.kubernetes_schemas`` writes it anew from a running API server.
"""

import json
import re
from importlib import resources
from typing import Any, Final

from mistral_operator.api.structural import Schema

_FILE: Final = "kubernetes_schemas.json"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY_PATTERN: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_EITHER: Final = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_STRINGS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_WRITTEN_BY_HAND: Final[dict[str, Schema]] = {
    _QUANTITY: {**_EITHER, "pattern": _QUANTITY_PATTERN, "maxLength": 64},
    _INT_OR_STRING: _EITHER,
    # of a template's metadata Kubernetes takes these two
    _OBJECT_META: {
        "type": "object",
        "properties": {
            "labels": _STRINGS | {"description": "Labels of the claim."},
            "annotations": _STRINGS | {"description": "Annotations of the claim."},
        },
    },
}
_KEPT: Final = (
    "type", "format", "description", "required", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)  # fmt: skip


class KubernetesSchemas:
    """Schemas by the name of the type.

    Attributes
    ----------
    definitions : dict
        As the API server publishes them, references and all.
    """

    def __init__(self) -> None:
        text = resources.files("mistral_operator.api").joinpath(_FILE).read_text(encoding="utf-8")
        self.definitions: dict[str, Any] = json.loads(text)

    def structural(self, name: str) -> Schema:
        """Return one type's schema, references followed.

        Raises
        ------
        KeyError
            When the file has no such type.
        """
        return _WRITTEN_BY_HAND.get(name) or self._structural(self.definitions[name])

    def _structural(self, found: dict[str, Any]) -> Schema:
        flat = self._flattened(found)
        name = flat.pop("", None)
        if name is not None:
            return {**_WRITTEN_BY_HAND[name], **{key: flat[key] for key in ("description",) if key in flat}}
        schema: Schema = {key: flat[key] for key in _KEPT if key in flat}
        if "description" in schema:
            schema["description"] = _first_sentence(schema["description"])
        map_keys = frozenset(schema.get("x-kubernetes-list-map-keys", ()))
        if "properties" in flat:
            schema["properties"] = {name: self._structural(of) for name, of in flat["properties"].items()}
        if "items" in flat:
            schema["items"] = self._structural(flat["items"])
            self._default_map_keys(schema["items"], flat["items"], map_keys)
        if "additionalProperties" in flat:
            schema["additionalProperties"] = self._structural(flat["additionalProperties"])
        return schema

    def _flattened(self, found: dict[str, Any]) -> dict[str, Any]:
        """Follow references; the field's own description wins. The name of a type written by hand stands at ``""``."""
        flat = dict(found)
        for one in flat.pop("allOf", ()):
            flat = {**self._flattened(one), **flat}
        reference = flat.pop("$ref", None)
        if reference is None:
            return flat
        name = reference.rpartition("/")[2]
        if name in _WRITTEN_BY_HAND:
            return {"": name, **flat}
        return {**self._flattened(self.definitions[name]), **flat}

    def _default_map_keys(self, items: Schema, found: dict[str, Any], map_keys: frozenset[str]) -> None:
        """Keep Kubernetes' defaults on the keys of a list-map alone: there they are demanded, elsewhere refused."""
        properties = self._flattened(found).get("properties", {})
        for key in map_keys - frozenset(items.get("required", ())):
            items["properties"][key]["default"] = properties[key].get("default", "")


def _first_sentence(text: str) -> str:
    """Shorten a description: whole ones make the definition too large for client-side ``kubectl apply``."""
    return re.split(r"(?<=[a-z0-9)`'\"])\.\s", " ".join(text.split()), maxsplit=1)[0].rstrip(".") + "."
