"""What is known of every model that was asked for, within a bound of bytes over all of them.

Facts are kept as bytes (:mod:`mistral_operator.hub.packing`), and made into objects for one reader at a time. What
nobody needs any more goes within a minute; where the rest is too much, the largest go first: they are read again from
the disk's cache if somebody asks, and a model that is larger than others is its owner's choice.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mistral_operator.controller.keys import Key
from mistral_operator.hub import HubError
from mistral_operator.hub.packing import pack, unpack
from mistral_operator.planning.facts import ModelFacts

_ENTRY_BYTES: Final = 2048  # what an entry takes beside its facts, its error's sentences included
_UNHELD_SECONDS: Final = 60.0  # how long after its last object an entry stays
_SWEEP_SECONDS: Final = 15.0


class Question(NamedTuple):
    """What is asked: one model at one revision, as one token sees it."""

    model: str
    revision: str
    token_folder: str


@dataclass(slots=True)
class Known:
    """What is known of one question."""

    question: Question
    error: HubError | None = None
    read_at: float = float("-inf")
    failed_at: float = float("-inf")
    failures: int = 0
    retry_seconds: float = 0
    asked_for_at: float = float("-inf")
    was_held: bool = False
    holders: set[Key] = field(default_factory=set)
    reading: "asyncio.Future[None] | None" = None  # done when whoever reads it is
    requests: "set[asyncio.Future[bool]]" = field(default_factory=set)  # for a slot, of those who would read it
    _commit: str | None = None
    _packed: bytes | None = None

    @property
    def facts(self) -> ModelFacts | None:
        """What was read, made into objects for whoever asks."""
        if self._packed is None:
            return None
        model, revision, _ = self.question
        return unpack(self._packed, model=model, revision=revision, commit=self._commit)

    def keep(self, facts: ModelFacts | None) -> None:
        """Keep what was read, or let go of it."""
        self._packed = None if facts is None else pack(facts)
        self._commit = None if facts is None else facts.commit

    @property
    def size_bytes(self) -> int:
        """How much memory this takes."""
        return _ENTRY_BYTES + (0 if self._packed is None else len(self._packed))

    @property
    def in_use(self) -> bool:
        """Whether somebody reads it, or waits to."""
        return self.reading is not None or bool(self.requests)

    def is_due(self, now: float, oldest_seconds: float) -> bool:
        """Tell whether the hub is to be asked: after an error when its wait is over, whatever was read before it."""
        if self.error is not None:
            return now >= self.failed_at + self.retry_seconds
        return now - self.read_at > oldest_seconds


class KnownModels:
    """All of them.

    Parameters
    ----------
    limit_bytes
        What all may take together.
    unasked_seconds
        How long one stays that no object was ever said to need.
    clock
        Monotonic seconds.
    """

    def __init__(self, limit_bytes: int, unasked_seconds: float, clock: Callable[[], float]) -> None:
        self._limit_bytes = limit_bytes
        self._unasked_seconds = unasked_seconds
        self._clock = clock
        self._known: dict[Question, Known] = {}
        self._held: dict[Key, Question] = {}
        self._swept_at = float("-inf")

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known.values())

    @property
    def size_bytes(self) -> int:
        """How much memory all take."""
        return sum(known.size_bytes for known in self)

    def of(self, question: Question, holder: Key | None) -> Known:
        """Return what is known of a question, which an object needs from now on instead of what it needed before."""
        known = self._known.get(question)
        if known is None:
            known = self._known[question] = Known(question)
        known.asked_for_at = self._clock()
        if holder is not None and self._held.get(holder) != question:
            self.let_go(holder)
            self._held[holder] = question
        if holder is not None:
            known.holders.add(holder)
            known.was_held = True
        self.sweep()
        return known

    def let_go(self, holder: Key) -> None:
        """Note that an object needs nothing any more."""
        question = self._held.pop(holder, None)
        known = None if question is None else self._known.get(question)
        if known is not None:
            known.holders.discard(holder)

    def let_all_go(self) -> None:
        """Note that it is not known any more which objects there are."""
        self._held.clear()
        for known in self:
            known.holders.clear()

    def sweep(self) -> None:
        """Forget what nobody needs, now and then."""
        now = self._clock()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        for known in [known for known in self if self._is_nobodys(known, now)]:
            del self._known[known.question]

    def make_room(self) -> None:
        """Forget the largest where all together are too large."""
        too_many = self.size_bytes - self._limit_bytes
        if too_many <= 0:
            return
        for known in sorted(self, key=lambda known: (-known.size_bytes, known.asked_for_at)):
            if too_many <= 0:
                return
            if not known.in_use:
                too_many -= known.size_bytes
                del self._known[known.question]

    def _is_nobodys(self, known: Known, now: float) -> bool:
        if known.holders or known.in_use:
            return False
        unasked_seconds = now - known.asked_for_at
        return unasked_seconds > (_UNHELD_SECONDS if known.was_held else self._unasked_seconds)
