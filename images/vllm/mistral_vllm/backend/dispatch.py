"""Which kernel decodes, and how it is launched, by the number of sequences: pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

FLASH_ATTN: Final = "flash_attn"
XFORMERS_SPLIT_K: Final = "xformers_splitk"

# split-K is fastest where this many programs run: batch x KV heads x splits (H200, window 4096, head size 128)
_PROGRAMS: Final = 512
_MOST_SPLITS: Final = 32
# what a user's own launch may have: each program has a part of the workspace, 2 KiB at 4 queries to a KV head of 128
_MOST_PROGRAMS: Final = 8192


class LaunchParameters(NamedTuple):
    """How xFormers' split-K kernel is launched."""

    split_k: int
    num_warps: int
    num_stages: int


class Choice(NamedTuple):
    """One kernel for one batch size: split-K with these parameters, or FlashAttention."""

    split_k: LaunchParameters | None

    @property
    def kernel(self) -> str:
        """Name of the kernel, as in the measured profiles."""
        return FLASH_ATTN if self.split_k is None else XFORMERS_SPLIT_K


class Source(StrEnum):
    """Where a table comes from."""

    MEASURED = "Measured"
    CACHED = "Cached"
    SHIPPED = "Shipped"
    RULE = "Rule"
    PINNED = "Pinned"  # by the user
    FALLBACK = "Fallback"  # split-K cannot decode here; the warning says why


@dataclass(frozen=True, slots=True)
class DecodeTable:
    """Choices by batch size; between two sizes the nearer one counts."""

    choices: Mapping[int, Choice]  # ascending batch sizes, in sequences
    source: Source
    warnings: tuple[str, ...] = ()

    def choose(self, batch: int) -> Choice:
        """Return the choice of the nearest batch size, by ratio; of two as near, the smaller one's."""
        return self.choices[min(self.choices, key=lambda size: (abs(math.log(size / max(batch, 1))), size))]

    def distinct(self) -> tuple[LaunchParameters, ...]:
        """Return the launch parameters that occur, each once."""
        found = (choice.split_k for choice in self.choices.values())
        return tuple(dict.fromkeys(parameters for parameters in found if parameters is not None))

    def most_splits(self, max_batch: int) -> int:
        """Return the largest number of splits of all sequences together, over every batch up to ``max_batch``.

        One sequence by each launch counts too, which is how launches are compiled: a table may come from a larger
        server, with launches for batches beyond that.
        """
        launches = [(1, launch) for launch in self.distinct()]
        for batch in range(1, max_batch + 1):
            launch = self.choose(batch).split_k
            if launch is not None:
                launches.append((batch, launch))
        return max((batch * launch.split_k for batch, launch in launches), default=0)

    def extended(self, other: "DecodeTable") -> "DecodeTable":
        """Return the table with another's choices for larger batches than it has: it may come from a smaller server."""
        largest = max(self.choices)
        more = {size: choice for size, choice in other.choices.items() if size > largest}
        return DecodeTable({**self.choices, **more}, self.source, self.warnings)

    def without(self, unusable: Iterable[LaunchParameters], warning: str) -> "DecodeTable":
        """Return the table with FlashAttention in place of launches that this GPU cannot make."""
        gone = frozenset(unusable)
        kept = {size: Choice(None) if c.split_k in gone else c for size, c in self.choices.items()}
        return DecodeTable(kept, self.source, (*self.warnings, warning))


def rule(batch: int, kv_heads: int, pages: int) -> LaunchParameters:
    """Return a good launch without measuring: follows from what was best on the H200, whatever the GPU.

    Parameters
    ----------
    kv_heads
        Of this rank.
    pages
        Of the window: more splits than pages would idle.
    """
    wanted = _PROGRAMS / (batch * kv_heads)
    split_k = 2 ** max(0, round(math.log2(wanted))) if wanted > 1 else 1
    split_k = max(1, min(split_k, _MOST_SPLITS, pages))
    return LaunchParameters(split_k, 4 if split_k > 1 else 2, 2)


def rule_table(batches: Iterable[int], kv_heads: int, pages: int) -> DecodeTable:
    """Return the rule's choices."""
    return DecodeTable({batch: Choice(rule(batch, kv_heads, pages)) for batch in sorted(set(batches))}, Source.RULE)


def flash_attn_table(*warnings: str) -> DecodeTable:
    """Return FlashAttention for every batch: pinned, or with the reasons why it has to be."""
    return DecodeTable({1: Choice(None)}, Source.FALLBACK if warnings else Source.PINNED, warnings)


def pinned_table(launch: LaunchParameters, batches: Iterable[int], kv_heads: int, pages: int) -> DecodeTable:
    """Return one launch for every batch, with fewer splits where there are fewer pages, or too many programs."""
    most = {batch: max(1, min(pages, _MOST_PROGRAMS // (batch * kv_heads))) for batch in sorted(set(batches))}
    choices = {batch: Choice(launch._replace(split_k=min(launch.split_k, bound))) for batch, bound in most.items()}
    return DecodeTable(choices, Source.PINNED)


def candidates(batch: int, kv_heads: int, pages: int) -> Iterator[LaunchParameters]:
    """Yield the launches worth measuring, the likeliest first."""
    likeliest = rule(batch, kv_heads, pages).split_k
    splits = (likeliest, likeliest * 2, likeliest // 2)
    shapes = ((4, 2), (2, 2), (2, 3)) if likeliest == 1 else ((4, 2), (2, 2))
    for split_k in dict.fromkeys(s for s in splits if 1 <= s <= min(_MOST_SPLITS, pages)):
        for warps, stages in shapes:
            yield LaunchParameters(split_k, warps, stages)


def sizes_to_measure(captured: Sequence[int], most: int) -> tuple[int, ...]:
    """Return the batch sizes that get a choice of their own: powers of two up to the largest that is captured."""
    largest = max((size for size in captured if size <= most), default=most)
    powers = [2**exponent for exponent in range(largest.bit_length()) if 2**exponent <= largest]
    return tuple(dict.fromkeys([*powers, largest]))


def as_json(table: DecodeTable) -> list[dict[str, Any]]:
    """Write a table down, one entry for each batch size."""
    return [_entry(batch, choice) for batch, choice in table.choices.items()]


def from_json(raw: Any, source: Source) -> DecodeTable:
    """Read a table back.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        choices = {int(entry["batch"]): _choice(entry) for entry in raw}
    except (KeyError, TypeError, AttributeError, OverflowError) as error:  # an int() of Infinity overflows
        raise ValueError(f"no table of decode kernels: {type(error).__name__}: {error}") from error
    if not choices or min(choices) < 1:
        raise ValueError("no table of decode kernels: it has no batch size")
    return DecodeTable(dict(sorted(choices.items())), source)


def _entry(batch: int, choice: Choice) -> dict[str, Any]:
    entry: dict[str, Any] = {"batch": batch, "kernel": choice.kernel}
    if choice.split_k is not None:
        split_k, warps, stages = choice.split_k
        entry |= {"splitK": split_k, "numWarps": warps, "numStages": stages}
    return entry


def _choice(entry: Mapping[str, Any]) -> Choice:
    if entry["kernel"] == FLASH_ATTN:
        return Choice(None)
    if entry["kernel"] != XFORMERS_SPLIT_K:
        raise ValueError(f"no table of decode kernels: kernel {entry['kernel']!r} is not known")
    parameters = LaunchParameters(int(entry["splitK"]), int(entry["numWarps"]), int(entry["numStages"]))
    if min(parameters) < 1:
        raise ValueError("no table of decode kernels: launch parameters start at 1")
    if parameters.num_warps.bit_count() != 1:
        raise ValueError(f"no table of decode kernels: Triton has no launch of {parameters.num_warps} warps")
    return Choice(parameters)
