"""Whose an object is: by its controller reference, and by nothing else."""

from typing import Any

import pytest

from mistral_operator.controller.keys import Key, controller_of

OURS = {
    "apiVersion": "mistral-operator.io/v1alpha1", "kind": "MistralDeployment", "name": "m", "uid": "u",
    "controller": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("references", "key"),
    [
        pytest.param([OURS], Key("ns", "m"), id="ours"),
        pytest.param([OURS | {"apiVersion": "mistral-operator.io/v1"}], Key("ns", "m"), id="of another version"),
        pytest.param([{"kind": "Other", "uid": "x"}, OURS], Key("ns", "m"), id="beside another owner"),
        pytest.param([OURS | {"controller": False}], None, id="an owner that does not control"),
        pytest.param([{**OURS, "controller": None}], None, id="nor says so"),
        pytest.param([OURS | {"apiVersion": "example.com/v1"}], None, id="a namesake of another group"),
        pytest.param([OURS | {"apiVersion": "mistral-operator.io.example.com/v1"}], None, id="a longer group"),
        pytest.param([OURS | {"kind": "Other"}], None, id="another kind of ours"),
        pytest.param([], None, id="nobody"),
        pytest.param(None, None, id="null"),
    ],
)
def test_the_owner(references: list[dict[str, Any]] | None, key: Key | None) -> None:
    """A child belongs to the MistralDeployment that controls it, in the child's own namespace."""
    assert Key.of_owner({"metadata": {"namespace": "ns", "name": "c", "ownerReferences": references}}) == key


def test_an_object() -> None:
    """Its key reads as kubectl writes it."""
    key = Key.of({"metadata": {"namespace": "ns", "name": "m"}})
    assert (key, str(key)) == (Key("ns", "m"), "ns/m")
    assert controller_of({}) is None
