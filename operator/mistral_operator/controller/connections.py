"""Bounds on who connects to a port: half-open and slow connections keep nobody else from getting an answer.

aiohttp bounds lines, headers and their number; it waits for a request for as long as its client likes, and for any
number of clients.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True)
class Bounds:
    """How much of a port may be used."""

    seconds: float = 10  # from connecting to the last byte of the answer: as long as a scrape of Prometheus may take
    request_bytes: int = 16 * 1024
    connections: int = 512
    connections_per_address: int = 128  # a client's own, where it is one pod or one node


class BoundedSite(web.BaseSite):
    """Listens for an aiohttp application.

    Where there are too many connections the oldest one of the address that has most of them is closed, so that whoever
    comes is answered.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int, bounds: Bounds) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._bounds = bounds
        self._open: defaultdict[str, dict[_Connection, None]] = defaultdict(dict)  # by address, the oldest first
        self._count = 0

    @property
    def name(self) -> str:
        """Where it listens, for people."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError
            When the address is not this machine's, or the port is another's.
        """
        await super().start()
        make = self._runner.server
        if make is None:
            raise RuntimeError("the runner has not been set up")
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, make, self._bounds), self._host, self._port, backlog=self._backlog
        )

    def opened(self, connection: "_Connection") -> None:
        """Take note of a connection, and make room for it."""
        self._open[connection.address][connection] = None
        self._count += 1
        if len(self._open[connection.address]) > self._bounds.connections_per_address:
            self._close_oldest(connection.address)
        elif self._count > self._bounds.connections:
            self._close_oldest(max(self._open, key=lambda address: len(self._open[address])))

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection."""
        if self._open[connection.address].pop(connection, self) is None:
            self._count -= 1
        if not self._open[connection.address]:
            del self._open[connection.address]

    def _close_oldest(self, address: str) -> None:
        oldest = next(iter(self._open[address]))
        self.closed(oldest)
        oldest.abort()


class _Connection(asyncio.Protocol):
    """Stands between one connection and what answers it."""

    def __init__(self, site: BoundedSite, make: Callable[[], asyncio.BaseProtocol], bounds: Bounds) -> None:
        self._site = site
        self._make = make
        self._bounds = bounds
        self._received_bytes = 0
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._transport = transport
        self._deadline = asyncio.get_running_loop().call_later(self._bounds.seconds, self.abort)
        self._inner = self._make()
        self._inner.connection_made(transport)
        self._site.opened(self)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > self._bounds.request_bytes:
            self.abort()
        elif isinstance(self._inner, asyncio.Protocol):
            self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._site.closed(self)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def abort(self) -> None:
        """Close the connection without a word."""
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()
