"""What the kubelet and Prometheus ask: one port for /healthz, /readyz and /metrics, open to every pod of the cluster.

Each connection carries one request, as the kubelet's do: there is nothing to keep open between scrapes.
"""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from mistral_operator.controller.connections import BoundedSite, Bounds
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.queue import WorkQueue
from mistral_operator.controller.settings import Settings

_BOUNDS: Final = Bounds()


class NoPortError(Exception):
    """There is no listening where this process is to be asked for its health; ``str()`` says what to do."""


class Health:
    """Judges this process. That the event loop runs at all is shown by there being an answer.

    An API server that is away is no reason to die: what counts is a reconcile that hangs, and a watch that hangs
    while the API server answers.
    """

    def __init__(
        self,
        settings: Settings,
        queue: WorkQueue,
        leading: Callable[[], bool],
        ready: Callable[[], bool],
        silence_seconds: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._silence_seconds = silence_seconds
        self._leading = leading
        self._ready = ready

    def ill(self) -> str | None:
        """Say what is wrong with this process that a restart would mend, if anything is."""
        stuck = self._queue.longest_active_seconds()
        if self._leading() and stuck > self._settings.stuck_seconds:
            return f"a reconcile has been running for {stuck:.0f} s"
        silence_seconds = self._silence_seconds()
        if silence_seconds > self._settings.deaf_seconds:
            return f"a watch has received nothing for {silence_seconds:.0f} s although the API server answers"
        return None

    def unready(self) -> str | None:
        """Say what is still missing, if anything is."""
        return None if self._ready() else "the first lists are not done, or the MistralDeployment CRD is not served yet"

    def waiting(self) -> int:
        """Return how many objects wait for a worker; where nobody works the queue only keeps them for later."""
        return len(self._queue) if self._leading() else 0


async def serve(health: Health, metrics: Metrics, host: str, port: int, bounds: Bounds = _BOUNDS) -> web.AppRunner:
    """Answer until the returned runner is cleaned up.

    Raises
    ------
    NoPortError
        When the address is not this machine's, or the port is another's.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(health.ill())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(health.unready())

    async def show_metrics(_: web.Request) -> web.Response:
        metrics.queue_depth.set(health.waiting())
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", show_metrics)])
    app.on_response_prepare.append(_end_connection)
    runner = web.AppRunner(app, access_log=None, lingering_time=0)
    await runner.setup()
    try:
        await BoundedSite(runner, host, port, bounds).start()
    except OSError as error:
        await runner.cleanup()
        raise NoPortError(
            f"Cannot listen on {host}:{port} for /healthz, /readyz and /metrics: {error.strerror}. "
            "Name another address with --http-host and --http-port, or end what listens there."
        ) from error
    return runner


async def _end_connection(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Connection"] = "close"
    response.force_close()


def _answer(trouble: str | None) -> web.Response:
    return web.Response(text="ok\n") if trouble is None else web.Response(status=503, text=f"{trouble}\n")
