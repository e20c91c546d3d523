"""From a pydantic model to a structural schema, the kind that a CustomResourceDefinition takes.

A structural schema is a tree: no references, no alternatives with null, one type for each value. ``null`` in a model
means "not given", which Kubernetes says by leaving the field out.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from mistral_operator.api.core_type import CORE_TYPE_KEY

Schema = dict[str, Any]

_KEPT: Final = (
    "type", "enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "maxProperties",
)  # fmt: skip


def structural_schema(model: type[BaseModel], core_type: Callable[[str], Schema]) -> Schema:
    """Return a model's schema.

    Parameters
    ----------
    core_type
        Returns Kubernetes' own schema of one of its types, such as ``io.k8s.api.core.v1.Affinity``.
    """
    generated = model.model_json_schema(by_alias=True)
    return _structural(generated, generated.get("$defs", {}), core_type)


def _structural(found: Mapping[str, Any], definitions: Mapping[str, Any], core_type: Callable[[str], Schema]) -> Schema:
    flat = _flattened(found, definitions)
    if CORE_TYPE_KEY in flat:
        schema = dict(core_type(flat[CORE_TYPE_KEY]))
    else:
        schema = {name: flat[name] for name in _KEPT if name in flat}
        if "const" in flat:
            schema |= {"type": "string", "enum": [flat["const"]]}
        if "exclusiveMinimum" in flat:  # OpenAPI 3.0 has a flag where JSON Schema has a number
            schema |= {"minimum": flat["exclusiveMinimum"], "exclusiveMinimum": True}
        if "properties" in flat:
            properties = flat["properties"].items()
            schema["properties"] = {name: _structural(of, definitions, core_type) for name, of in properties}
        if flat.get("required"):
            schema["required"] = list(flat["required"])
        if "items" in flat:
            schema["items"] = _structural(flat["items"], definitions, core_type)
        if isinstance(flat.get("additionalProperties"), Mapping):
            schema["additionalProperties"] = _structural(flat["additionalProperties"], definitions, core_type)
    default = flat.get("default", _default_of(schema))
    if default is not None:
        schema["default"] = default
    if "description" in flat:
        schema["description"] = flat["description"]
    return schema


def _flattened(found: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references and drop the alternative null; what stands nearer to the field wins."""
    flat = dict(found)
    alternatives = [one for one in flat.pop("anyOf", ()) if one.get("type") != "null"]
    if len(alternatives) > 1:
        raise ValueError(f"a structural schema has one type for each value, not {alternatives}")
    for one in alternatives:
        flat = {**_flattened(one, definitions), **flat}
    reference = flat.pop("$ref", None)
    if reference is not None:
        flat = {**_flattened(definitions[reference.rpartition("/")[2]], definitions), **flat}
    return flat


def _default_of(schema: Schema) -> dict[str, Any] | None:
    """Default an object whose fields all have defaults of their own, or the API server would never fill them in.

    Whole, because the API server holds a default against the rules before it fills anything in.
    """
    if schema.get("required"):
        return None
    return {name: of["default"] for name, of in schema.get("properties", {}).items() if "default" in of} or None
