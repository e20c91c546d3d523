"""Fields that are Kubernetes' own types: read as plain JSON, described by Kubernetes' own schemas."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

CORE_TYPE_KEY: Final = "x-core-type"


@dataclass(frozen=True, slots=True)
class CoreType:
    """Marks a JSON value as one of Kubernetes' types, such as ``io.k8s.api.core.v1.Affinity``.

    The generated schema holds only a placeholder; :mod:`mistral_operator.api.crd` puts Kubernetes' own schema there.
    """

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {CORE_TYPE_KEY: self.name}


def core_types_in(schema: Any) -> frozenset[str]:
    """Return the names of all of Kubernetes' types that a generated schema has placeholders for."""
    if isinstance(schema, list):
        return frozenset().union(*(core_types_in(item) for item in schema))
    if not isinstance(schema, dict):
        return frozenset()
    own = frozenset({schema[CORE_TYPE_KEY]} if isinstance(schema.get(CORE_TYPE_KEY), str) else ())
    return own.union(*(core_types_in(value) for value in schema.values()))
