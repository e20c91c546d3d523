"""What stands between one operator and the API server: it counts, kills, withholds and drops, and changes no word.

The operator's own token goes through, so that the API server judges the operator's own rights. What is made stale is
the operator's *view*: lists and watches of what it manages. That is more than Kubernetes allows for lists that name no
resourceVersion, which always show the newest state; of those that do, and of every watch, it is what an API server
behind the others may show. A get of one object names none and is never stale here.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp import web

from bench.faults.history import VIEWED, History, as_list
from bench.faults.requests import Request
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS, Resource

_ENDLESS: Final = aiohttp.ClientTimeout(total=None, sock_connect=10)
_HOP_BY_HOP: Final = frozenset(
    {"connection", "host", "keep-alive", "transfer-encoding", "upgrade", "content-length", "date", "server"}
)
_VIEWED: Final = {(resource.group, resource.plural): resource for resource in VIEWED}
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409


class Proxy:
    """One operator's way to the API server.

    Parameters
    ----------
    upstream
        Reaches the API server, without credentials.
    history
        Of the operator's namespace: what stale views are made of.
    identity
        The operator's name in the Lease.
    changed
        Is set with everything that happens.
    """

    def __init__(
        self, upstream: aiohttp.ClientSession, history: History, identity: str, changed: asyncio.Event
    ) -> None:
        self._upstream = upstream
        self._history = history
        self.identity = identity
        self._changed = changed
        self._horizon: int | None = None
        self._horizon_moved = asyncio.Event()
        self._handlers: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None
        self._begun = asyncio.Event()
        self._kill: Callable[[], None] = lambda: None
        self.kill_at: tuple[int, bool] | None = None  # which request, and whether after its answer
        self.drop_at: int | None = None  # which event
        self.counts = True  # whether requests are numbered already; from the first about an object on, when not
        self.trace: list[str] = []  # of requests, since counting began
        self.events = 0  # of watches, since counting began
        self.struck = False  # whether what is planned has happened
        self.dead = False
        self.leading = False
        self.led = False
        self.forbidden: list[str] = []
        self.overtaken = False  # whether a status was not taken, because its object had changed meanwhile
        self.watched: set[tuple[str, str]] = set()  # everything that there ever was a watch of
        self.in_flight = 0
        self.active_at = time.monotonic()

    async def start(self) -> str:
        """Listen on a free port of the loopback; return the address."""
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def begin(self, kill: Callable[[], None]) -> None:
        """Let requests through; before, there is nothing that could be killed."""
        self._kill = kill
        self._begun.set()

    async def stop(self) -> None:
        """End everything that is under way."""
        self.end()
        if self._runner is not None:
            await self._runner.cleanup()

    def end(self) -> None:
        """Let nothing through any more: the operator is dead."""
        self.dead, self.leading, self.in_flight = True, False, 0
        current = asyncio.current_task()
        for handler in self._handlers:
            if handler is not current:
                handler.cancel()
        self._changed.set()

    def count_from_here(self) -> None:
        """Begin to number requests and events anew."""
        self.trace, self.events, self.struck = [], 0, False

    @property
    def horizon(self) -> int | None:
        """The version of the store beyond which the operator sees nothing; None for no such limit."""
        return self._horizon

    @horizon.setter
    def horizon(self, version: int | None) -> None:
        self._horizon = version
        self._horizon_moved.set()
        self._horizon_moved = asyncio.Event()

    @property
    def watches_all(self) -> bool:
        """Whether the operator has begun to watch everything that its view consists of."""
        return self.watched >= _VIEWED.keys()

    def quiet_since(self) -> float:
        """Return since when nothing but lists, watches and renewals has been asked; infinity while something is."""
        return self.active_at if self.in_flight == 0 else float("inf")

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        request = Request.parse(incoming.method, incoming.path_qs)
        body = await incoming.read()
        await self._begun.wait()
        if self.dead:
            return _hung_up(incoming)
        number = self._number(request)
        if self.kill_at == (number, False):
            return self._strike(incoming)
        is_work = not (request.is_lease or request.watch or request.lists)
        if is_work:
            self._act(1)
        try:
            return await self._answer(incoming, request, body, number)
        finally:
            if is_work and not self.dead:
                self._act(-1)

    async def _answer(
        self, incoming: web.Request, request: Request, body: bytes, number: int | None
    ) -> web.StreamResponse:
        viewed = _VIEWED.get((request.group, request.resource))
        if viewed is not None and request.lists and self._horizon is not None:
            if self.kill_at == (number, True):
                return self._strike(incoming)
            return self._stale_list(viewed, request, self._horizon)
        headers = {name: value for name, value in incoming.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["Accept-Encoding"] = "identity"
        async with self._upstream.request(
            incoming.method, incoming.path_qs, data=body or None, headers=headers, timeout=_ENDLESS
        ) as response:
            if response.status == _FORBIDDEN:
                self.forbidden.append(str(request))
            if request.watch and response.status == 200:
                if self.kill_at == (number, True):
                    return self._strike(incoming)
                return await self._stream(incoming, request, response)
            if response.status == _CONFLICT and request.subresource == "status":
                self.overtaken = True
            content = await response.read()
            if request.is_lease:
                self._look_at_lease(request, body, response.status)
            if self.kill_at == (number, True):
                return self._strike(incoming)
            kept = {name: value for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=response.status, body=content, headers=kept)

    def _number(self, request: Request) -> int | None:
        """Return the number of a request; None for one that has none, as a renewal of the Lease: the clock makes it."""
        if request.is_lease and self.leading:
            return None
        self.counts = self.counts or (request.resource == MISTRAL_DEPLOYMENTS.plural and request.name is not None)
        if not self.counts:
            return None
        self.trace.append(str(request))
        return len(self.trace)

    def _act(self, more: int) -> None:
        self.in_flight += more
        self.active_at = time.monotonic()
        self._changed.set()

    def _strike(self, incoming: web.Request) -> web.StreamResponse:
        self.struck = True
        self._kill()
        self.end()
        return _hung_up(incoming)

    def _look_at_lease(self, request: Request, body: bytes, status: int) -> None:
        if request.method in ("PUT", "POST") and status < 300:
            leading = json.loads(body).get("spec", {}).get("holderIdentity") == self.identity
            if leading != self.leading:
                self.leading = leading
                self.led = self.led or leading
                self._act(0)  # what it does as the leader is still to come

    def _stale_list(self, resource: Resource, request: Request, horizon: int) -> web.Response:
        bodies = [
            body
            for body in self._history.state(resource.kind, horizon).values()
            if selects(request.selector, body["metadata"].get("labels") or {})
        ]
        return web.json_response(as_list(resource, bodies, horizon))

    async def _stream(
        self, incoming: web.Request, request: Request, response: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(incoming)
        name = (request.group, request.resource)
        self.watched.add(name)
        self._act(0)
        viewed = name in _VIEWED
        try:
            async for line in response.content:
                if viewed and not await self._lets_through(json.loads(line)):
                    continue
                await answer.write(line)
        except (ConnectionError, aiohttp.ClientError):
            return answer  # whoever watched is gone
        return answer

    async def _lets_through(self, event: dict[str, Any]) -> bool:
        """Wait until the operator may see an event; tell whether it does."""
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return self._horizon is None
        version = int(event["object"]["metadata"]["resourceVersion"])
        while self._horizon is not None and version > self._horizon:
            await self._horizon_moved.wait()
        self.events += 1
        self.active_at = time.monotonic()
        if self.events == self.drop_at:
            self.struck = True
            self._changed.set()
            return False
        return True


def selects(selector: str | None, labels: dict[str, str]) -> bool:
    """Tell whether labels meet a selector of equalities, which is all that the operator uses."""
    wanted = (part.partition("=") for part in (selector or "").split(",") if part)
    return all(labels.get(name) == value.lstrip("=") for name, _, value in wanted)


def _hung_up(incoming: web.Request) -> web.StreamResponse:
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()
