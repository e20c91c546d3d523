"""What is refused without an API server is what an API server refuses, in the same words."""

from typing import Any

import pytest

from cluster.test_admission import ACCEPTED, REFUSED
from mistral_operator.api.cel import RULES
from mistral_operator.api.checks import refusals
from mistral_operator.api.mistral_deployment import SpecInvalidError, read_spec
from unit.planning_on_clusters import spec


def refused(fields: dict[str, Any], name: str = "m") -> list[str]:
    """Return every sentence that a spec is refused with, by the models or by the definition."""
    model = {"model": {"id": "mistralai/Mistral-7B-v0.1"} | (fields.get("model") or {})}
    written = fields | (model if fields.get("model", {}) is not None else {})
    try:
        read = read_spec(written, strict=True)
    except SpecInvalidError as error:
        return [str(error)]
    return refusals(name, written, read.model_dump(mode="json", by_alias=True, exclude_none=True))


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_api_server_refuses(case: str) -> None:
    """Every spec that the API server refuses in the tests on a control plane is refused here for the same field."""
    fields, sentence = REFUSED[case]
    told = "; ".join(refused(dict(fields)))
    assert sentence in told


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_the_api_server_takes(case: str) -> None:
    """Nothing is refused here that the API server takes."""
    assert refused(dict(ACCEPTED[case])) == []


@pytest.mark.parametrize("name", ["1st", "m.x", "a" * 53, "m-", "m\n", ""])
def test_names_for_no_service(name: str) -> None:
    """A name is refused that the children cannot bear."""
    assert [told for told in refused({}, name) if told.startswith("metadata.name")]
    assert refused({}, "m" * 52) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param({"replicas": True}, "spec.replicas: must be a whole number, not True", id="a boolean"),
        pytest.param({"resources": {"limits": {"cpu": "many"}}}, "spec.resources.limits.cpu", id="a quantity"),
        pytest.param({"resources": {"limits": {"cpu": 0.5}}}, "spec.resources.limits.cpu", id="half a number"),
        pytest.param({"resources": []}, "spec.resources: must be an object", id="a list for an object"),
        pytest.param({"affinity": {"nodeAffinity": []}}, "spec.affinity.nodeAffinity: must be an object", id="deeper"),
        pytest.param({"tolerations": [{"tolerationSeconds": "5"}]}, "spec.tolerations[0].tolerationSeconds", id="item"),
        pytest.param({"volumes": [{"name": "a"}, {"name": "a"}]}, "spec.volumes: name 'a' stands there", id="twice"),
        pytest.param({"imagePullSecrets": [{"nme": "a"}]}, "spec.imagePullSecrets[0].nme: there is no", id="a typo"),
    ],
)
def test_kubernetes_own_types(fields: dict[str, Any], sentence: str) -> None:
    """Fields of Kubernetes' types are held against Kubernetes' schemas, and the place is named."""
    assert sentence in "; ".join(refused(fields))


def test_a_field_without_value_is_a_field_not_given() -> None:
    """The API server drops it, and so does this."""
    assert refused({"affinity": None, "resources": {"limits": None}}) == []


def test_each_rule_is_broken_by_some_spec() -> None:
    """A twin that never says no would go unnoticed: each of the definition's sentences is told for one of the cases."""
    told = {sentence for fields, _ in REFUSED.values() for sentence in refused(dict(fields))}
    told |= {sentence for name in ("1", "a" * 53) for sentence in refused({}, name)}
    told |= set(refused({"extraArgs": [f"--{flag}" for flag in _rendered("extraArgs")]}))
    told |= set(refused({"env": [{"name": name, "value": ""} for name in _rendered("env")]}))
    assert {rule.message for rules in RULES.values() for rule in rules} <= told


def _rendered(field: str) -> list[str]:
    return [rule.message.split()[4].rstrip(":").removeprefix("--") for rule in RULES["spec", field]]


def test_defaults_break_no_rule() -> None:
    """A spec of one line is taken."""
    assert refused({}) == []
    assert spec().replicas == 1
