"""What the kubelet is told: a restart only where it would mend something."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import aiohttp
import pytest

from mistral_operator.controller.connections import Bounds
from mistral_operator.controller.health import Health, NoPortError, serve
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.settings import Settings
from unit.planning_on_clusters import DEFAULTS
from unit.virtual_time import now, run

SETTINGS = Settings(DEFAULTS)
KEY = Key("ns", "m")
REQUEST: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


class Process:
    """What a process's health is judged by."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.queue, self.metrics = WorkQueue(now), Metrics()
        self.leading, self.ready = True, True
        self.silent_since: float | None = None
        self.health = Health(
            settings,
            self.queue,
            leading=lambda: self.leading,
            ready=lambda: self.ready,
            silence_seconds=lambda: 0.0 if self.silent_since is None else now() - self.silent_since,
        )


def test_the_limits() -> None:
    """Two minutes for a reconcile, five for a watch."""
    assert (SETTINGS.stuck_seconds, SETTINGS.deaf_seconds) == (120, 300)


@pytest.mark.parametrize(
    ("leading", "seconds", "ill"),
    [
        pytest.param(True, 119, None, id="slow"),
        pytest.param(True, 121, "a reconcile has been running for 121 s", id="stuck"),
        pytest.param(False, 10_000, None, id="who does not lead does not work"),
    ],
)
def test_a_reconcile_that_hangs(leading: bool, seconds: float, ill: str | None) -> None:
    """One that has not ended for two minutes never will."""

    async def main() -> None:
        process = Process()
        process.queue.add(KEY, Cause.DUE)
        await process.queue.take()
        process.leading = leading
        await asyncio.sleep(seconds)
        assert process.health.ill() == ill
        process.queue.done(KEY)
        assert process.health.ill() is None

    run(main())


def test_objects_that_wait_are_no_illness() -> None:
    """A long queue is work, not a fault."""

    async def main() -> None:
        process = Process()
        process.queue.add(KEY, Cause.DUE)
        await asyncio.sleep(10_000)
        assert process.health.ill() is None

    run(main())


@pytest.mark.parametrize(("leading", "seconds", "ill"), [(True, 299, False), (True, 301, True), (False, 301, True)])
def test_a_watch_that_hangs(leading: bool, seconds: float, ill: bool) -> None:
    """One that receives nothing for five minutes, not even a bookmark, whoever leads."""

    async def main() -> None:
        process = Process()
        process.leading = leading
        process.silent_since = now()
        await asyncio.sleep(seconds)
        assert (process.health.ill() is not None) is ill

    run(main())


@asynccontextmanager
async def listening(bounds: Bounds) -> AsyncIterator[tuple[str, int]]:
    """Listen; yield where."""
    process = Process()
    runner = await serve(process.health, process.metrics, "127.0.0.1", 0, bounds)
    try:
        yield runner.addresses[0]
    finally:
        await runner.cleanup()


class Client:
    """One raw connection to the port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, where: tuple[str, int], said: bytes = b"", address: str = "127.0.0.1") -> "Client":
        """Connect from an address, and say something."""
        reader, writer = await asyncio.open_connection(*where, local_addr=(address, 0))
        writer.write(said)
        return cls(reader, writer)

    async def rest(self) -> bytes:
        """Return what comes until the other side closes."""
        try:
            async with asyncio.timeout(30):
                return await self.reader.read()
        except ConnectionError:
            return b""
        finally:
            self.writer.close()


async def is_well(where: tuple[str, int], address: str = "127.0.0.1") -> bool:
    """Ask as the kubelet does."""
    answer = await (await Client.connect(where, REQUEST, address)).rest()
    return answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"ok\n")


@pytest.mark.parametrize("half", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: "])
def test_half_open_connections_keep_nobody_out(half: bytes) -> None:
    """Of two thousand as many are kept as one address may have; whoever asks is answered, from there or elsewhere."""

    async def main() -> None:
        bounds = replace(Bounds(), seconds=3600)
        async with listening(bounds) as where:
            clients = [await Client.connect(where, half) for _ in range(2000)]
            assert await is_well(where)
            assert await is_well(where, "127.0.0.2")
            closed = [client.rest() for client in clients[: 2001 - bounds.connections_per_address]]
            assert set(await asyncio.gather(*closed)) == {b""}
            assert not any(client.reader.at_eof() for client in clients[2001 - bounds.connections_per_address :])
            for client in clients:
                client.writer.close()

    asyncio.run(main())


def test_many_addresses_share_the_port() -> None:
    """Where all of it is used, the address that has most connections loses its oldest."""

    async def main() -> None:
        async with listening(Bounds(seconds=3600, connections=8, connections_per_address=6)) as where:
            greedy = [await Client.connect(where, b"GET", "127.0.0.2") for _ in range(6)]
            modest = [await Client.connect(where, b"GET", f"127.0.1.{number}") for number in range(1, 6)]
            assert await is_well(where)
            closed = [client.rest() for client in greedy[:4]]
            assert await asyncio.gather(*closed) == [b""] * 4
            assert not any(client.reader.at_eof() for client in (*greedy[4:], *modest))
            for client in (*greedy, *modest):
                client.writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n", id="half a request"),
        pytest.param(b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1", id="half a body"),
    ],
)
def test_a_request_that_takes_long(said: bytes) -> None:
    """Its connection is closed when its time is over."""

    async def main() -> None:
        async with listening(Bounds(seconds=0.2)) as where:
            client = await Client.connect(where, said)
            assert b"200" not in await client.rest()

    asyncio.run(main())


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET /" + b"a" * 20_000, id="a long line"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5_000, id="many headers"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99999, id="a long body"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00" + b"\x00" * 20_000, id="TLS"),
    ],
)
def test_a_request_that_is_too_long(said: bytes) -> None:
    """Its connection is closed, and the next request is answered."""

    async def main() -> None:
        async with listening(Bounds(seconds=3600)) as where:
            client = await Client.connect(where, said)
            assert b"200" not in await client.rest()
            assert await is_well(where)

    asyncio.run(main())


def test_a_connection_carries_one_request() -> None:
    """Of several that come at once the first is answered: each would be a whole page of metrics."""

    async def main() -> None:
        async with listening(Bounds(seconds=3600)) as where:
            client = await Client.connect(where, REQUEST * 100)
            answer = await client.rest()
            assert (answer.count(b"HTTP/1.1 200"), answer.count(b"Connection: close")) == (1, 1)

    asyncio.run(main())


Ask = Callable[[str], Awaitable[tuple[int, str]]]


def served(test: Callable[[Process, Ask], Awaitable[None]], settings: Settings = SETTINGS) -> None:
    """Run a test against a process's port."""

    async def main() -> None:
        process = Process(settings)
        runner = await serve(process.health, process.metrics, "127.0.0.1", 0)
        host, port = runner.addresses[0]
        try:
            async with aiohttp.ClientSession() as session:

                async def ask(path: str) -> tuple[int, str]:
                    async with session.get(f"http://{host}:{port}{path}") as answer:
                        return answer.status, await answer.text()

                await test(process, ask)
        finally:
            await runner.cleanup()

    run(main(), talks=True)


def test_answers() -> None:
    """200 while all is well, else 503 with the reason in words."""

    async def test(process: Process, ask: Ask) -> None:
        assert await ask("/healthz") == (200, "ok\n")
        assert await ask("/readyz") == (200, "ok\n")
        process.ready = False
        process.silent_since = now() - 2
        status, reason = await ask("/healthz")
        assert (status, "a watch has received nothing for" in reason) == (503, True)
        status, reason = await ask("/readyz")
        assert (status, "first lists" in reason) == (503, True)
        assert (await ask("/"))[0] == 404

    served(test, replace(SETTINGS, deaf_seconds=1))


def test_metrics_are_of_now() -> None:
    """The queue is measured when it is asked about; what a replica keeps that does not work waits for nobody."""

    async def test(process: Process, ask: Ask) -> None:
        process.queue.add(KEY, Cause.DUE)
        process.leading = False
        assert "mistral_operator_queue_depth 0.0\n" in (await ask("/metrics"))[1]
        process.leading = True
        status, text = await ask("/metrics")
        assert status == 200
        assert "mistral_operator_queue_depth 1.0\n" in text
        await process.queue.take()
        assert "mistral_operator_queue_depth 0.0\n" in (await ask("/metrics"))[1]

    served(test)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_a_port_that_cannot_be_had(host: str) -> None:
    """The operator says which, and how to name another."""

    async def main() -> None:
        process = Process()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(NoPortError, match=rf"Cannot listen on {host}:{port} .*--http-port"):
                await serve(process.health, process.metrics, host, port)

    run(main(), talks=True)
