"""Texts of others that are too long: cut between characters, and shown to be."""

import pytest

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.api.shortening import shortened, shortened_bytes
from mistral_operator.status.diagnosis.finding import Finding, say


@pytest.mark.parametrize(
    ("text", "longest", "told"),
    [
        ("", 3, ""),
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("a bcd", 3, "a…"),
        ("abcd", 1, "…"),
        ("abcd", -5, "…"),
    ],
)
def test_characters(text: str, longest: int, told: str) -> None:
    """Nothing is longer than it may be, and nothing that was cut looks whole."""
    assert shortened(text, longest) == told


@pytest.mark.parametrize(
    ("text", "longest_bytes", "told"),
    [("äb", 3, "äb"), ("ääää", 7, "ää…"), ("ääää", 6, "ä…"), ("a bcdef", 5, "a…")],
)
def test_bytes(text: str, longest_bytes: int, told: str) -> None:
    """No character is cut in two."""
    assert shortened_bytes(text, longest_bytes) == told
    assert len(told.encode()) <= longest_bytes


def test_a_next_step_that_leaves_no_room() -> None:
    """The step stands whole, for it names what is to be done; the cause shows that it was cut."""
    step = f"create Secret {'s' * 253} in this namespace"
    assert say("pod m", Finding(PodReason.SECRET_MISSING, "is not there " * 9, step)) == f"pod m: …; {step}"
