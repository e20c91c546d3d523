"""Requests, counted by verb and resource."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

_WRITES: Final = frozenset(
    {"create", "update", "patch", "delete", "deletecollection"}  # as the audit log calls them
    | {"post", "put", "apply"}  # as the API server's metrics do
)
_UPKEEP: Final = frozenset({"leases", "events"})


class Call(NamedTuple):
    """One kind of request."""

    verb: str  # lower case
    resource: str  # with its subresource, such as deployments/status; the path of a request for no resource


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests there were of each kind.

    A watch is no request here: it costs when it begins. Nor is what any operator does beside its work: Leases and
    Events.
    """

    counts: Mapping[Call, int] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: Mapping[Call, int]) -> Self:
        """Count what counts."""
        return cls({call: count for call, count in counts.items() if count > 0 and _counts(call)})

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(Counter(self.counts) - Counter(other.counts))

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.counts.values())

    @property
    def writes(self) -> int:
        """Those that may change something."""
        return sum(count for call, count in self.counts.items() if call.verb in _WRITES)

    def by_kind(self) -> dict[str, int]:
        """Return counts such as ``patch deployments``, the most frequent first."""
        return {f"{call.verb} {call.resource}": count for call, count in self._ordered()}

    def by_verb(self) -> dict[str, int]:
        """Return counts by verb alone, the most frequent first."""
        verbs: Counter[str] = Counter()
        for call, count in self.counts.items():
            verbs[call.verb] += count
        return dict(verbs.most_common())

    def _ordered(self) -> list[tuple[Call, int]]:
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))


def _counts(call: Call) -> bool:
    return call.verb not in ("watch", "connect") and call.resource.partition("/")[0] not in _UPKEEP
