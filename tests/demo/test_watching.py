"""Waiting for MistralDeployments to be Ready."""

from collections.abc import Iterator, Sequence

from devcluster.demo.watching import Seen, watch_until_ready


def seen(phase: str) -> Seen:
    """Return an object in a phase."""
    return Seen("m", phase, phase == "Ready", "Because", "it is so")


def watched(phases: Sequence[str], seconds: float = 60.0, failed_seconds: float = 60.0) -> tuple[str, list[str]]:
    """Return the last phase seen, and what was told on the way; the last of the phases lasts."""
    told: list[str] = []
    coming: Iterator[str] = iter(phases)

    def look() -> Sequence[Seen]:
        return [seen(next(coming, phases[-1]))]

    last = watch_until_ready(look, told.append, seconds=seconds, failed_seconds=failed_seconds, every_seconds=0)
    return last[0].phase, told


def test_it_looks_until_all_are_ready() -> None:
    """Each look is told."""
    assert watched(["Pending", "Loading", "Ready"]) == (
        "Ready",
        ["m is Pending (Because)", "m is Loading (Because)", "m is Ready"],
    )


def test_failed_is_believed_only_when_it_lasts() -> None:
    """A status passes through odd states while it is put together."""
    assert watched(["Failed", "Loading", "Ready"])[0] == "Ready"
    assert watched(["Loading", "Failed"], failed_seconds=0.01)[0] == "Failed"


def test_it_ends_when_the_time_is_over() -> None:
    """With what was seen last."""
    assert watched(["Loading"], seconds=0.01)[0] == "Loading"


def test_an_object_without_a_status_can_be_told() -> None:
    """The operator may not have looked at it."""
    told = Seen.of({"metadata": {"name": "m"}})
    assert str(told) == "m is new (NoStatus)"
