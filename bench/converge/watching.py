"""When each object got its Deployment and its status, as two watches tell."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from bench.converge.api import METADATA_ONLY, WHOLE, ApiServer, Resource
from bench.converge.errors import BenchmarkError
from bench.converge.status import StatusWish

_DEPLOYMENTS: Final = "/apis/apps/v1/deployments"
_LOOK_UP_SECONDS: Final = 0.5


class Sightings:
    """First sight of each object's Deployment and status, in monotonic seconds.

    Parameters
    ----------
    kind
        Of the objects: a Deployment belongs to the object of that kind that owns it.
    """

    def __init__(self, kind: str, wishes: Sequence[StatusWish]) -> None:
        self.deployments: dict[str, float] = {}
        self.statuses: dict[str, float] = {}
        self._kind = kind
        self._wishes = wishes
        self._missing: set[str] = set()
        self._none_missing = asyncio.Event()

    def saw_deployment(self, arrived: float, event: Mapping[str, Any]) -> None:
        """Take an event of the watch of Deployments."""
        if event["type"] == "DELETED":
            return
        for owner in event["object"]["metadata"].get("ownerReferences") or ():
            if owner["kind"] == self._kind:
                self.deployments.setdefault(owner["name"], arrived)
                self._look_at(owner["name"])

    def saw_object(self, arrived: float, event: Mapping[str, Any]) -> None:
        """Take an event of the watch of the objects."""
        name = event["object"]["metadata"]["name"]
        if name not in self.statuses and all(wish.holds(event["object"]) for wish in self._wishes):
            self.statuses[name] = arrived
            self._look_at(name)

    def expect(self, names: Iterable[str]) -> None:
        """Set what :meth:`converged` waits for."""
        self._missing = set(names) - (self.deployments.keys() & self.statuses.keys())
        self._none_missing.clear()
        if not self._missing:
            self._none_missing.set()

    async def converged(self, seconds: float, check: Callable[[], None]) -> None:
        """Wait until everything expected has its Deployment and its status.

        Parameters
        ----------
        check
            Is called from time to time, to raise what makes waiting useless.

        Raises
        ------
        BenchmarkError
            When it takes longer.
        """
        end = time.monotonic() + seconds
        while not self._none_missing.is_set():
            check()
            if time.monotonic() > end:
                raise BenchmarkError(f"after {seconds:g} s {self._what_is_missing()}")
            try:
                async with asyncio.timeout(_LOOK_UP_SECONDS):
                    await self._none_missing.wait()
            except TimeoutError:
                continue

    def _look_at(self, name: str) -> None:
        if name in self.deployments and name in self.statuses:
            self._missing.discard(name)
            if not self._missing:
                self._none_missing.set()

    def _what_is_missing(self) -> str:
        without = sorted(self._missing - self.deployments.keys())
        if without:
            return (
                f"{len(without)} objects have no Deployment that they own, {without[0]} among them: "
                "look at the operator's log below, and at its rights"
            )
        paths = ", ".join(".".join(wish.path) for wish in self._wishes)
        unset = sorted(self._missing)
        return f"the status of {len(unset)} objects lacks one of {paths}, that of {unset[0]} among them"


@asynccontextmanager
async def watching(
    api: ApiServer, resource: Resource, wishes: Sequence[StatusWish]
) -> AsyncIterator[tuple[Sightings, Callable[[], None]]]:
    """Watch objects and Deployments; yield what is seen, and what raises when a watch has ended."""
    sightings = Sightings(resource.kind, wishes)
    tasks = [
        asyncio.create_task(_follow(api, path, await api.version(path), accept, take))
        for path, accept, take in (
            (_DEPLOYMENTS, METADATA_ONLY, sightings.saw_deployment),
            (resource.path, WHOLE if wishes else METADATA_ONLY, sightings.saw_object),
        )
    ]

    def check() -> None:
        for task in tasks:
            if task.done():
                task.result()

    try:
        yield sightings, check
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _follow(
    api: ApiServer, path: str, version: str, accept: str, take: Callable[[float, Mapping[str, Any]], None]
) -> None:
    try:
        async for arrived, event in api.watch(path, version, accept):
            if event["type"] == "ERROR":
                said = event["object"].get("message", event["object"])
                raise BenchmarkError(f"the watch of {path} has failed: {said}")
            take(arrived, event)
    except aiohttp.ClientError as error:
        raise BenchmarkError(f"the watch of {path} has broken off: {str(error) or type(error).__name__}") from error
    raise BenchmarkError(f"the API server has ended the watch of {path}: run fewer objects at once")
