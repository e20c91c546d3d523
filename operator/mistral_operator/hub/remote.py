"""Reading a model on a hub: at a branch one request if the commit is known, by a known commit none.

A first read asks for the listing, config.json, params.json, and per format either the index or the header of
the one file. Files are asked for by the commit that the listing names, so that no push in between mixes two
revisions.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from huggingface_hub import constants, is_offline_mode
from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # exported lazily

from mistral_operator.hub.cache import FactsCache
from mistral_operator.hub.checkpoint import facts_of
from mistral_operator.hub.errors import (
    ACCESS_ADVICE,
    ConfigTooLargeError,
    InvalidModelIdError,
    OfflineError,
    UnexpectedAnswerError,
)
from mistral_operator.hub.files import CONFIG, PARAMS
from mistral_operator.hub.json_stream import Bounds, JsonStream, JsonTooLarge, is_count
from mistral_operator.hub.session import MAX_LISTING_BYTES, HubSession
from mistral_operator.hub.translate import Asked, translated
from mistral_operator.planning.facts import ModelFacts

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_READ: Final = frozenset({"sha", "gated", "safetensors"})
_LISTING_BOUNDS: Final = Bounds(value_bytes=16 << 10, containers=100_000)
_LONGEST_NAME: Final = 255  # of a file, in characters: no file system has longer ones
_CREDENTIALS: Final = re.compile(r"//[^/@]*@")


def endpoint_of(given: str | None) -> str:
    """Return the hub's URL: the one given, else ``HF_ENDPOINT``'s, else https://huggingface.co."""
    return (given or constants.ENDPOINT).rstrip("/")


def without_credentials(endpoint: str) -> str:
    """Return a URL as it may be shown."""
    return _CREDENTIALS.sub("//", endpoint)


@dataclass(frozen=True, slots=True)
class HubReader:
    """Reads models from one hub.

    Parameters
    ----------
    endpoint : str, optional
        The hub's URL; ``HF_ENDPOINT``, else https://huggingface.co, when None.
    token : str or False, optional
        The token to send; False for none, None for the machine's own (``HF_TOKEN``, ``hf auth login``).
    cache_dir : Path, optional
        Where facts are kept by commit; ``HF_ASSETS_CACHE`` when None.
    timeout_seconds : float
        How long one request may wait for the hub; a read ends at the first that waits longer.
    offline : bool
        Ask nothing, as ``HF_HUB_OFFLINE=1`` says for the whole process.
    access_advice : str
        What a user is to do who gave no token, as errors say it in the middle of a sentence.
    """

    endpoint: str | None = field(default=None, repr=False)  # may hold a password
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: Path | None = None
    timeout_seconds: float = 10
    offline: bool = False
    access_advice: str = ACCESS_ADVICE

    def read(self, model_id: str, revision: str = "main") -> ModelFacts:
        """Read one revision of one model.

        Raises
        ------
        HubError
            Of the class that names the case; nothing is retried, ``transient`` says whether that may help.
        """
        try:
            validate_repo_id(model_id)
        except HFValidationError:
            raise InvalidModelIdError(model_id) from None
        endpoint = endpoint_of(self.endpoint)
        shown = without_credentials(endpoint)
        cache = FactsCache(Path(self.cache_dir or constants.HF_ASSETS_CACHE) / "mistral-operator", shown, model_id)
        commit = revision if _COMMIT.fullmatch(revision) else None
        if self.offline or is_offline_mode():
            commit = commit or cache.commit_of(revision)
            facts = cache.load(commit, revision) if commit else None
            if facts is None:
                raise OfflineError(model_id, revision)
            return facts
        known = cache.load(commit, revision) if commit else None
        if known is not None:
            return known

        asked = Asked(model_id, revision, shown, access_advice=self.access_advice)
        session = HubSession.open(endpoint, model_id, self.token, self.timeout_seconds)
        listing = _Listing.fetch(session, asked)
        known = cache.load(listing.commit, revision)
        if known is not None:
            if listing.gated:
                self._check_access(session, known, listing.commit, asked)
            cache.remember(revision, listing.commit)
            return known
        facts = facts_of(_Repository(session, listing, asked), revision=revision, commit=listing.commit)
        cache.store(facts)
        return facts

    @staticmethod
    def _check_access(session: HubSession, known: ModelFacts, commit: str, asked: Asked) -> None:
        # what is cached may have been read with another token, and the pod will need this one
        file = CONFIG if known.config is not None else PARAMS
        with translated(replace(asked, file=file)):
            session.check_access(file, commit)


@dataclass(frozen=True, slots=True)
class _Listing:
    """What the hub says about a model at one revision."""

    commit: str
    gated: bool
    sizes: Mapping[str, int]  # at the repository's root
    declared_elements: Mapping[str, int]

    @classmethod
    def fetch(cls, session: HubSession, asked: Asked) -> "_Listing":
        with translated(asked):
            content = session.listing(asked.revision)
        if len(content) > MAX_LISTING_BYTES:
            raise ConfigTooLargeError(asked.model, "the list of files", f"{MAX_LISTING_BYTES >> 20} MiB")
        try:
            return cls._parse(content)
        except JsonTooLarge as error:
            raise UnexpectedAnswerError(asked.model, asked.endpoint, f"of its list of files, {error}") from error
        except (ValueError, LookupError, TypeError) as error:
            why = "its description of the model is not the JSON expected"
            raise UnexpectedAnswerError(asked.model, asked.endpoint, why) from error

    @classmethod
    def _parse(cls, content: bytes) -> "_Listing":
        said: dict[str, Any] = {}
        for name, value in JsonStream([content], _LISTING_BOUNDS).members(_READ.__contains__, in_pieces=("siblings",)):
            said[name] = _sizes(value) if name == "siblings" else value
        commit = said["sha"]
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise ValueError("sha is no commit")
        return cls(commit, bool(said.get("gated")), said["siblings"], _elements(said.get("safetensors")))


def _sizes(siblings: Iterable[Any]) -> dict[str, int]:
    """Return the sizes of the files at the root."""
    sizes: dict[str, int] = {}
    for file in siblings:
        name, size = file["rfilename"], file["size"]
        if not isinstance(name, str) or not is_count(size):
            raise TypeError("a file has no name or no size")
        if "/" not in name and len(name) <= _LONGEST_NAME:
            sizes[name] = size
    return sizes


def _elements(safetensors: object) -> dict[str, int]:
    """Return what is said about the safetensors files; nothing where it is no count for each dtype."""
    parameters = safetensors.get("parameters") if isinstance(safetensors, dict) else None
    if not isinstance(parameters, dict) or not all(is_count(count) for count in parameters.values()):
        return {}
    return parameters


class _Repository:
    """The files of one commit on a hub, read by request."""

    remote = True

    def __init__(self, session: HubSession, listing: _Listing, asked: Asked) -> None:
        self.model = asked.model
        self.sizes = listing.sizes
        self.declared_elements = listing.declared_elements
        self._commit = listing.commit
        self._session = session
        self._asked = asked

    def read(self, name: str, limit: int) -> bytes | None:
        with translated(replace(self._asked, file=name)):
            try:
                return self._session.read(name, self._commit, limit)
            except RemoteEntryNotFoundError:
                return None

    def read_range(self, name: str, start: int, length: int) -> bytes:
        with translated(replace(self._asked, file=name)):
            return self._session.read_range(name, self._commit, start, length)
