"""What server-side apply sends: JSON that a YAML parser reads as the same object."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.cluster.body import apply_body


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        pytest.param("é中🚀", "é中🚀".encode(), id="as it is"),
        pytest.param("\x00\x1b\n", rb"\u0000\u001b\n", id="C0"),
        pytest.param("\x7f\x80\x85\x9f", rb"\u007f\u0080\u0085\u009f", id="DEL and C1"),
        pytest.param(
            "\u2028\u2029\ufeff\ufffe\uffff", rb"\u2028\u2029\ufeff\ufffe\uffff", id="what YAML takes otherwise"
        ),
        pytest.param("a\ud83d\ude80b", "a\ufffd\ufffdb".encode(), id="surrogates"),
        pytest.param("\\ud800", rb"\\ud800", id="a backslash"),
    ],
)
def test_characters(text: str, sent: bytes) -> None:
    """UTF-8, and escapes for what YAML refuses or changes."""
    assert apply_body({"k": text}) == b'{"k":"' + sent + b'"}'


@given(st.dictionaries(st.text(max_size=9), st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none()))
def test_json_and_yaml_agree(body: dict[str, object]) -> None:
    """Whatever stands in keys and values, both parsers read what was meant."""
    sent = apply_body(body)
    assert json.loads(sent) == yaml.safe_load(sent) == body


def test_a_number_that_is_none() -> None:
    """NaN is neither JSON nor a value that any field has."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        apply_body({"k": math.nan})
