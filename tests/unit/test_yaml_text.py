"""Objects as YAML that kubectl reads back as they are."""

import pytest
import yaml

from mistral_operator.cli.yaml_text import yaml_text

NO_TEXT_TO_KUBECTL = [
    *("y", "n", "Y", "N", "on", "null", "~", "true"),
    *("7", "007", "08", "0o7", "-0o7", "0x1f", "0b11", "1_0"),
    *("1e3", "1e-3", "+1e5", ".5", ".5e3", "5.", "1.e5", "1.5", "1_0.5", ".inf"),
]


@pytest.mark.parametrize("text", NO_TEXT_TO_KUBECTL)
def test_texts_that_look_like_something_else(text: str) -> None:
    """A variable's value 1e3 or y stays a text: kubectl would refuse a number, and say so of a Go struct."""
    assert yaml_text([{"a": text}]) == f"a: '{text}'\n"


@pytest.mark.parametrize("text", ["yes sir", "nvidia", "0.26.0", "1Gi", "1e", "-x", "8e", "--seed=1", "e3"])
def test_plain_texts(text: str) -> None:
    """They need no quotes."""
    assert yaml_text([{"a": text}]) == f"a: {text}\n"


def test_numbers_stay_numbers() -> None:
    """And truths truths."""
    values = [0, 1, -3, 1.5, 1e30, True, None, "a"]
    (read,) = yaml.safe_load_all(yaml_text([{"a": values}]))
    assert read == {"a": values}
    assert yaml_text([{"a": 7, "b": 0.5}]) == "a: 7\nb: 0.5\n"
