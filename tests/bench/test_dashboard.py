"""The dashboard's picture: it is of the dashboard that there is, and shows what Prometheus answered."""

import json
from pathlib import Path

import pytest

from bench.dashboard.answers import Answers
from bench.dashboard.panels import DASHBOARD, DIGEST, Panel, Target, digest
from bench.dashboard.prometheus import Series
from bench.dashboard.tables import rows_of
from bench.dashboard.units import shown

PICTURE = Path(__file__).parents[2] / "docs" / "monitoring" / "dashboard.png"


def test_the_picture_is_of_this_dashboard() -> None:
    """It says of which, and another dashboard needs another: bench/dashboard/__main__.py says how."""
    assert f"{DIGEST} {digest(DASHBOARD)}".encode() in PICTURE.read_bytes()


def test_queries_and_legends() -> None:
    """Variables are replaced, and labels that a series lacks are empty."""
    target = Target("A", 'rate(m{job=~"$job"}[$__rate_interval])', "{{namespace}}/{{name}}")
    assert target.asked({"job": ".*", "__rate_interval": "1m"}) == 'rate(m{job=~".*"}[1m])'
    assert target.label({"namespace": "ns"}) == "ns/"


def test_a_table() -> None:
    """Answers to two queries become one row where their labels agree; a label that one lacks is an empty cell."""
    organize = {"renameByName": {"name": "Name", "backend": "Backend", "Value #A": "Wanted", "Value #B": "Ready"},
                "indexByName": {"name": 0, "Value #A": 1, "Value #B": 2, "backend": 3}}  # fmt: skip
    panel = Panel(
        {
            "targets": [{"refId": "A", "expr": "a"}, {"refId": "B", "expr": "b"}],
            "transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
            "options": {"sortBy": [{"displayName": "Name", "desc": False}]},
        }
    )
    z, a = {"name": "z", "backend": "X"}, {"name": "a"}
    answers = [[Series(z, [(0, 3)]), Series(a, [(0, 1)])], [Series(a, [(0, 0)]), Series(z, [(0, 2)])]]
    assert rows_of(panel, answers) == (
        ["Name", "Wanted", "Ready", "Backend"],
        [["a", "1", "0", ""], ["z", "3", "2", "X"]],
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"), (0.0123, "s", "12.3 ms"), (2.5, "s", "2.5 s"), (0.42, "percentunit", "42%"),
        (130 * 2**20, "bytes", "130 MiB"), (3, "short", "3"), (12_345, "short", "12.3 K"), (1.5, "ops", "1.5/s"),
    ],
)  # fmt: skip
def test_units(value: float, unit: str, text: str) -> None:
    """As Grafana writes them."""
    assert shown(value, unit) == text


def test_answers_are_kept(tmp_path: Path) -> None:
    """What is read is what was written."""
    answers = Answers(60.0, {"up": [Series({"a": "b"}, [(0.0, 1.0), (2.0, 0.0)])]})
    answers.write(tmp_path / "answers.json")
    found = Answers.read(tmp_path / "answers.json")
    assert json.loads(json.dumps(found.found)) == json.loads(json.dumps(answers.found))
    assert (found.seconds, found.step_seconds) == (60.0, 0.25)
