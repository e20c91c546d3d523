"""What is found wrong, and how it is said: the object, the cause and the next step, in about 300 characters.

Nothing that moves by itself is repeated (restart counts, back-off times, numbers of nodes, request ids, source ports):
a message that moves is a write.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from mistral_operator.api.plain_text import plain_text
from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.api.shortening import shortened

LONGEST_WORDS: Final = 4096  # characters of what somebody else says: the kubelet's own limit for termination messages
LONGEST: Final = 300  # characters of a message about an object whose name is not a long one
_BEFORE_THE_STEP: Final = "; "  # stands in causes too, and never in a next step
_SUBJECT: Final = 42  # of them for its name, whatever it is: a pod's successor must not say the same in fewer words
_MOVING: Final = (
    (re.compile(r" ?\(Request ID: [^)]{0,128}\)"), ""),
    (re.compile(r"(?i)\b(request[- ]?id|trace[- ]?id)[:=] ?\S+"), r"\1 …"),
    (re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}):\d{1,5}->"), r"\1->"),
    (re.compile(r"\b0x[0-9a-f]{6,32}\b"), "0x…"),
    (re.compile(r"\bpid[= ]\d{1,10}\b"), "pid …"),
    (re.compile(r' ?["(]?\b(?<!sha256:)[0-9a-f]{64}\b[")]?'), ""),  # a sandbox or container, another at each attempt
)


class Finding(NamedTuple):
    """One thing that is wrong with one pod, or that it waits for."""

    reason: PodReason
    cause: str
    next_step: str
    passing: bool = False  # whether it may well mend itself, as a rollout does


Step = str | Callable[[re.Match[str]], str]


class Pattern(NamedTuple):
    """Words that somebody else says, what they mean and what to do; ``cause`` None repeats the words."""

    reason: PodReason
    words: re.Pattern[str]
    next_step: Step
    cause: Step | None = None
    passing: bool = False

    def find(self, text: str) -> Finding | None:
        """Return the finding if the words are there."""
        match = self.words.search(text)
        if match is None:
            return None
        cause = match[0] if self.cause is None else _step(self.cause, match)
        return Finding(self.reason, cause, _step(self.next_step, match), self.passing)


def first_found(patterns: Iterable[Pattern], text: str) -> Finding | None:
    """Return what the first of the patterns finds whose words are there."""
    return next((found for pattern in patterns if (found := pattern.find(text)) is not None), None)


def _step(step: Step, match: re.Match[str]) -> str:
    return step if isinstance(step, str) else step(match)


def steady(text: str) -> str:
    """Return a text in one plain line, without what moves by itself."""
    text = plain_text(text[:LONGEST_WORDS])
    for moving, instead in _MOVING:
        text = moving.sub(instead, text)
    return " ".join(text.split())


def say(subject: str, finding: Finding) -> str:
    """Return the message; of what is too long, the cause is cut, never the next step."""
    step = finding.next_step.replace(_BEFORE_THE_STEP, ", ")
    ending = f"{_BEFORE_THE_STEP}{step}" if step else ""
    room = LONGEST - _SUBJECT - len(ending)
    cause = steady(finding.cause).rstrip(".;, ")
    return f"{subject}: {shortened(cause, room)}{ending}"


def part(message: str) -> tuple[str, str]:
    """Return what :func:`say` made a message of: subject and cause, and the next step."""
    cause, _, step = message.rpartition(_BEFORE_THE_STEP)
    return cause, step
