"""Reading a model on a hub: at a branch one request if the commit is known, by a known commit none.

A first read asks for the listing, config.json, params.json, and per format either the index or the header of
the one file. Files are asked for by the commit that the listing names, so that no push in between mixes two
revisions.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from huggingface_hub import constants, is_offline_mode
from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # exported lazily

from mistral_operator.hub.bounded_http import BoundedHttp
from mistral_operator.hub.cache import FactsCache, NoCache
from mistral_operator.hub.cache_space import CacheSpace
from mistral_operator.hub.checkpoint import facts_of
from mistral_operator.hub.errors import (
    ACCESS_ADVICE,
    HubError,
    HubUnreachableError,
    InternalError,
    InvalidModelIdError,
    OfflineError,
)
from mistral_operator.hub.files import CONFIG, PARAMS
from mistral_operator.hub.listing import COMMIT, Listing, read_listing
from mistral_operator.hub.session import HubSession, refuse_endpoint
from mistral_operator.hub.translate import Asked, translated
from mistral_operator.hub.wire import Deadline
from mistral_operator.planning.facts import ModelFacts

READ_TIMEOUTS: Final = 6
"""In times of one answer: when a whole read has to be over."""
CACHE_BYTES: Final = 64 << 20
"""What a cache may take on disk where nobody says: ten thousand models."""
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
        How long one answer may take, from the connection to its last byte; a read ends at the first that takes longer.
    offline : bool
        Ask nothing, as ``HF_HUB_OFFLINE=1`` says for the whole process.
    cached : bool
        Whether anything is kept on disk, and looked for there.
    cache_space : CacheSpace, optional
        What bounds the folder, where several readers share it; each reader bounds what it writes when None.
    access_advice : str
        What a user is to do who gave no token, as errors say it in the middle of a sentence.
    """

    endpoint: str | None = field(default=None, repr=False)  # may hold a password
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: Path | None = None
    timeout_seconds: float = 10
    offline: bool = False
    access_advice: str = ACCESS_ADVICE
    cached: bool = True
    cache_space: CacheSpace | None = None

    def read(self, model_id: str, revision: str = "main", *, deadline: Deadline | None = None) -> ModelFacts:
        """Read one revision of one model.

        Parameters
        ----------
        deadline
            When it has to be read; after ``READ_TIMEOUTS`` times the time of one answer when None.

        Raises
        ------
        HubError
            Of the class that names the case; nothing is retried, ``transient`` says whether that may help.
        """
        try:
            return self._read(model_id, revision, deadline or Deadline(READ_TIMEOUTS * self.timeout_seconds))
        except HubError:
            raise
        except Exception as error:
            raise InternalError(model_id, error) from error

    def _read(self, model_id: str, revision: str, deadline: Deadline) -> ModelFacts:
        try:
            validate_repo_id(model_id)
        except HFValidationError:
            raise InvalidModelIdError(model_id) from None
        endpoint = endpoint_of(self.endpoint)
        shown = without_credentials(endpoint)
        cache = self._cache(shown, model_id)
        commit = revision if COMMIT.fullmatch(revision) else None
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
        refuse_endpoint(model_id, endpoint, shown)
        with translated(asked):
            http = BoundedHttp(deadline, self.timeout_seconds)
        with closing(http):
            return self._ask(HubSession.open(endpoint, model_id, self.token, http), asked, cache)

    def _cache(self, shown: str, model_id: str) -> NoCache:
        if not self.cached:
            return NoCache()
        folder = Path(self.cache_dir or constants.HF_ASSETS_CACHE) / "mistral-operator"
        return FactsCache(folder, shown, model_id, self.cache_space or CacheSpace(folder, CACHE_BYTES))

    def _ask(self, session: HubSession, asked: Asked, cache: NoCache) -> ModelFacts:
        with translated(asked), session.listing(asked.revision) as answer:
            listing = read_listing(answer, asked.model)
        known = cache.load(listing.commit, asked.revision)
        if known is not None:
            if listing.gated:
                self._check_access(session, known, listing.commit, asked)
            cache.remember(asked.revision, listing.commit)
            return known
        facts = facts_of(_Repository(session, listing, asked), revision=asked.revision, commit=listing.commit)
        cache.store(facts)
        return facts

    @staticmethod
    def _check_access(session: HubSession, known: ModelFacts, commit: str, asked: Asked) -> None:
        # what is cached may have been read with another token, and the pod will need this one
        file = CONFIG if known.config is not None else PARAMS
        with translated(replace(asked, file=file)):
            session.check_access(file, commit)


class _Repository:
    """The files of one commit on a hub, read by request."""

    remote = True

    def __init__(self, session: HubSession, listing: Listing, asked: Asked) -> None:
        self.model = asked.model
        self.sizes = listing.sizes
        self.declared_elements = listing.declared_elements
        self._commit = listing.commit
        self._session = session
        self._asked = asked

    def read(self, name: str, limit: int) -> bytes | None:
        with translated(replace(self._asked, file=name)):
            try:
                content = b"".join(self._session.stream(name, self._commit, limit))
            except RemoteEntryNotFoundError:
                return None
        self._expect(name, 0, limit, len(content))
        return content

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        came = 0
        with translated(replace(self._asked, file=name)):
            for chunk in self._session.stream(name, self._commit, limit):
                came += len(chunk)
                yield chunk
        self._expect(name, 0, limit, came)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        with translated(replace(self._asked, file=name)):
            content = b"".join(self._session.stream_range(name, self._commit, start, length))
        self._expect(name, start, length, len(content))
        return content

    def _expect(self, name: str, start: int, length: int, came: int) -> None:
        """Refuse an answer shorter than the file is: it was lost on its way, and the next may be whole."""
        expected = min(length, self.sizes[name] - start)
        if came < expected:
            why = f"{name} ended after {came:,} of {expected:,} bytes"
            raise HubUnreachableError(self.model, self._asked.endpoint, why)
