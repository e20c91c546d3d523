"""Logs as they leave the process, whoever writes them."""

import json
import subprocess
import sys

import pytest

TOKEN = "hf_NotARealTokenButUnmistakable"  # noqa: S105 - no secret: it is what must not be found in any log
# a process of its own: logging is set up once for all of it
_FAIL = """
import logging, sys
from mistral_operator.cli.logs import set_up_logs

def read(token):
    raise RuntimeError(f"broken {token} \\x1b[31m \\ud800")

log = set_up_logs(sys.argv[2], json=sys.argv[1] == "json")
try:
    read(sys.argv[3])
except RuntimeError:
    words = ["https://u:secret@h", 7]
    log.exception("a fault", object="ns/m", error=f"Bearer {sys.argv[3]}\\x1b]0;title\\x07", words=words)
    logging.getLogger("a.library").exception("a library's")
log.debug("details", object="ns/m")
logging.getLogger("a.library").info("a request")
"""


def written(how: str, level: str = "INFO") -> str:
    """Return what a process writes that fails with a token in its hands."""
    command = [sys.executable, "-c", _FAIL, how, level, TOKEN]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own
    assert ended.stdout == ""
    return ended.stderr


@pytest.mark.parametrize("how", ["json", "text"])
def test_tracebacks_show_no_values(how: str) -> None:
    """A fault is told with where it arose, and without what was in the variables: one of them is a token."""
    text = written(how)
    assert "RuntimeError" in text
    assert "broken" in text
    assert "read" in text
    assert TOKEN not in text


@pytest.mark.parametrize("how", ["json", "text"])
def test_words_of_others(how: str) -> None:
    """An error repeats a pod, a hub or a proxy: no token of theirs is kept, and no terminal acts on it."""
    text = written(how)
    assert "u:secret" not in text
    assert "https://…@h" in text or "https://\\u2026@h" in text
    assert all(one.isprintable() or one == "\n" for one in text)


def test_one_object_a_line() -> None:
    """Libraries' lines too, each with its level and its time."""
    lines = [json.loads(line) for line in written("json").splitlines()]
    assert [line["event"] for line in lines] == ["a fault", "a library's"]
    assert lines[0]["object"] == "ns/m"
    assert all({"timestamp", "level", "exception"} <= line.keys() for line in lines)


@pytest.mark.parametrize(("level", "told"), [("INFO", False), ("DEBUG", True)])
def test_levels(level: str, told: bool) -> None:
    """Libraries' requests and details only for who debugs."""
    text = written("json", level)
    assert ("details" in text) is told
    assert ("a request" in text) is told
