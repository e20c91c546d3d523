"""Reading models for many objects: one question to the hub for all that ask the same, and retries that suit the answer.

A thousand objects of one model ask the hub once. What may heal by itself is asked again soon, then less and less
often; where only a person can help, a new token is noticed within a minute, and anything else within minutes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from huggingface_hub import constants

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.controller.backoff import backoff_seconds
from mistral_operator.controller.measures import READ
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.settings import HubSettings
from mistral_operator.controller.token_folders import TokenFolders
from mistral_operator.controller.tokens import HUB_TOKEN, TokenError, Tokens
from mistral_operator.hub import HubError
from mistral_operator.hub.errors import HubReason, HubUnreachableError, RateLimitedError
from mistral_operator.hub.remote import HubReader
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.verdict import ModelAnswer

_NEEDS_A_TOKEN: Final = frozenset(
    {HubReason.GATED, HubReason.FORBIDDEN, HubReason.BAD_TOKEN, HubReason.NOT_FOUND_OR_NO_ACCESS}
)
_LONGEST_PATIENCE_SECONDS: Final = 3600.0  # a hub's limits last minutes; a header can say anything
_TIMEOUTS: Final = 6  # of single requests, within which a whole read ends: a hub that trickles holds up no worker
_MOST_ENTRIES: Final = 64  # of which nobody may ask any more, and which are kept all the same


@dataclass(frozen=True, slots=True)
class Outcome:
    """What reading a model came to, and when it makes sense to ask again."""

    answer: ModelAnswer
    again_seconds: float


@dataclass(slots=True)
class _Entry:
    """What is known of one model at one revision, as one token sees it."""

    facts: ModelFacts | None = None
    error: HubError | None = None
    read_at: float = float("-inf")
    failed_at: float = float("-inf")
    failures: int = 0
    retry_seconds: float = 0
    asked_for_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_due(self, now: float, oldest_seconds: float) -> bool:
        """Tell whether the hub is to be asked: after an error when its wait is over, whatever was read before it."""
        if self.error is not None:
            return now >= self.failed_at + self.retry_seconds
        return now - self.read_at > oldest_seconds


class Models:
    """All models that were asked for."""

    def __init__(
        self,
        tokens: Tokens,
        settings: HubSettings,
        endpoint: str | None,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._tokens = tokens
        self._settings = settings
        self._endpoint = endpoint
        self._clock = clock
        self._metrics = metrics
        self._entries: dict[tuple[str, str, str], _Entry] = {}
        self._kept = 0  # how many were left when they were last sorted out
        longest_seconds = max(settings.recheck_seconds, settings.slow_retry_seconds, _LONGEST_PATIENCE_SECONDS)
        self._folders = TokenFolders(
            Path(settings.cache_dir or constants.HF_ASSETS_CACHE),
            longest_seconds + _TIMEOUTS * settings.timeout_seconds,
            clock,
        )
        self._threads = ThreadPoolExecutor(settings.parallel_reads, thread_name_prefix="hub")

    @property
    def recheck_seconds(self) -> float:
        """How long an answer of the hub is good for."""
        return self._settings.recheck_seconds

    def close(self) -> None:
        """Let no read hold up the end of the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def read(self, namespace: str, spec: MistralDeploymentSpec, *, fresh_seconds: float | None = None) -> Outcome:
        """Read the model a spec names.

        Parameters
        ----------
        fresh_seconds
            The oldest answer that will do; the recheck period when None.

        Raises
        ------
        ClusterError
            When the API server could not be asked for the token.
        """
        token: str | None = None
        if spec.hf_token_secret_ref is not None:
            try:
                token = await self._tokens.read(namespace, spec.hf_token_secret_ref)
            except TokenError as error:
                return Outcome(ModelAnswer(None, str(error.reason), str(error)), self._token_seconds())
        folder = self._folders.use(token)
        entry = self._entry((spec.model.id, spec.model.revision, folder.name))
        oldest = self._settings.recheck_seconds if fresh_seconds is None else fresh_seconds
        async with entry.lock:
            if entry.is_due(self._clock(), oldest):
                await self._ask(entry, spec, token, folder)
        return self._outcome(entry, has_token=token is not None)

    def _entry(self, name: tuple[str, str, str]) -> _Entry:
        now = self._clock()
        entry = self._entries.setdefault(name, _Entry())
        entry.asked_for_at = now
        if len(self._entries) > 2 * self._kept + _MOST_ENTRIES:
            # whoever wants a model asks once per period, so that what nobody asked for in two is nobody's
            since = now - 2 * max(self._settings.recheck_seconds, self._settings.slow_retry_seconds)
            self._entries = {
                kept: known
                for kept, known in self._entries.items()
                if known.asked_for_at >= since or known.lock.locked()
            }
            self._kept = len(self._entries)
        return entry

    async def _ask(self, entry: _Entry, spec: MistralDeploymentSpec, token: str | None, folder: Path) -> None:
        reader = HubReader(
            self._endpoint,
            token if token is not None else False,
            cache_dir=folder,
            timeout_seconds=self._settings.timeout_seconds,
            access_advice=f"set {HUB_TOKEN.field}",
        )
        loop = asyncio.get_running_loop()
        most_seconds = _TIMEOUTS * self._settings.timeout_seconds
        try:
            async with asyncio.timeout(most_seconds):
                entry.facts = await loop.run_in_executor(self._threads, reader.read, spec.model.id, spec.model.revision)
        except HubError as error:
            self._failed(entry, error)
        except TimeoutError:
            why = f"it was not read to its end in {most_seconds:.0f} s"
            self._failed(entry, HubUnreachableError(spec.model.id, "the hub", why))
        else:
            entry.error, entry.read_at, entry.failures = None, self._clock(), 0
            self._metrics.hub_reads.labels(result=READ).inc()

    def _failed(self, entry: _Entry, error: HubError) -> None:
        entry.error, entry.failed_at = error, self._clock()
        entry.retry_seconds = self._retry_seconds(error, entry.failures)
        entry.failures += 1
        if not error.transient:
            entry.facts = None
        self._metrics.hub_reads.labels(result=str(error.reason)).inc()

    def _retry_seconds(self, error: HubError, failures: int) -> float:
        """Return how long the hub is left alone after an error."""
        settings = self._settings
        if isinstance(error, RateLimitedError) and error.retry_after_seconds is not None:
            return min(max(error.retry_after_seconds, 1), _LONGEST_PATIENCE_SECONDS)
        if not error.transient:
            return settings.slow_retry_seconds
        return backoff_seconds(settings.retry_seconds, failures, settings.slow_retry_seconds)

    def _outcome(self, entry: _Entry, *, has_token: bool) -> Outcome:
        now, error = self._clock(), entry.error
        if error is None:
            return Outcome(ModelAnswer(entry.facts), max(1.0, entry.read_at + self._settings.recheck_seconds - now))
        again = max(0.1, entry.failed_at + entry.retry_seconds - now)
        if has_token and error.reason in _NEEDS_A_TOKEN:
            again = min(again, self._token_seconds())  # a new token in the Secret is a new question
        return Outcome(
            ModelAnswer(entry.facts, str(error.reason), _told(error, has_token=has_token), error.transient), again
        )

    def _token_seconds(self) -> float:
        return self._settings.token_seconds + 0.5


def _told(error: HubError, *, has_token: bool) -> str:
    """Return an error as a status tells it: nothing differs each time the hub is asked, and nobody has to retry."""
    if isinstance(error, RateLimitedError):
        more = "" if has_token else "; a token in spec.hfTokenSecretRef raises its limit"
        return f"{error.message} It is asked again as soon as it allows{more}."
    if isinstance(error, HubUnreachableError):
        step = "Check the network, the proxy settings and HF_ENDPOINT of the operator; it is asked again by itself."
        return f"{error.message} {step}"
    return str(error)
