"""The CustomResourceDefinition: fresh, structural, and small enough to be applied in every way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.api.rendered import RENDERED_ENV, RENDERED_FLAGS
from mistral_operator.cli.crd import crd_yaml

CHECKED_IN = Path(__file__).parents[2] / "operator" / "crds" / "mistraldeployments.mistral-operator.io.yaml"
LARGEST_ANNOTATION_BYTES = 262144
VERSION = custom_resource_definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]["properties"]


def schemas_in(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema of a tree, with the path to it."""
    yield path, schema
    for name, of in schema.get("properties", {}).items():
        yield from schemas_in(of, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from schemas_in(schema[part], f"{path}[]")


EVERYTHING = dict(schemas_in(SCHEMA))


def test_checked_in_definition_is_fresh() -> None:
    """The file that people apply is what the models say."""
    assert CHECKED_IN.read_text(encoding="utf-8") == crd_yaml(), (
        f"run: mistral-operator crd > operator/crds/{CHECKED_IN.name}"
    )


def test_definition_survives_client_side_apply() -> None:
    """Client-side apply keeps the whole object in an annotation, which has a limit."""
    assert len(json.dumps(custom_resource_definition())) < LARGEST_ANNOTATION_BYTES


def test_every_value_has_one_type() -> None:
    """A structural schema has a type everywhere, or says that a value is an int or a string."""
    for path, schema in EVERYTHING.items():
        assert ("type" in schema) != ("x-kubernetes-int-or-string" in schema), path
        assert not {"$ref", "allOf", "oneOf", "title"} & schema.keys(), path


def test_nothing_is_left_unchecked() -> None:
    """Even embedded core types carry Kubernetes' own schemas."""
    unchecked = [path for path, schema in EVERYTHING.items() if "x-kubernetes-preserve-unknown-fields" in schema]
    assert unchecked == []
    objects = [path for path, schema in EVERYTHING.items() if schema.get("type") == "object" and path != ".metadata"]
    for path in objects:
        schema = EVERYTHING[path]
        assert {"properties", "additionalProperties"} & schema.keys(), f"{path} may hold nothing at all"


def test_every_field_explains_itself() -> None:
    """``kubectl explain`` has a sentence for every field of the resource."""
    silent = [
        path
        for path, schema in EVERYTHING.items()
        if path.startswith((".spec", ".status")) and not path.endswith("[]") and "description" not in schema
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("path", "default"),
    [
        (".spec.replicas", 1),
        (".spec.model.revision", "main"),
        (".spec.model.source", "Hub"),
        (".spec.gpu.resourceName", "nvidia.com/gpu"),
        (".spec.parallelism", {"tensor": 1, "pipeline": 1}),
        (".spec.engine.attentionBackend", "Auto"),
        (".spec.engine.gpuMemoryUtilization", 0.92),
        (".spec.service", {"type": "ClusterIP", "port": 8000}),
        (".spec.rollout.maxSurge", 0),
    ],
)
def test_defaults_are_the_models(path: str, default: Any) -> None:
    """The API server fills in what a spec leaves out, so that everybody reads the same."""
    assert EVERYTHING[path]["default"] == default


def test_only_the_model_is_required() -> None:
    """A spec of one line is whole."""
    assert EVERYTHING[".spec"]["required"] == ["model"]
    assert EVERYTHING[".spec.model"]["required"] == ["id"]


def test_rollout_is_not_filled_in() -> None:
    """What stands under an optional object is only defaulted once somebody writes the object."""
    assert "default" not in EVERYTHING[".spec.rollout"]
    assert "default" not in EVERYTHING[".spec.image"]


def test_each_rendered_flag_and_variable_has_a_rule_that_names_it() -> None:
    """The sentence names the culprit, and where to say it instead."""
    arguments = [rule["message"] for rule in SPEC["extraArgs"]["x-kubernetes-validations"]]
    assert [message.split()[4].rstrip(":") for message in arguments] == [f"--{flag}" for flag in RENDERED_FLAGS]
    variables = [rule["message"] for rule in SPEC["env"]["x-kubernetes-validations"]]
    assert [message.split()[4].rstrip(":") for message in variables] == [*RENDERED_ENV]


def test_columns_and_scale_read_fields_that_exist() -> None:
    """A column over a field that nobody writes would stay empty for ever."""
    paths = [column["jsonPath"] for column in VERSION["additionalPrinterColumns"]]
    paths += [path for name, path in VERSION["subresources"]["scale"].items() if name.endswith("Path")]
    for path in paths:
        if "[?(" not in path and not path.startswith(".metadata"):
            assert path in EVERYTHING, path
