"""What the API server would refuse at apply, told without one: the definition's schema and its rules, in its words.

A file is held against the CustomResourceDefinition itself, Kubernetes' own schemas included. Of each CEL rule a twin in
Python stands here, beside which :mod:`mistral_operator.api.cel` has the rule and the sentence.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mistral_operator.api import names
from mistral_operator.api.cel import GPU_MEMORY_PATTERN, LIST_KEYS, RULES, Path
from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.api.rendered import RENDERED_ENV, RENDERED_FLAGS, RENDERED_LABELS, RENDERED_VOLUMES
from mistral_operator.api.structural import Schema

_Check = Callable[[Any], bool]
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_NOTHING: Final = (0, "0", "0%")
_KINDS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "object": (Mapping, "an object"),
    "array": (list, "a list"),
    "string": (str, "a string"),
    "boolean": (bool, "true or false"),
    "integer": (int, "a whole number"),
    "number": ((int, float), "a number"),
}


def refusals(name: str, written: Any, spec: Mapping[str, Any]) -> list[str]:
    """Return why the API server would refuse an object, one sentence each that names the field.

    Parameters
    ----------
    name
        The object's name.
    written
        The spec as its user wrote it.
    spec
        The same with its defaults filled in, which is what rules look at.
    """
    version = custom_resource_definition()["spec"]["versions"][0]
    wrong = list(_against_schema(written, version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec"))
    if wrong:
        return wrong  # rules rely on types
    return [*_against_lists(spec), *_against_rules({"metadata": {"name": name}, "spec": spec})]


def _against_schema(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """Yield what is wrong with the kinds of values; bounds are the models' business."""
    if value is None:
        return  # the API server drops it
    if _INT_OR_STRING in schema:
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{path}: must be a whole number or a string"
        elif isinstance(value, str) and not re.fullmatch(schema.get("pattern", ".*"), value):
            yield f"{path}: {value!r} is no quantity such as 10Gi"
        return
    kind, told = _KINDS[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        yield f"{path}: must be {told}, not {value!r}"
    elif isinstance(value, Mapping):
        yield from _against_fields(value, schema, path)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _against_schema(item, schema["items"], f"{path}[{position}]")


def _against_fields(value: Mapping[Any, Any], schema: Schema, path: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if value.get(name) is None:
            yield f"{path}.{name}: is required"
    fields = schema.get("properties", {})
    for name, item in value.items():
        of = fields.get(name) or schema.get("additionalProperties")
        if of is None:
            yield f"{path}.{name}: there is no such field"
        else:
            yield from _against_schema(item, of, f"{path}.{name}")


def _against_lists(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the items of lists that are maps by a key which another item has already."""
    for path, key in LIST_KEYS.items():
        items = _at({"spec": spec}, path) or ()
        found = [item[key] for item in items]
        for value in sorted({value for value in found if found.count(value) > 1}):
            yield f"{'.'.join(path)}: {key} {value!r} stands there more than once"


def _against_rules(body: Mapping[str, Any]) -> Iterator[str]:
    for path, rules in RULES.items():
        value = _at(body, path)
        if value is not None:
            checks = zip(rules, _TWINS[path], strict=True)
            yield from (rule.message for rule, holds in checks if not holds(value))


def _at(body: Mapping[str, Any], path: Path) -> Any:
    value: Any = body
    for part in path:
        value = value.get(part) if value is not None else None
    return value


def _names_no_gpu(resources: Mapping[str, Any]) -> bool:
    named = (*(resources.get("limits") or ()), *(resources.get("requests") or ()))
    return not any(name.startswith("nvidia.com/") for name in named)


def _stays_in_volume(model: Mapping[str, Any]) -> bool:
    path = model.get("path") or ""
    return not path.startswith("/") and ".." not in path.split("/")


def _is_no(flag: str) -> _Check:
    pattern = re.compile(rf"--{flag.replace('-', '[-_]')}([=.].*)?", re.DOTALL)
    return lambda arguments: not any(pattern.fullmatch(argument) for argument in arguments)


def _has_no(variable: str) -> _Check:
    return lambda env: all(entry["name"] != variable for entry in env)


_TWINS: Final[Mapping[Path, tuple[_Check, ...]]] = {
    (): (
        lambda body: re.fullmatch(names.NAME_PATTERN, body["metadata"]["name"]) is not None,
        lambda body: len(body["metadata"]["name"]) <= names.NAME_MAX_LENGTH,
    ),
    ("spec",): (lambda spec: spec["model"]["source"] != "PVC" or bool(_at(spec, ("storage", "pvc", "name"))),),
    ("spec", "model"): (lambda model: (model["source"] == "PVC") == ("path" in model), _stays_in_volume),
    ("spec", "gpu"): (
        lambda gpu: "minMemory" not in gpu or re.fullmatch(GPU_MEMORY_PATTERN, gpu["minMemory"]) is not None,
    ),
    ("spec", "parallelism"): (lambda parallelism: parallelism["pipeline"] == 1,),
    ("spec", "image"): (lambda image: "runtime" in image or not {"repository", "tag", "digest"} & image.keys(),),
    ("spec", "storage"): (lambda storage: not {"pvc", "emptyDir"} <= storage.keys(),),
    ("spec", "storage", "pvc"): (lambda pvc: ("name" in pvc) != ("create" in pvc),),
    ("spec", "rollout"): (
        lambda rollout: rollout["maxSurge"] not in _NOTHING or rollout["maxUnavailable"] not in _NOTHING,
    ),
    ("spec", "resources"): (_names_no_gpu,),
    ("spec", "extraArgs"): tuple(_is_no(flag) for flag in RENDERED_FLAGS),
    ("spec", "env"): tuple(_has_no(variable) for variable in RENDERED_ENV),
    ("spec", "podLabels"): (lambda labels: not set(RENDERED_LABELS) & labels.keys(),),
    ("spec", "podAnnotations"): (lambda annotations: names.PLAN_ANNOTATION not in annotations,),
    ("spec", "volumes"): (lambda volumes: all(volume["name"] not in RENDERED_VOLUMES for volume in volumes),),
    ("spec", "volumeMounts"): (
        lambda mounts: all(mount["mountPath"] not in RENDERED_VOLUMES.values() for mount in mounts),
    ),
}
