"""Hostile texts, and every place of a schema or of an answer where one may stand."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

Path = tuple[str | int, ...]

HOSTILE: Final = "a🚀\u202e\x00\x1b]0;t\x07\x85\u2028\ufffe\U0001fffe\x7f é中𝔘 hf_abcdefghijklmnop z"
"""Characters beyond U+FFFF, controls, what YAML refuses or changes, a direction, a token."""
SURROGATE: Final = "a\ud800b"
KEY: Final = "\0key"
"""In a path: the name of an entry, and not its value."""


def strings_of(schema: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """Yield the path of every string of a structural schema, entries' names included; one item stands for a list."""
    if "properties" in schema:
        for name, field in schema["properties"].items():
            yield from strings_of(field, (*path, name))
    elif isinstance(schema.get("additionalProperties"), Mapping):
        yield (*path, KEY)
        yield from strings_of(schema["additionalProperties"], (*path, "k"))
    elif schema.get("type") == "array":
        yield from strings_of(schema["items"], (*path, 0))
    elif schema.get("type") == "string" or "x-kubernetes-int-or-string" in schema:
        yield path


def instance(schema: Mapping[str, Any], path: Path, text: str) -> Any:
    """Return the smallest value that a schema takes and that has a text at a path."""
    if not path:
        return text
    part, rest = path[0], path[1:]
    if part == KEY:
        return {text: smallest(schema["additionalProperties"])}
    if part == 0:
        return [instance(schema["items"], rest, text)]
    field = schema.get("properties", {}).get(part) or schema["additionalProperties"]
    return {**smallest(schema), part: instance(field, rest, text)}


def smallest(schema: Mapping[str, Any]) -> Any:
    """Return a value with what is required and nothing else."""
    if "enum" in schema:
        return schema["enum"][0]
    if "x-kubernetes-int-or-string" in schema:
        return 1
    kind = schema["type"]
    if kind == "object":
        required = schema.get("required", ())
        return {name: smallest(field) for name, field in schema.get("properties", {}).items() if name in required}
    if kind == "array":
        return [smallest(schema["items"])] * schema.get("minItems", 0)
    return {"string": "a", "integer": 1, "number": 1, "boolean": True}[kind]


def texts_in(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every text of a JSON value, names of entries included."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from texts_in(one, (*path, name))
            yield (*path, name, KEY)
    elif isinstance(value, list):
        for position, one in enumerate(value):
            yield from texts_in(one, (*path, position))


def replaced(value: Any, path: Path, text: str) -> Any:
    """Return a JSON value with another text at a path."""
    changed = deepcopy(value)
    parent = changed
    *way, last = path if path[-1] != KEY else path[:-1]
    for part in way:
        parent = parent[part]
    if path[-1] == KEY:
        parent[text] = parent.pop(last)
    else:
        parent[last] = text
    return changed


def named(path: Path) -> str:
    """Return a path as a person writes it."""
    return ".".join("KEY" if part == KEY else str(part) for part in path)
