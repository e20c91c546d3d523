"""What is printed for a person: every character visible, no secrets, whatever a terminal's encoding."""

import io
import json
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mistral_operator.cli.doctor.document import findings_document
from mistral_operator.cli.doctor.finding import Check, problem
from mistral_operator.cli.doctor.text import draw, plain_lines
from mistral_operator.cli.ending import ExitCode, Refused
from mistral_operator.cli.terminal import json_text, visible
from mistral_operator.cli.yaml_text import yaml_text

HOSTILE = "\x1b]0;pwn\x07\x9b31m\u202e\ud800\r\n\x7f hf_abcdefghijklmnop [bold]"
SHOWN = r"\x1b]0;pwn\x07\x9b31m\u202e\ud800 \x7f hf_… [bold]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é中 🚀", "é中 🚀"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b\u2028\u202e\u200d", r"\x9b\u2028\u202e\u200d"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    """What has no shape of its own is an escape."""
    assert visible(text) == shown


@given(st.text() | st.lists(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])).map("".join))
def test_visible_is_printable(text: str) -> None:
    """Nothing is left that acts on a terminal, or that UTF-8 cannot hold."""
    assert visible(text).isprintable()
    visible(text).encode()


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_json_and_yaml_stay_what_they_are(value: dict[str, object]) -> None:
    """Parsers read what was meant, in ASCII or not; on a terminal nothing acts."""
    told = [json_text(value), yaml_text([value]), yaml_text([value], is_unicode=False)]
    assert json.loads(told[0]) == value
    assert [list(yaml.safe_load_all(one)) for one in told[1:]] == [[value], [value]]
    kinds = {unicodedata.category(letter) for letter in "".join(told) if letter != "\n"}
    assert not {"Cc", "Cf", "Zl", "Zp"} & kinds
    assert told[0].isascii()
    assert told[2].isascii()


def test_surrogates_for_machines() -> None:
    """No parser but Python's takes one that stands alone."""
    assert json.loads(json_text(["a\ud800"])) == ["a\ufffd"]
    assert yaml.safe_load(yaml_text([{"a": "a\ud800"}])) == {"a": "a\ufffd"}


def test_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    """An error's lines repeat files, clusters and hubs."""
    Refused(ExitCode.MODEL, f"a {HOSTILE}", f"b {HOSTILE}", [HOSTILE]).tell("m\x1b")
    told = capsys.readouterr().err
    assert told.splitlines() == [
        f"Error: m\\x1b: a {SHOWN.replace(' ', chr(92) + 'r' + chr(92) + 'n', 1)}.",
        f"  - {SHOWN.replace(' ', chr(92) + 'r' + chr(92) + 'n', 1)}",
        f"Next: b {SHOWN.replace(' ', chr(92) + 'r' + chr(92) + 'n', 1)}.",
    ]


def test_the_doctor() -> None:
    """Lines, drawing and JSON: conditions, pods and hubs speak in all of them."""
    found = problem(Check.HUB, f"Pod {HOSTILE}", "Gated", HOSTILE, HOSTILE)
    drawn = io.StringIO()
    draw([found], Console(file=drawn, width=400, force_terminal=False, highlight=False))
    for told in ("\n".join(plain_lines([found])), drawn.getvalue()):
        assert SHOWN in told
        assert all(one.isprintable() or one == "\n" for one in told)
    assert json.loads(json_text(findings_document([found])))[0]["message"].count("hf_…") == 1
