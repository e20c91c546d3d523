"""Reading models for many objects: one question to the hub for all that ask the same, and retries that suit the answer.

A thousand objects of one model ask the hub once. What may heal by itself is asked again soon, then less and less
often; where only a person can help, a new token is noticed within a minute, and anything else within minutes. No
namespace's questions keep another's waiting.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from huggingface_hub import constants
from structlog.typing import FilteringBoundLogger

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.controller.backoff import backoff_seconds
from mistral_operator.controller.fair_slots import FairSlots
from mistral_operator.controller.keys import Key
from mistral_operator.controller.known_models import Known, KnownModels, Question
from mistral_operator.controller.measures import READ
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.settings import HubSettings
from mistral_operator.controller.token_folders import TokenFolders
from mistral_operator.controller.tokens import HUB_TOKEN, TokenError, Tokens
from mistral_operator.hub import HubError
from mistral_operator.hub.cache_space import CacheSpace
from mistral_operator.hub.errors import HubReason, HubUnreachableError, InternalError, RateLimitedError
from mistral_operator.hub.remote import READ_TIMEOUTS, HubReader
from mistral_operator.hub.wire import Deadline
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.verdict import ModelAnswer

_NEEDS_A_TOKEN: Final = frozenset(
    {HubReason.GATED, HubReason.FORBIDDEN, HubReason.BAD_TOKEN, HubReason.NOT_FOUND_OR_NO_ACCESS}
)
_LONGEST_PATIENCE_SECONDS: Final = 3600.0  # a hub's limits last minutes; a header can say anything
_SPARE_SECONDS: Final = 5.0  # after which a read that should have ended is waited for no longer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What reading a model came to, and when it makes sense to ask again."""

    answer: ModelAnswer
    again_seconds: float


class Models:
    """All models that were asked for."""

    def __init__(
        self,
        tokens: Tokens,
        settings: HubSettings,
        endpoint: str | None,
        clock: Callable[[], float],
        metrics: Metrics,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._tokens = tokens
        self._settings = settings
        self._endpoint = endpoint
        self._clock = clock
        self._metrics = metrics
        self._log: FilteringBoundLogger = structlog.get_logger() if log is None else log
        # whoever wants a model asks once per period, so that what nobody asked for in two is nobody's
        unasked_seconds = 2 * max(settings.recheck_seconds, settings.slow_retry_seconds)
        self._known = KnownModels(settings.memory_bytes, unasked_seconds, clock)
        longest_seconds = max(settings.recheck_seconds, settings.slow_retry_seconds, _LONGEST_PATIENCE_SECONDS)
        root = Path(settings.cache_dir or constants.HF_ASSETS_CACHE)
        self._folders = TokenFolders(root, longest_seconds + READ_TIMEOUTS * settings.timeout_seconds, clock)
        self._space = CacheSpace(root, settings.cache_bytes)
        self._slots = FairSlots(settings.parallel_reads, max(1, settings.parallel_reads // 2))
        self._threads = ThreadPoolExecutor(settings.parallel_reads, thread_name_prefix="hub")
        self._reads: set[Deadline] = set()

    @property
    def recheck_seconds(self) -> float:
        """How long an answer of the hub is good for."""
        return self._settings.recheck_seconds

    def close(self) -> None:
        """Let no read hold up the end of the process."""
        for deadline in self._reads:
            deadline.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def forget(self, key: Key) -> None:
        """Let go of what an object needed that is gone."""
        self._known.let_go(key)

    def reset(self) -> None:
        """Believe nothing about which objects there are: another process may have led in between."""
        self._known.let_all_go()

    async def read(
        self,
        namespace: str,
        spec: MistralDeploymentSpec,
        *,
        fresh_seconds: float | None = None,
        holder: Key | None = None,
    ) -> Outcome:
        """Read the model a spec names.

        Parameters
        ----------
        fresh_seconds
            The oldest answer that will do; the recheck period when None.
        holder
            The object that needs it; what is read stays known until the object is forgotten or asks for another.

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
        known = self._known.of(Question(spec.model.id, spec.model.revision, folder.name), holder)
        oldest_seconds = self._settings.recheck_seconds if fresh_seconds is None else fresh_seconds
        asked_at = self._clock()  # what is read from now on is fresh enough, however long that takes

        def due() -> bool:
            return known.is_due(asked_at, oldest_seconds)

        while due():
            await self._read(known, namespace, token, folder, due)
        return self._outcome(known, has_token=token is not None)

    async def _read(
        self, known: Known, namespace: str, token: str | None, folder: Path, due: Callable[[], bool]
    ) -> None:
        """Read a model, or wait until somebody else has: whoever of all that ask gets a slot first, reads it."""
        if known.reading is not None:
            await asyncio.wait({known.reading})
            return
        request = self._slots.request(namespace)
        known.requests.add(request)
        try:
            if not await request:
                return
        except asyncio.CancelledError:
            self._slots.give_up(namespace, request)
            raise
        finally:
            known.requests.discard(request)
        try:
            if known.reading is None and due():
                await self._read_for_all(known, token, folder)
        finally:
            self._slots.release(namespace)

    async def _read_for_all(self, known: Known, token: str | None, folder: Path) -> None:
        known.reading = asyncio.get_running_loop().create_future()
        for request in known.requests:
            self._slots.withdraw(request)
        try:
            await self._ask(known, token, folder)
        finally:
            known.reading.set_result(None)
            known.reading = None
            self._known.make_room()
            self._metrics.hub_models_bytes.set(self._known.size_bytes)

    async def _ask(self, known: Known, token: str | None, folder: Path) -> None:
        reader = HubReader(
            self._endpoint,
            token if token is not None else False,
            cache_dir=folder,
            timeout_seconds=self._settings.timeout_seconds,
            access_advice=f"set {HUB_TOKEN.field}",
            cache_space=self._space,
        )
        most_seconds = READ_TIMEOUTS * self._settings.timeout_seconds
        deadline = Deadline(most_seconds)
        self._reads.add(deadline)
        model, revision, _ = known.question

        def read() -> ModelFacts:
            return reader.read(model, revision, deadline=deadline)

        try:
            # a thread ends by itself at the deadline, unless it waits for a name server
            async with asyncio.timeout(most_seconds + _SPARE_SECONDS):
                facts = await asyncio.get_running_loop().run_in_executor(self._threads, read)
        except HubError as error:
            self._failed(known, error)
        except TimeoutError:
            why = f"it was not read to its end in {most_seconds:.0f} s"
            self._failed(known, HubUnreachableError(model, "the hub", why))
        else:
            known.keep(facts)
            known.error, known.read_at, known.failures = None, self._clock(), 0
            self._metrics.hub_reads.labels(result=READ).inc()
        finally:
            deadline.cancel()
            self._reads.discard(deadline)

    def _failed(self, known: Known, error: HubError) -> None:
        if isinstance(error, InternalError) and not isinstance(known.error, InternalError):
            model, revision, _ = known.question
            self._log.error(
                "could not read a model: this is a fault in the operator",
                model=model,
                revision=revision,
                exc_info=error.__cause__,
            )
        # its frames hold what was read, for as long as the error is known
        error.__traceback__ = error.__cause__ = error.__context__ = None
        known.error, known.failed_at = error, self._clock()
        known.retry_seconds = self._retry_seconds(error, known.failures)
        known.failures += 1
        if not error.transient:
            known.keep(None)
        self._metrics.hub_reads.labels(result=str(error.reason)).inc()

    def _retry_seconds(self, error: HubError, failures: int) -> float:
        """Return how long the hub is left alone after an error."""
        settings = self._settings
        if not error.transient:
            return settings.slow_retry_seconds
        backoff = backoff_seconds(settings.retry_seconds, failures, settings.slow_retry_seconds)
        if isinstance(error, RateLimitedError) and error.retry_after_seconds is not None:
            # a hub that says 1 s again and again means longer
            least_seconds = backoff if failures else 1
            return min(max(error.retry_after_seconds, least_seconds), _LONGEST_PATIENCE_SECONDS)
        return backoff

    def _outcome(self, known: Known, *, has_token: bool) -> Outcome:
        now, error = self._clock(), known.error
        if error is None:
            return Outcome(ModelAnswer(known.facts), max(1.0, known.read_at + self._settings.recheck_seconds - now))
        again = max(0.1, known.failed_at + known.retry_seconds - now)
        if has_token and error.reason in _NEEDS_A_TOKEN:
            again = min(again, self._token_seconds())  # a new token in the Secret is a new question
        return Outcome(
            ModelAnswer(known.facts, str(error.reason), _told(error, has_token=has_token), error.transient), again
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
