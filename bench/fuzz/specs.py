"""Specs drawn from the CustomResourceDefinition's own schema: mostly of the right types, with values nobody foresaw."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bench.fuzz.values import SENSIBLE, Values
from mistral_operator.api.crd import custom_resource_definition

MODELS: Final = (
    "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-Nemo-Instruct-2407",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
)
Schema = Mapping[str, Any]


class Specs:
    """Draws specs."""

    def __init__(self, values: Values) -> None:
        self._values = values
        versions = custom_resource_definition()["spec"]["versions"]
        self._schema: Schema = versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    @property
    def fields(self) -> Iterable[str]:
        """Names of a spec's fields."""
        return tuple(self._schema["properties"])

    def draw(self) -> dict[str, Any]:
        """Draw a spec; three of four name a model that the hub has, so that they come to be planned."""
        spec: dict[str, Any] = self._object(self._schema, 0)
        if self._values.source.random() < 0.75:
            spec["model"] = {"id": self._values.source.choice(MODELS)}
        return spec

    def _draw(self, schema: Schema, depth: int) -> Any:
        source = self._values.source
        if source.random() < 0.01:
            return self._values.json(2)
        if "enum" in schema:
            return source.choice(schema["enum"])
        if schema.get("x-kubernetes-int-or-string"):
            return source.choice([*SENSIBLE, 1, 8, self._values.number()])
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return [self._draw(schema["items"], depth + 1) for _ in range(source.choice((0, 1, 1, 2)))]
        if kind == "boolean":
            return source.random() < 0.5
        if kind in ("integer", "number"):
            return self._number(schema)
        if kind == "string":
            return self._text(schema)
        return self._values.json(2)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        source = self._values.source
        properties = schema.get("properties", {})
        if not properties and isinstance(schema.get("additionalProperties"), Mapping):
            inner = schema["additionalProperties"]
            return {self._text({}): self._draw(inner, depth + 1) for _ in range(source.randrange(3))}
        required = schema.get("required", ())
        share = min(1.0, 3 / max(1, len(properties)))  # some three fields an object, however many it has
        chosen = [name for name in properties if name in required or source.random() < share]
        return {name: self._draw(properties[name], depth + 1) for name in chosen} if depth < 8 else {}

    def _number(self, schema: Schema) -> Any:
        source = self._values.source
        bounds = [schema[name] for name in ("minimum", "maximum") if name in schema]
        if source.random() < 0.2:
            return self._values.number()
        lowest, highest = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
        if schema["type"] == "number":
            return source.choice([*bounds, source.uniform(lowest, highest)])
        return source.choice([*bounds, source.randint(int(lowest), int(highest)), int(lowest) + 1])

    def _text(self, schema: Schema) -> str:
        source, longest = self._values.source, schema.get("maxLength", 4096)
        if source.random() < 0.5:
            pattern = schema.get("pattern", "")
            fitting = [text for text in SENSIBLE if len(text) <= longest and re.search(pattern, text)]
            if fitting:
                return source.choice(fitting)
        return self._values.text()[:longest]
