"""What pages say that `mistral-operator plan` prints, it prints, and what they say to apply may be applied."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from typer.testing import Result

DOCS: Final = Path(__file__).parents[2] / "docs"
PROMPT: Final = "$ mistral-operator plan "
ELLIPSIS: Final = "…"


class Shown(NamedTuple):
    """A command of a page, and what the page says that it prints."""

    page: str
    command: str
    lines: tuple[str, ...]


def shown() -> list[Shown]:
    """Return every plan of every page that stands there with what it prints."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        for block in re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for part in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
                if part.startswith(PROMPT):
                    command, *lines = part.removeprefix("$ ").splitlines()
                    kept = tuple(line.rstrip() for line in lines if line.strip() not in ("", ELLIPSIS))
                    found.append(Shown(page.name, command, kept))
    return found


@pytest.mark.parametrize("example", shown(), ids=lambda example: f"{example.page}: {example.command}")
def test_plans_of_pages(example: Shown, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line, in that order, on a screen of the usual width; what is left out is left out."""
    monkeypatch.setenv("COLUMNS", "80")
    result = run(*shlex.split(example.command)[1:])
    printed = iter([line.rstrip() for line in (result.stdout + result.stderr).splitlines()])
    assert example.lines
    assert [line for line in example.lines if line not in printed] == []


def written() -> list[tuple[str, str]]:
    """Return every MistralDeployment that stands in a page, with the page's name."""
    return [
        (page.name, block)
        for page in sorted(DOCS.glob("*.md"))
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        if "kind: MistralDeployment\nmetadata" in block
    ]


@pytest.mark.parametrize(("page", "text"), written(), ids=[page for page, _ in written()])
def test_objects_of_pages(page: str, text: str, run: Callable[..., Result]) -> None:
    """None is refused by the API server, and each can be planned."""
    result = run("plan", "-f", "-", "-o", "manifests", stdin=text)
    assert result.exit_code == 0, f"{page}: {result.output}"


def test_there_is_something_to_test() -> None:
    """Pages are found, and what stands in them."""
    assert {example.page for example in shown()} >= {"first-model.md", "sizing.md", "choosing-a-backend.md"}
    assert {page for page, _ in written()} >= {"first-model.md", "gated-models.md", "closed-networks.md"}
