"""How many steps a regular expression takes at most: Python's engine backtracks, and holds the GIL meanwhile.

The bound is computed from the pattern's own structure, for every text at once, so that nothing is timed. It is exact
about what makes a pattern superlinear (unbounded repeats that something must follow, and repeats within repeats), and
generous about everything else.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from math import inf
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

Item = tuple[Any, Any]

_CHARACTERS: Final = [chr(code) for code in (*range(0x180), 0x2014, 0x2026, 0x2028, 0xD7FF, 0x1F680)]
_ALL: Final = frozenset(_CHARACTERS)
_SINGLE: Final = {"LITERAL", "NOT_LITERAL", "IN", "ANY"}
_ZERO_WIDTH: Final = {"AT", "ASSERT", "ASSERT_NOT"}
_BACKTRACKING: Final = {"MAX_REPEAT", "MIN_REPEAT"}
_AT_END: Final = {_constants.AT_END_STRING: frozenset[str](), _constants.AT_END: frozenset("\n")}  # what may follow
_SHORTEST_TEXT: Final = 64.0  # over which the steps from a single place are spread
_END: Final = None  # nothing follows, so that nothing fails afterwards


class Effort(NamedTuple):
    """What one part of a pattern costs from one place in a text."""

    steps: float
    ways: float  # in how many ways it may match, after each of which the rest is tried


def steps_per_character(pattern: re.Pattern[str]) -> float:
    """Return the most steps that a search takes, divided by the length of the text; infinite where that grows.

    A pattern that is anchored to the beginning of the text is tried in one place.
    """
    parsed = _parser.parse(pattern.pattern, pattern.flags)
    return 1 + sum(_per_character(items, pattern.flags) for items in _alternatives(list(parsed), pattern.flags))


def _per_character(items: Sequence[Item], flags: int) -> float:
    if _is_anchored(items, flags):
        return _sequence(items, flags, _END, unbounded=_SHORTEST_TEXT).steps / _SHORTEST_TEXT
    return _sequence(items, flags, _END).steps / _period(_prefix(items))


def _alternatives(items: list[Item], flags: int) -> Iterator[list[Item]]:
    """Take a pattern apart into those that begin with something definite."""
    if not items:
        yield []
        return
    (code, value), rest = items[0], items[1:]
    name = str(code)
    if name == "SUBPATTERN":
        yield from _alternatives([*value[-1], *rest], flags)
    elif name == "BRANCH":
        for branch in value[1]:
            yield from _alternatives([*branch, *rest], flags)
    elif name in _BACKTRACKING and value[:2] == (0, 1):
        yield from _alternatives([*value[2], *rest], flags)
        yield from _alternatives(rest, flags)
    elif name in _ZERO_WIDTH:
        yield from ([items[0], *others] for others in _alternatives(rest, flags))
    else:
        yield items


def _prefix(items: Sequence[Item]) -> str:
    """Return the literal text that a match begins with."""
    found = ""
    for code, value in items:
        if str(code) == "LITERAL":
            found += chr(value).lower()
        elif str(code) not in _ZERO_WIDTH:
            break
    return found


def _period(text: str) -> int:
    """Return how far apart a text can be repeated at least: "abab" every two characters."""
    return next((shift for shift in range(1, len(text)) if text.startswith(text[shift:])), max(1, len(text)))


def _is_anchored(items: Sequence[Item], flags: int) -> bool:
    where = next((value for code, value in items if str(code) == "AT"), None) if items else None
    first = bool(items) and str(items[0][0]) == "AT"
    return first and (
        where is _constants.AT_BEGINNING_STRING or (where is _constants.AT_BEGINNING and not flags & re.MULTILINE)
    )


def _sequence(items: Sequence[Item], flags: int, follow: frozenset[str] | None, unbounded: float = inf) -> Effort:
    steps, ways = 0.0, 1.0
    for place, item in enumerate(items):
        effort = _item(item, flags, _first(items[place + 1 :], flags, follow), unbounded)
        steps += ways * effort.steps
        ways *= effort.ways
    return Effort(max(steps, 1.0), ways)


def _item(item: Item, flags: int, follow: frozenset[str] | None, unbounded: float) -> Effort:
    code, value = item
    name = str(code)
    if name in _SINGLE or name == "AT":
        return Effort(1, 1)
    if name in ("ASSERT", "ASSERT_NOT"):
        return Effort(_sequence(list(value[1]), flags, _ALL, unbounded).steps, 1)
    if name == "ATOMIC_GROUP":
        return Effort(_sequence(list(value), flags, _ALL, unbounded).steps, 1)
    if name == "SUBPATTERN":
        return _sequence(list(value[-1]), flags, follow, unbounded)
    if name == "BRANCH":
        efforts = [_sequence(list(branch), flags, follow, unbounded) for branch in value[1]]
        firsts = [_first(list(branch), flags, _ALL) or _ALL for branch in value[1]]
        exclusive = not any(one & other for one, other in combinations(firsts, 2))
        ways = [effort.ways for effort in efforts]
        return Effort(sum(effort.steps for effort in efforts), max(ways) if exclusive else sum(ways))
    if name in _BACKTRACKING:
        low, high, body = value
        return _repeat(low, high, body, flags, follow, unbounded)
    raise AssertionError(f"{name} is not known here: say what it costs")


def _repeat(low: int, high: int, body: Any, flags: int, follow: frozenset[str] | None, unbounded: float) -> Effort:
    inner = list(body)
    if len(inner) == 1 and str(inner[0][0]) in _SINGLE:
        if follow is _END:
            return Effort(1, 1)  # it cannot fail after what it took, and a next search begins behind that
        if low == high:
            return Effort(high, 1)
        decided = not _characters(inner[0], flags) & follow
        if high == _constants.MAXREPEAT:
            return Effort(2 * unbounded, 1 if decided else inf)
        return Effort(2 * high, 1 if decided else high - low + 1)
    effort = _sequence(inner, flags, follow if high == 1 else _ALL, unbounded)
    if high == _constants.MAXREPEAT:
        return Effort(inf, inf)
    times = [effort.ways**count for count in range(high + 1)]
    return Effort(effort.steps * sum(times), sum(times[low:]))


def _first(items: Sequence[Item], flags: int, follow: frozenset[str] | None) -> frozenset[str] | None:
    """Return the characters that a sequence may begin with; of one that may be empty, also what follows it."""
    found: frozenset[str] = frozenset()
    for code, value in items:
        name = str(code)
        if name == "AT" and value in _AT_END:
            return found | _AT_END[value]
        if name in _ZERO_WIDTH:
            follow = follow or _ALL  # it may fail, where nothing else follows either
            continue
        if name in _SINGLE:
            return found | _characters((code, value), flags)
        if name == "SUBPATTERN":
            inner, empty = _first(list(value[-1]), flags, frozenset()), _may_be_empty(list(value[-1]))
        elif name == "BRANCH":
            inner = frozenset[str]().union(*(_first(list(branch), flags, frozenset()) or () for branch in value[1]))
            empty = any(_may_be_empty(list(branch)) for branch in value[1])
        elif name in _BACKTRACKING:
            inner, empty = _first(list(value[2]), flags, frozenset()), value[0] == 0 or _may_be_empty(list(value[2]))
        else:
            return _ALL
        found |= inner or frozenset()
        if not empty:
            return found
    return follow if follow is _END else found | follow


def _may_be_empty(items: Sequence[Item]) -> bool:
    for code, value in items:
        name = str(code)
        if name in _SINGLE:
            return False
        if name == "SUBPATTERN" and not _may_be_empty(list(value[-1])):
            return False
        if name == "BRANCH" and not any(_may_be_empty(list(branch)) for branch in value[1]):
            return False
        if name in _BACKTRACKING and value[0] > 0 and not _may_be_empty(list(value[2])):
            return False
    return True


def _characters(item: Item, flags: int) -> frozenset[str]:
    code, value = item
    return _matching(str(code), repr(value), _Held((code, value)), flags)


class _Held(NamedTuple):
    """Keeps a part of a pattern beside the text that it is cached by."""

    item: Item

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=4096)
def _matching(_code: str, _value: str, held: _Held, flags: int) -> frozenset[str]:
    state = _parser.State()
    state.flags = flags & ~re.VERBOSE
    compiled = _compiler.compile(_parser.SubPattern(state, [held.item]), flags & ~re.VERBOSE)
    return frozenset(character for character in _CHARACTERS if compiled.fullmatch(character))
