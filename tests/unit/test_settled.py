"""Which trouble is told of a pod: the most specific of the first minute, and another only where it is no chance."""

import itertools
from typing import Final

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.controller.settled import Settled
from mistral_operator.status.verified import Untold

AWAY: Final = Reason.POD_UNREACHABLE
ILL: Final = Reason.POD_CANNOT_TELL
OLD: Final = Reason.IMAGE_CANNOT_TELL
SHUT: Final = Reason.KEY_REFUSED
NO_KEY: Final = Reason.KEY_MISSING
NO_RIGHT: Final = Reason.NOT_ASKED_YET
ASKS: Final = [0, 5, 15, 35, 75, 155, 315, 635]  # seconds: each wait is twice the last


def told(*heard: Reason, times: list[int] = ASKS) -> list[Reason]:
    """Return what is told after each answer."""
    settled = Settled()
    return [settled.hear(Untold(reason, ""), now).reason for reason, now in zip(heard, times, strict=False)]


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        pytest.param([AWAY, AWAY, ILL, AWAY], [AWAY, AWAY, ILL, ILL], id="the more specific"),
        pytest.param([SHUT, OLD, ILL, AWAY], [SHUT, SHUT, SHUT, SHUT], id="never the less specific"),
        pytest.param([AWAY] * 4 + [ILL], [AWAY] * 5, id="not after the first minute"),
        pytest.param([AWAY] * 4 + [ILL, OLD, ILL, OLD], [AWAY] * 8, id="not where it moves"),
        pytest.param([AWAY] * 4 + [ILL, ILL, AWAY, ILL], [AWAY] * 8, id="twice is chance"),
        pytest.param([AWAY] * 4 + [ILL, ILL, ILL, AWAY], [AWAY] * 6 + [ILL, ILL], id="three times is not"),
        pytest.param([SHUT] * 4 + [AWAY] * 3, [SHUT] * 6 + [AWAY], id="the less specific, too"),
        pytest.param([NO_KEY, AWAY, NO_KEY], [NO_KEY, AWAY, NO_KEY], id="what the API server says is no chance"),
        pytest.param([AWAY] * 5 + [NO_RIGHT, AWAY], [AWAY] * 5 + [NO_RIGHT, AWAY], id="at any time"),
    ],
)
def test_what_is_told(heard: list[Reason], said: list[Reason]) -> None:
    """One trouble stays told while answers move."""
    assert told(*heard) == said


@pytest.mark.parametrize("turns", [[AWAY, ILL], [AWAY, OLD, ILL], [AWAY, AWAY, SHUT, ILL], [SHUT, AWAY, ILL, OLD]])
def test_turns_are_told_once(turns: list[Reason]) -> None:
    """Wherever the turns begin, nothing moves after the first minute."""
    times = [*ASKS, *range(1235, 100_000, 600)]
    for begin in range(len(turns)):
        said = told(*itertools.islice(itertools.cycle(turns), begin, begin + len(times)), times=times)
        assert len(set(said[4:])) == 1
        assert said[4] is said[3]


def test_the_same_in_other_words_is_no_news() -> None:
    """The first words stay."""
    settled = Settled()
    first = settled.hear(Untold(ILL, "answers 503"), 0)
    assert settled.hear(Untold(ILL, "answers 500"), 5) is first
