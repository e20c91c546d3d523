"""Python's tracebacks in a log, as chains of exceptions. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from mistral_vllm.telling.log_lines import Line

_BEGIN: Final = "Traceback (most recent call last):"
_CHAINED: Final = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_EXCEPTION: Final = re.compile(r"(?P<type>[A-Za-z_][\w.]{0,256})(?:: ?(?P<message>.*))?")
# what PyTorch, Python's warnings and multiprocessing print of their own accord at the end of a process
_STRANGER: Final = re.compile(
    r"\A(?:\[[A-Z]\d{4} |[^\s:]{1,512}:\d{1,9}: \w{0,64}Warning:|Exception ignored in|Process \S{1,64}:$)"
)


class Raised(NamedTuple):
    """One exception as Python prints it."""

    type: str  # with its module
    message: str  # may have several lines


class Chain(NamedTuple):
    """One traceback: the exceptions that led to each other, the last of them being what was raised in the end."""

    process: str
    raised: tuple[Raised, ...]
    place: int  # of its last line in the log


def find_chains(lines: Iterable[Line]) -> list[Chain]:
    """Return the tracebacks that tell of failures, in the order they ended; a warning's was survived."""
    by_process: dict[str, list[tuple[int, Line]]] = {}
    for place, line in enumerate(lines):
        if line.alarming:
            by_process.setdefault(line.process, []).append((place, line))
    chains: list[Chain] = []
    for process, said in by_process.items():
        # a record holds no part of another's traceback
        for _, block in groupby(said, key=lambda one: one[1].record):
            chains += _chains_of(process, list(block))
    return sorted(chains, key=lambda chain: chain.place)


def _chains_of(process: str, block: Sequence[tuple[int, Line]]) -> Iterator[Chain]:
    texts = [line.text for _, line in block]
    raised: list[Raised] = []
    chained = False
    end = place = 0
    while place < len(texts):
        text = texts[place].strip()
        place += 1
        if text in _CHAINED:
            chained = True
        elif text == _BEGIN:
            if raised and not chained:
                yield Chain(process, tuple(raised), block[end][0])
                raised = []
            chained = False
            place, exception = _read_exception(texts, place)
            if exception is not None:
                raised.append(exception)
                end = place - 1
    if raised:
        yield Chain(process, tuple(raised), block[end][0])


def _read_exception(texts: Sequence[str], place: int) -> tuple[int, Raised | None]:
    """Skip the frames, which are indented; return where the exception ends, and the exception."""
    while place < len(texts) and (not texts[place] or texts[place][0].isspace()):
        place += 1
    match = _EXCEPTION.fullmatch(texts[place]) if place < len(texts) else None
    if match is None:
        return place, None
    place += 1
    message = [match["message"] or ""]
    while place < len(texts) and not _ends_message(texts[place]):
        message.append(texts[place])
        place += 1
    return place, Raised(match["type"], "\n".join(message).strip())


def _ends_message(text: str) -> bool:
    stripped = text.strip()
    return stripped == _BEGIN or stripped in _CHAINED or _STRANGER.match(stripped) is not None
