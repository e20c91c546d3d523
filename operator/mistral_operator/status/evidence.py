"""What is known of pods beside their own status: Events, logs, nodes and claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple


class ObjectEvent(NamedTuple):
    """One Event about a pod or a claim."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Whatever was asked for; a pod that nobody asked about is judged by its status alone."""

    events: Mapping[str, Sequence[ObjectEvent]] = field(default_factory=dict)  # of a pod, by uid, newest first
    claim_events: Sequence[ObjectEvent] = ()  # of the object's claim, newest first
    causes: Mapping[str, str] = field(default_factory=dict)  # by pod uid: why vLLM ended, found in the log
    unread: frozenset[str] = frozenset()  # pods whose log is being read
    lost_nodes: frozenset[str] = frozenset()  # whose kubelet says nothing any more
    claim: str | None = None  # name of the claim that pods mount


NO_EVIDENCE: Final = Evidence()
