"""Objects that are made to fail, and what is told when they cannot be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import pytest

from bench.converge.api import ApiServer, Resource
from bench.converge.creating import NAMESPACE, Creator
from bench.converge.errors import BenchmarkError
from bench.failing import Neighbours, failures
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS, PODS
from unit.api_server import ApiServer as Server


class World(NamedTuple):
    """An API server, and what fails on it."""

    server: Server
    failing: Neighbours

    def failures(self) -> int:
        """Return how often pods have been made to fail."""
        return self.server.count("patch", PODS.plural)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Create objects whose pods fail: as many as there are ways, a hundred times over."""
    async with Server() as server, aiohttp.ClientSession(server.url) as session:
        resource = Resource(MISTRAL_DEPLOYMENTS.kind, MISTRAL_DEPLOYMENTS.plural, MISTRAL_DEPLOYMENTS.path(NAMESPACE))
        api, template = ApiServer(session), {"apiVersion": "v1", "kind": "Any", "spec": {}}
        names = [f"m-{number}" for number in range(100)]
        failing = Neighbours(api, Creator(api, resource, template, None), names, failures)
        await failing.create()
        yield World(server, failing)


def nothing() -> None:
    """Find nothing wrong."""


async def fail_until(on: World, failures: int, *, end: type[Exception] = RuntimeError) -> None:
    """Let pods fail until they have so often, and end the block with an error."""
    async with on.failing.again_and_again(nothing) as check:
        while on.failures() < failures:
            check()
            await asyncio.sleep(0.01)
        raise end


def test_they_fail_again_and_again() -> None:
    """While the block lasts, and no longer, even where it ends with an error."""

    async def test() -> None:
        async with world() as on, asyncio.timeout(30):
            assert on.failures() == 100
            with pytest.raises(LookupError):
                await fail_until(on, 103, end=LookupError)
            assert not [one for one in asyncio.all_tasks() if "_keep_changing" in repr(one)]

    asyncio.run(test())


def test_pods_that_cannot_be_made_to_fail() -> None:
    """It is told while a burst is waited for, and not only when that has come to nothing."""

    async def test() -> None:
        async with world() as on, asyncio.timeout(30):
            for body in on.server.all(PODS):
                on.server.remove(PODS, NAMESPACE, body["metadata"]["name"])
            with pytest.raises(BenchmarkError, match=r"answers 404 to PATCH .*/pods/m-0/status"):
                await fail_until(on, 1000)

    asyncio.run(test())
