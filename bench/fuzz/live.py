"""The operator under fire: what is created on a real API server, and what becomes of it."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from bench.converge.errors import BenchmarkError

_PARALLEL: Final = 8
_LOOK_SECONDS: Final = 0.5
_PROBE_SECONDS: Final = 0.1
_ACTIVE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MDEPS: Final = "/apis/mistral-operator.io/v1alpha1/namespaces/{}/mistraldeployments"


@dataclass(slots=True)
class Tally:
    """What a kind of input came to."""

    tried: int = 0
    refused: int = 0  # by the API server, at admission
    without_condition: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # tracebacks
    above_bounds: list[str] = field(default_factory=list)


def active_characters(text: str) -> bool:
    """Tell whether a text holds what a terminal or a log viewer would act on."""
    return _ACTIVE.search(text) is not None


class Operating:
    """Creates objects in one namespace, and waits until each has a condition of its newest generation."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str) -> None:
        self._session = session
        self.namespace = namespace
        self._path = MDEPS.format(namespace)

    async def create(self, name: str, spec: Mapping[str, Any]) -> bool:
        """Create an object; tell whether the API server took it."""
        body = {
            "apiVersion": "mistral-operator.io/v1alpha1",
            "kind": "MistralDeployment",
            "metadata": {"name": name},
            "spec": spec,
        }
        return await self._sent("POST", self._path, body)

    async def create_pod(self, name: str) -> None:
        """Create a pod that belongs to an object by its labels, as far as labels can say so."""
        labels = {
            "app.kubernetes.io/managed-by": "mistral-operator",
            "app.kubernetes.io/name": "vllm",
            "app.kubernetes.io/instance": name,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": "vllm", "image": "a"}]},
        }
        if not await self._sent("POST", f"/api/v1/namespaces/{self.namespace}/pods", pod):
            raise BenchmarkError(f"the API server refuses pod {name}: look at its quota and admission")

    async def set_pod_status(self, name: str, status: Mapping[str, Any]) -> bool:
        """Show a status of a pod as a kubelet would; tell whether the API server took it."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/status"
        return await self._sent("PATCH", path, {"status": status}, "application/merge-patch+json")

    async def scale(self, name: str, replicas: int) -> None:
        """Ask for another number of replicas: a new generation, whose condition says that the operator has looked."""
        patch = {"spec": {"replicas": replicas}}
        if not await self._sent("PATCH", f"{self._path}/{name}", patch, "application/merge-patch+json"):
            raise BenchmarkError(f"the API server refuses spec.replicas={replicas} of MistralDeployment {name}")

    async def statuses(self) -> dict[str, dict[str, Any]]:
        """Return every object of the namespace, by name."""
        found: dict[str, dict[str, Any]] = {}
        query = {"limit": "250"}
        while True:
            async with self._session.get(self._path, params=query) as answer:
                page = json.loads(await answer.read())
            found |= {body["metadata"]["name"]: body for body in page["items"]}
            if not page["metadata"].get("continue"):
                return found
            query["continue"] = page["metadata"]["continue"]

    async def delete_all(self) -> None:
        """Delete objects and pods, and wait until none is left."""
        for path in (self._path, f"/api/v1/namespaces/{self.namespace}/pods"):
            async with self._session.delete(path, params={"gracePeriodSeconds": "0"}) as answer:
                await answer.read()
        while await self.statuses():
            await asyncio.sleep(_LOOK_SECONDS)

    async def missing(
        self, names: Sequence[str], holds: Callable[[dict[str, Any]], bool], bound_seconds: float
    ) -> tuple[list[str], dict[str, dict[str, Any]]]:
        """Wait until something holds of every object; return those of which it never did, and all objects."""
        end = time.monotonic() + bound_seconds
        while True:
            bodies = await self.statuses()
            left = [name for name in names if name in bodies and not holds(bodies[name])]
            if not left or time.monotonic() > end:
                return left, bodies
            await asyncio.sleep(_LOOK_SECONDS)

    async def _sent(self, method: str, path: str, body: Any, content_type: str = "application/json") -> bool:
        # surrogates as escapes: it is the API server that says what it makes of them
        data = json.dumps(body).encode()
        async with self._session.request(method, path, data=data, headers={"Content-Type": content_type}) as answer:
            text = await answer.text()
            if answer.status in (400, 413, 422):
                return False
            if answer.status >= 300:
                raise BenchmarkError(f"the API server answers {answer.status} to {method} {path}: {text[:300]}")
            return True


def has_condition(body: Mapping[str, Any]) -> bool:
    """Tell whether an object says Ready or not for its newest generation."""
    return any(
        one["type"] == "Ready" and one.get("observedGeneration") == body["metadata"]["generation"]
        for one in (body.get("status") or {}).get("conditions", ())
    )


async def in_parallel(names: Sequence[str], work: Callable[[str], Any]) -> None:
    """Do something for each name, some at a time."""
    rest = iter(names)

    async def some() -> None:
        for name in rest:
            await work(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(_PARALLEL):
            group.create_task(some())


@dataclass(slots=True)
class Watched:
    """What is measured of the operator's process while it works."""

    quiet_bytes: int = 0
    peak_bytes: int = 0
    slowest_health_seconds: float = 0.0
    unhealthy: int = 0


@asynccontextmanager
async def watched(pid: int, url: str) -> AsyncIterator[Watched]:
    """Measure memory and the health port until the context is left."""
    process, seen = psutil.Process(pid), Watched()
    seen.quiet_bytes = process.memory_info().rss

    async def probe() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            while True:
                begun = time.monotonic()
                try:
                    async with session.get(f"{url}/healthz") as answer:
                        seen.unhealthy += answer.status != 200
                except (aiohttp.ClientError, TimeoutError):
                    seen.unhealthy += 1
                seen.slowest_health_seconds = max(seen.slowest_health_seconds, time.monotonic() - begun)
                seen.peak_bytes = max(seen.peak_bytes, process.memory_info().rss)
                await asyncio.sleep(_PROBE_SECONDS)

    probing = asyncio.create_task(probe())
    try:
        yield seen
    finally:
        probing.cancel()
        await asyncio.wait([probing])
    if not probing.cancelled() and (error := probing.exception()) is not None:
        raise error


class Log:
    """The operator's log, read from where it was read to last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size

    def new_faults(self) -> list[str]:
        """Return the tracebacks since the last call: each is a fault in the operator."""
        with self._path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._offset)
            lines = file.readlines()
            self._offset = file.tell()
        return [line[:2_000] for line in lines if "Traceback" in line or "fault in the operator" in line]
