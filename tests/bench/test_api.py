"""What the benchmark's own requests make of an API server that cannot answer yet."""

import aiohttp
import pytest

from bench.converge.api import WHOLE, ApiServer
from bench.converge.creating import NAMESPACE
from bench.converge.errors import BenchmarkError
from mistral_operator.cluster.resources import PODS
from unit.api_server import ApiServer as Server
from unit.api_server import Fault, on_server
from unit.virtual_time import now

PATH = PODS.path(NAMESPACE)
FILLING = "storage is (re)initializing"  # as kube-apiserver 1.37 words it


def filling(times: float) -> Server:
    """Return a server whose cache of pods is not full yet, for as many requests."""
    fault = Fault("GET", 429, FILLING, times, PODS.plural, headers={"Retry-After": "2"})
    return Server(faults=[fault], closes=True)


async def watch(server: Server) -> int:
    """Watch pods to the end; return how many events there were."""
    async with aiohttp.ClientSession(server.url) as session:
        return len([event async for event in ApiServer(session).watch(PATH, "1", WHOLE)])


def test_a_watch_waits_for_a_cache_that_fills() -> None:
    """As long as the API server bids, and asks again."""

    async def test(server: Server) -> None:
        begun = now()
        assert await watch(server) == 1
        assert [request.status for request in server.requests] == [429, 429, 200]
        assert 4 <= now() - begun < 5

    on_server(test, filling(2))


def test_a_cache_that_never_fills_is_told() -> None:
    """With what the API server says, instead of waiting for ever."""

    async def test(server: Server) -> None:
        with pytest.raises(BenchmarkError, match=r"answers 429 to GET .*/pods: .*storage is \(re\)initializing"):
            await watch(server)
        assert 60 < now() < 70

    on_server(test, filling(float("inf")))


def test_another_refusal_is_told_at_once() -> None:
    """Asking again would not help."""

    async def test(server: Server) -> None:
        with pytest.raises(BenchmarkError, match=r"answers 403 to GET .*/pods"):
            await watch(server)
        assert [request.status for request in server.requests] == [403]

    on_server(test, Server(rules=()))
