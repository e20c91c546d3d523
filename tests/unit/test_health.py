"""What the kubelet is told: a restart only where it would mend something."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp
import pytest

from mistral_operator.cluster.resources import PODS
from mistral_operator.controller.health import Health, NoPortError, serve
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.settings import Settings
from mistral_operator.controller.store import Store
from unit.planning_on_clusters import DEFAULTS
from unit.virtual_time import now, run

SETTINGS = Settings(DEFAULTS)
KEY = Key("ns", "m")


class Process:
    """What a process's health is judged by."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.store, self.queue, self.metrics = Store(now), WorkQueue(now), Metrics()
        self.leading, self.ready = True, True
        self.health = Health(settings, self.store, self.queue, leading=lambda: self.leading, ready=lambda: self.ready)

    def list_a_change(self) -> None:
        """List what no watch has told of."""
        metadata = {"namespace": "ns", "name": "p", "uid": "u", "resourceVersion": "5"}
        self.store.listed(PODS, {"metadata": metadata})


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
def test_watches_that_are_deaf(leading: bool, seconds: float, ill: bool) -> None:
    """A change that lists show and no watch tells for five minutes, whoever leads."""

    async def main() -> None:
        process = Process()
        process.leading = leading
        process.list_a_change()
        await asyncio.sleep(seconds)
        assert (process.health.ill() is not None) is ill

    run(main())


def test_an_api_server_that_is_away() -> None:
    """It is no reason to die, however long it is away: counting begins when it is back."""

    async def main() -> None:
        process = Process()
        process.list_a_change()
        for _ in range(300):
            await asyncio.sleep(2)
            process.store.be_patient()
            assert process.health.ill() is None
        await asyncio.sleep(301)
        assert process.health.ill() == "a change has been listed for 301 s and no watch told of it"

    run(main())


def test_a_quiet_cluster() -> None:
    """Where nothing changes no watch has anything to tell."""

    async def main() -> None:
        process = Process()
        await asyncio.sleep(1_000_000)
        assert process.health.ill() is None

    run(main())


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
        process.list_a_change()
        await asyncio.sleep(2)
        status, reason = await ask("/healthz")
        assert (status, "no watch told of it" in reason) == (503, True)
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
