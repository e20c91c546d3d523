"""docs/doctor.md says what the doctor says."""

import re
from pathlib import Path

from mistral_operator.cli.doctor.finding import Check
from mistral_operator.cli.doctor.reasons import DoctorReason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
CHECKS = PAGE[PAGE.index("## What is checked") :]


def test_every_reason_is_documented() -> None:
    """In code font, beside its check; and none that does not exist."""
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", CHECKS))
    assert {str(reason) for reason in DoctorReason} - named == set()
    assert named - {str(reason) for reason in DoctorReason} == {"ModelResolved"}


def test_checks_stand_in_their_order() -> None:
    """As they are printed."""
    assert re.findall(r"^\| `([a-z-]+)` \|", CHECKS, re.MULTILINE) == [str(check) for check in Check]


def test_the_example_was_printed() -> None:
    """Every line of it by a doctor on a real control plane, in that order."""
    example = next(block for block in PAGE.split("```\n") if block.startswith("ok "))
    printed = (ROOT / "tests" / "cluster" / "golden" / "doctor-failing.txt").read_text(encoding="utf-8")
    lines = iter(printed.splitlines())
    assert all(line in lines for line in example.splitlines())
