"""``GET /v1/attention`` on vLLM's API server, and the same in one line of ``/metrics``.

An endpoint plugin is what vLLM hands its application to, so the guard of the API key is put in place here too.
"""

import asyncio
import logging
import os
from argparse import Namespace
from http import HTTPStatus
from typing import Any, Final, Protocol

from prometheus_client import REGISTRY, CollectorRegistry, Gauge

from mistral_vllm.api_key import KeyGuard, api_keys
from mistral_vllm.layer_types import LayerType
from mistral_vllm.telling.report import Untold, is_pending, report
from mistral_vllm.telling.worker import METHOD, installed

PATH: Final = "/v1/attention"
GAUGE: Final = "mistral_vllm_attention_info"
_STATE: Final = "mistral_vllm_attention"
_AVAILABLE: Final = "Available"
_NONE: Final = "none"
_PATIENCE_SECONDS: Final = 30.0  # workers answer between two steps of the engine

# vLLM shows the records of its own loggers alone
logger = logging.getLogger(f"vllm.{__name__}")

_NO_ENGINE: Final = "this server has no engine, so no attention runs here: ask the server that generates"
_NOT_STARTED: Final = "the server has not started yet: ask again"
_NOT_ACTIVE: Final = (
    "the plugin is not active in this engine, so its workers cannot be asked: the log says why at its beginning"
)


class Engine(Protocol):
    """What is asked of vLLM's ``EngineClient``."""

    async def collective_rpc(self, method: str) -> list[Any]:
        """Return what a worker's method of that name answers on every rank."""


class AttentionInfo:
    """The gauge: 1, with what runs in its labels."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        # no Info: with several API servers metrics go through files, which hold numbers only
        self._gauge = Gauge(
            GAUGE,
            "The attention that the workers run: backend by kind of layer, window in tokens, XFormers.",
            labelnames=("backend_sliding", "backend_full", "window", "xformers"),
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def show(self, found: dict[str, Any]) -> None:
        """Show a report."""
        backends = found["backends"]
        window = found["slidingWindow"]
        self._gauge.labels(
            backend_sliding=backends.get(LayerType.SLIDING.value, _NONE),
            backend_full=backends.get(LayerType.FULL.value, _NONE),
            window=_NONE if window is None else str(window),
            # the reason is a sentence, and a label of sentences is a new series for each
            xformers=_AVAILABLE if found["xformers"] == _AVAILABLE else "Unavailable",
        ).set(1)


class Attention:
    """One engine's report: asked for once, and again only while a decode table is still to come.

    Whoever comes while the engine is being asked waits for that answer: an engine that hangs keeps everybody for as
    long as the first, and is asked no more often.
    """

    def __init__(self, engine: Engine | None, info: AttentionInfo, *, unable: str = _NO_ENGINE) -> None:
        self._engine = engine
        self._unable = unable  # why there is no engine to ask
        self._info = info
        self._asking: asyncio.Task[dict[str, Any]] | None = None
        self._found: dict[str, Any] | None = None

    async def tell(self) -> dict[str, Any]:
        """Return the report.

        Raises
        ------
        Untold
            When the engine cannot be asked, or has nothing to tell.
        """
        if self._engine is None:
            raise Untold(self._unable)
        if self._found is not None and not is_pending(self._found):
            return self._found
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renewed(self._engine))
        return await asyncio.shield(self._asking)  # who leaves ends it for nobody else

    async def _renewed(self, engine: Engine) -> dict[str, Any]:
        self._found = self._report(await self._ask(engine))
        return self._found

    def _report(self, answers: list[Any]) -> dict[str, Any]:
        try:
            found = report(answers)
            self._info.show(found)
        except Untold:
            raise
        except Exception as error:  # told with its traceback: a fault of the plugin ends no server that serves
            logger.exception("%s cannot tell what its workers answered: this is a fault in the plugin", PATH)
            raise Untold(f"what the workers answered cannot be told: {type(error).__name__}: {error}") from error
        return found

    async def _ask(self, engine: Engine) -> list[Any]:
        # no timeout of vLLM's own: its executor would leave late answers in its queues, for the next call to read
        try:
            return await asyncio.wait_for(engine.collective_rpc(METHOD), _PATIENCE_SECONDS)
        except TimeoutError:
            raise Untold(f"the engine did not answer within {_PATIENCE_SECONDS:g} s: ask again") from None
        except Exception as error:  # a dead engine has errors of its own, and a failed call raises Exception itself
            raise Untold(f"the engine cannot be asked: {type(error).__name__}: {error}") from error


class AttentionEndpoint:
    """vLLM's endpoint plugin."""

    name = "mistral_vllm"
    required_tasks = None  # loaded without an engine too: 503 and a sentence say more than 404

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._info = AttentionInfo(registry)

    def attach_router(self, app: Any) -> None:
        """Add the route and, where there is an API key, the guard that asks for it on vLLM's other paths too."""
        from fastapi import Request  # noqa: PLC0415 - the API server alone has it
        from fastapi.responses import JSONResponse  # noqa: PLC0415

        async def tell_attention(request: Request) -> JSONResponse:
            """Tell which attention the workers really run."""
            try:
                return JSONResponse(await getattr(request.app.state, _STATE).tell())
            except Untold as error:
                return JSONResponse({"error": str(error)}, status_code=HTTPStatus.SERVICE_UNAVAILABLE)

        setattr(app.state, _STATE, Attention(None, self._info, unable=_NOT_STARTED))
        app.add_api_route(PATH, tell_attention, methods=["GET"], response_class=JSONResponse, response_model=None)
        keys = api_keys(getattr(app.state, "args", None), os.environ)
        if keys:
            app.add_middleware(KeyGuard, keys=keys)

    async def init_state(self, engine_client: Engine | None, state: Any, args: Namespace) -> None:  # noqa: ARG002
        """Ask the workers, which are warm by now; what cannot be told now may be told later.

        An exception here would end the server.
        """
        if engine_client is not None and not installed():
            # no rank knows the call then, and vLLM's executor would take one rank's failure alone off its queues
            attention = Attention(None, self._info, unable=_NOT_ACTIVE)
        else:
            attention = Attention(engine_client, self._info)
        setattr(state, _STATE, attention)
        try:
            found = await attention.tell()
        except Untold as error:
            logger.warning("GET %s cannot tell: %s", PATH, error)
            return
        for warning in found["warnings"]:
            logger.warning("attention: %s", warning)
