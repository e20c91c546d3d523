"""The CustomResourceDefinition, generated from the models: schema, rules, columns, scale."""

from typing import Any, Final

from mistral_operator.api import names
from mistral_operator.api.cel import ATOMIC, BOUNDS, LIST_KEYS, RULES, Path
from mistral_operator.api.kubernetes_schemas import KubernetesSchemas
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.api.structural import Schema, structural_schema

_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS: Final = (
    # name, type, path, priority (above 0: only with -o wide)
    ("Model", "string", ".spec.model.id", 0),
    ("Window", "integer", ".status.attention.slidingWindow", 0),
    ("Backend", "string", ".status.attention.backend", 0),
    ("Ready", "string", f"{_READY}.status", 0),
    ("Replicas", "integer", ".status.replicas", 0),
    ("Reason", "string", f"{_READY}.reason", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Commit", "string", ".status.model.commit", 1),
    ("GPU", "string", ".status.gpu", 1),
    ("URL", "string", ".status.url", 1),
)


def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition as it is applied."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": [names.CATEGORY],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema()},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                }
            ],
        },
    }


def _schema() -> Schema:
    kubernetes = KubernetesSchemas()
    schema: Schema = {
        "description": "A Mistral model, served by vLLM on the attention backend that its own config asks for.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(MistralDeploymentSpec, kubernetes.structural),
            "status": structural_schema(MistralDeploymentStatus, kubernetes.structural),
        },
    }
    for path, key in LIST_KEYS.items():
        _at(schema, path).update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]})
    for path in ATOMIC:
        _at(schema, path)["x-kubernetes-map-type"] = "atomic"
    for path, bounds in BOUNDS.items():
        _at(schema, path).update(bounds)
    for path, rules in RULES.items():
        _at(schema, path)["x-kubernetes-validations"] = [rule.as_validation() for rule in rules]
    return schema


def _at(schema: Schema, path: Path) -> Schema:
    """Return the schema of one field."""
    for part in path:
        schema = schema["items"] if part == "*" else schema["properties"][part]
    return schema


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path}
    return column | {"priority": priority} if priority else column
