"""What can be wrong with a hub, and the switchboard that makes it so at run time.

The faults are those that a reader of a real hub meets: access, absence, damage, overload. What each one
answers is in `devcluster.hub.answers`.
"""

import math
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

EVERY_REPOSITORY = "*"
"""Key of the switchboard for faults of the whole hub."""

CONFIG_FILES = frozenset({"config.json", "params.json"})


class Action(StrEnum):
    """What a request wants of a repository."""

    INFO = "info"
    TREE = "tree"
    PATHS_INFO = "paths-info"
    AUTH_CHECK = "auth-check"
    SAFETENSORS_METADATA = "safetensors-metadata"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class Occasion:
    """What a fault may look at in a request.

    Parameters
    ----------
    action
        What is wanted.
    method
        HTTP method.
    revision
        Branch or commit as the request names it; None when it names none.
    path
        File that the request names, or the empty string.
    token
        Bearer token, or None.
    """

    action: Action
    method: str
    revision: str | None
    path: str
    token: str | None


class Kind(StrEnum):
    """What is wrong.

    Refusals name the exception that huggingface_hub 2.4.0 raises for them.
    """

    GATED = "gated"
    """Files need a token that was granted access; the model info stays public. ``GatedRepoError``."""
    PRIVATE = "private"
    """Without a granted token it looks as if it did not exist. ``RepositoryNotFoundError``."""
    BAD_TOKEN = "bad_token"  # noqa: S105  the name of a fault
    """Tokens are refused unless granted; requests without one pass. ``HfHubHTTPError``, status 401."""
    REVISION_MISSING = "revision_missing"
    """No request that names a revision finds it. ``RevisionNotFoundError``."""
    NO_CONFIG = "no_config"
    """config.json and params.json are neither listed nor found. ``RemoteEntryNotFoundError``."""
    TORN = "torn"
    """JSON files end in the middle, and their length agrees. No exception: the reader gets broken JSON."""
    GARBLED = "garbled"
    """JSON files are as long as listed, and no JSON: what was uploaded is broken. No exception either."""
    RATE_LIMITED = "rate_limited"
    """Too many requests; ``seconds`` until the limit is reset. ``HfHubHTTPError``, status 429."""
    UNAVAILABLE = "unavailable"
    """The hub is overloaded or down. ``HfHubHTTPError``, status 503."""
    SLOW = "slow"
    """Answers come ``seconds`` late. ``httpx2.ReadTimeout`` when the reader waits less."""
    DISABLED = "disabled"
    """The repository was disabled by the hub. ``DisabledRepoError``."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a repository.

    Parameters
    ----------
    kind
        What is wrong.
    seconds
        Delay of `Kind.SLOW`, reset time of `Kind.RATE_LIMITED` (sent as a whole number); unused by the
        others.
    times
        Number of requests that the fault still affects before it heals; None for no limit. Requests that it
        would not change are not counted, nor is the HEAD that announces a torn file.
    tokens
        Tokens that have access: for `Kind.GATED`, `Kind.PRIVATE` and `Kind.BAD_TOKEN`.

    Raises
    ------
    ValueError
        When ``seconds`` is negative or not finite, or ``times`` is below 1.
    """

    kind: Kind
    seconds: float = 0.0
    times: int | None = None
    tokens: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds must be finite and not negative, not {self.seconds}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be 1 or more, not {self.times}: remove the fault instead")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``KIND`` or ``KIND:ARG``, where ARG is seconds, or tokens separated by commas.

        Raises
        ------
        ValueError
            For an unknown kind, or an argument that the kind does not take.
        """
        name, _, argument = text.partition(":")
        kind = Kind(name)
        if not argument:
            return cls(kind)
        if kind in (Kind.SLOW, Kind.RATE_LIMITED):
            return cls(kind, seconds=float(argument))
        if kind in (Kind.GATED, Kind.PRIVATE, Kind.BAD_TOKEN):
            return cls(kind, tokens=frozenset(argument.split(",")))
        raise ValueError(f"{kind} takes no argument, so not {argument!r}")

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read what `as_json` wrote; every key but ``kind`` may be left out.

        Raises
        ------
        ValueError
            When the document is no description of a fault.
        """
        if not isinstance(document, Mapping) or "kind" not in document:
            raise ValueError('a fault is a JSON object such as {"kind": "gated"}')
        if unknown := document.keys() - {"kind", "seconds", "times", "tokens"}:
            raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
        seconds, times, tokens = document.get("seconds", 0), document.get("times"), document.get("tokens", [])
        # bool is an int to isinstance, but true is no number in JSON.
        if not isinstance(seconds, int | float) or not isinstance(times, int | None) or times is True:
            raise ValueError("seconds is a number, and times an integer or null")
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("tokens is a list of strings")
        return cls(Kind(document["kind"]), float(seconds), times, frozenset(tokens))

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads."""
        return {
            "kind": self.kind.value,
            "seconds": self.seconds,
            "times": self.times,
            "tokens": sorted(self.tokens),
        }

    def affects(self, occasion: Occasion) -> bool:
        """Return whether the fault would change the answer to a request."""
        match self.kind:
            case Kind.GATED:
                gated = (Action.RESOLVE, Action.AUTH_CHECK, Action.SAFETENSORS_METADATA)
                return occasion.action in gated and occasion.token not in self.tokens
            case Kind.PRIVATE:
                return occasion.token not in self.tokens
            case Kind.BAD_TOKEN:
                return occasion.token is not None and occasion.token not in self.tokens
            case Kind.REVISION_MISSING:
                return occasion.revision is not None
            case Kind.NO_CONFIG:
                listed = occasion.action in (Action.INFO, Action.TREE, Action.PATHS_INFO)
                return listed or occasion.path in CONFIG_FILES
            case Kind.TORN | Kind.GARBLED:
                return occasion.action is Action.RESOLVE and occasion.path.endswith(".json")
            case _:
                return True

    def uses_up(self, occasion: Occasion) -> bool:
        """Return whether a request that the fault affects is one of its ``times``."""
        # The HEAD of a download must announce the length that its GET will have.
        return not (self.kind is Kind.TORN and occasion.method == "HEAD")


class Switchboard(MutableMapping[str, Fault]):
    """The faults of a hub by repository id, or by `EVERY_REPOSITORY`; any thread may read and change them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}

    def __getitem__(self, repo_id: str) -> Fault:
        with self._lock:
            return self._faults[repo_id]

    def __setitem__(self, repo_id: str, fault: Fault) -> None:
        with self._lock:
            self._faults[repo_id] = fault

    def __delitem__(self, repo_id: str) -> None:
        with self._lock:
            del self._faults[repo_id]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._faults))

    def __len__(self) -> int:
        with self._lock:
            return len(self._faults)

    def of(self, repo_id: str) -> list[Fault]:
        """Return the faults set for a repository, the whole hub's first, without counting them."""
        with self._lock:
            return [self._faults[key] for key in (EVERY_REPOSITORY, repo_id) if key in self._faults]

    def snapshot(self) -> dict[str, Fault]:
        """Return all faults as they are at one moment."""
        with self._lock:
            return dict(self._faults)

    def strike(self, repo_id: str, occasion: Occasion) -> list[Fault]:
        """Return the faults that affect a request, the whole hub's first, and count down their ``times``."""
        struck = []
        with self._lock:
            for key in (EVERY_REPOSITORY, repo_id):
                fault = self._faults.get(key)
                if fault is None or not fault.affects(occasion):
                    continue
                struck.append(fault)
                if fault.times is not None and fault.uses_up(occasion):
                    if fault.times == 1:
                        del self._faults[key]
                    else:
                        self._faults[key] = replace(fault, times=fault.times - 1)
        return struck
