"""What counts as a written status."""

from typing import Any

import pytest

from bench.converge.status import StatusWish

BODY: dict[str, Any] = {
    "status": {
        "phase": "Ready",
        "empty": "",
        "none": [],
        "zero": 0,
        "replicas": 2,
        "conditions": [{"type": "Ready", "status": "False"}, {"type": "Planned", "status": "True"}],
        "names": ["a"],
    }
}


@pytest.mark.parametrize(
    ("wish", "holds"),
    [
        ("status", True),
        ("status.phase", True),
        ("status.phase=Ready", True),
        ("status.phase=ready", False),
        ("status.phase=", False),
        ("status.empty", False),
        ("status.empty=", True),
        ("status.none", False),
        ("status.zero", True),
        ("status.replicas=2", True),
        ("status.absent", False),
        ("status.absent.deeper", False),
        ("status.phase.deeper", False),
        ("status.conditions.Ready", True),
        ("status.conditions.Ready=False", True),
        ("status.conditions.Planned=True", True),
        ("status.conditions.Absent", False),
    ],
)
def test_holds(wish: str, holds: bool) -> None:
    """A path leads through mappings, and through conditions by their type; empty is absent."""
    assert StatusWish.parse(wish).holds(BODY) is holds


@pytest.mark.parametrize("text", ["", "=True", "status.", ".phase", "status..phase=1"])
def test_a_path_has_no_empty_step(text: str) -> None:
    """A mistyped path is refused, since it would never hold."""
    with pytest.raises(ValueError, match=r"is no path: it is written as status\.phase"):
        StatusWish.parse(text)
