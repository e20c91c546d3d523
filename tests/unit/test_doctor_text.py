"""How findings are printed: one line each for pipes, drawn for a terminal, values for machines."""

import io

import pytest
from rich.console import Console

from mistral_operator.cli.doctor.document import findings_document
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.text import draw, plain_lines

FINE = ok(Check.HUB, "hub https://hub.example", "HubAnswers", "answers from here")
NODES = warning(Check.NODES, "Nodes", "NoGPUs", "none offers a GPU", "Add a node")
GATED = problem(Check.HUB, "MistralDeployment team/m", "Gated", "a is gated.\nNo [token].", "Accept\nthe licence.")


def test_plain_lines() -> None:
    """Columns that align, one line each whatever the words, and a sum."""
    assert plain_lines([FINE, NODES, GATED]) == [
        "ok       hub          hub https://hub.example: answers from here.",
        "warning  gpu-nodes    Nodes: none offers a GPU (NoGPUs). Next: Add a node.",
        "problem  hub          MistralDeployment team/m: a is gated. No [token] (Gated). Next: Accept the licence.",
        "1 problem and 1 warning.",
    ]


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        ([FINE], "Nothing is wrong."),
        ([NODES, NODES], "2 warnings."),
        ([GATED, GATED, NODES], "2 problems and 1 warning."),
    ],
)
def test_the_sum(findings: list[Finding], told: str) -> None:
    """What is fine is not counted."""
    assert plain_lines(findings)[-1] == told


def test_on_a_terminal() -> None:
    """The next step stands on a line of its own, nothing is taken for markup, and nothing is lost at 60 columns."""
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    draw([FINE, GATED], console)
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert "→ Accept the licence." in drawn
    assert "No [token] (Gated)." in " ".join(drawn.split())
    assert all(len(line) <= 60 for line in drawn.splitlines())
    assert drawn.splitlines()[-1].strip() == "1 problem."


def test_the_document() -> None:
    """The same keys everywhere, next empty where there is nothing to do, and no full stops."""
    assert findings_document([GATED])[0]["next"] == "Accept\nthe licence"
    assert findings_document([FINE, NODES]) == [
        {
            "check": "hub",
            "status": "ok",
            "object": "hub https://hub.example",
            "reason": "HubAnswers",
            "message": "answers from here",
            "next": "",
        },
        {
            "check": "gpu-nodes",
            "status": "warning",
            "object": "Nodes",
            "reason": "NoGPUs",
            "message": "none offers a GPU",
            "next": "Add a node",
        },
    ]
