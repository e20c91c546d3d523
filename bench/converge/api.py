"""The benchmark's own requests to the API server, as administrator."""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
import yaml

from bench.converge.errors import BenchmarkError
from bench.converge.tally import Call, Tally
from devcluster.controlplane import ControlPlane

WHOLE: Final = "application/json"
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_LONGEST_LINE_BYTES: Final = 4 * 2**20  # one event of a watch: an object is at most 1.5 MiB
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_FILLING_SECONDS: Final = 60.0  # a fraction of one, usually
_ENDLESS: Final = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server serves it."""

    kind: str
    plural: str
    path: str  # of its collection; of one namespace where it has any


class ApiServer:
    """One API server; what is asked of it here is counted, to be told from what the operator asks."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._sent: Counter[Call] = Counter()

    @classmethod
    @asynccontextmanager
    async def of(cls, plane: ControlPlane) -> AsyncIterator[Self]:
        """Connect to a control plane."""
        token = yaml.safe_load(plane.admin_kubeconfig.read_text())["users"][0]["user"]["token"]
        trust = ssl.create_default_context(cafile=str(plane.ca_file))
        async with aiohttp.ClientSession(
            plane.server,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "benchmark"},
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=_TIMEOUT,
            read_bufsize=_LONGEST_LINE_BYTES,
        ) as session:
            yield cls(session)

    @property
    def sent(self) -> Tally:
        """What has been asked so far, in the verbs of the API server's metrics."""
        return Tally.of(self._sent)

    async def resource(self, api_version: str, kind: str, namespace: str) -> Resource:
        """Ask where a kind is served.

        Raises
        ------
        BenchmarkError
            When it is not.
        """
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        async with self._session.get(base) as response:
            served = (await response.json())["resources"] if response.status == 200 else []
        for entry in served:
            if entry["kind"] == kind and "/" not in entry["name"]:
                inside = f"/namespaces/{namespace}" if entry["namespaced"] else ""
                return Resource(kind, entry["name"], f"{base}{inside}/{entry['name']}")
        raise BenchmarkError(
            f"the API server serves no {kind} of {api_version}: name the file of its CustomResourceDefinition "
            "under manifests in the operator file"
        )

    async def create(self, resource: Resource, body: Mapping[str, Any]) -> None:
        """Create one object."""
        await self._send("POST", resource.path, resource.plural, body, "application/json")

    async def patch_status(self, resource: Resource, name: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into one object's status subresource."""
        path = f"{resource.path}/{name}/status"
        await self._send("PATCH", path, f"{resource.plural}/status", patch, "application/merge-patch+json")

    async def version(self, path: str) -> str:
        """Return the resourceVersion of a collection, to watch it from there."""
        async with self._read(path, {"limit": "1"}) as response:
            return str((await response.json())["metadata"]["resourceVersion"])

    async def watch(self, path: str, version: str, accept: str) -> AsyncIterator[tuple[float, dict[str, Any]]]:
        """Yield a collection's events, each with the monotonic time of its arrival, until the server ends the watch."""
        query = {"watch": "1", "resourceVersion": version}
        async with self._read(path, query, accept, timeout=_ENDLESS) as response:
            async for line in response.content:
                arrived = time.monotonic()
                yield arrived, json.loads(line)

    async def metrics(self) -> str:
        """Return the API server's metrics."""
        async with self._read("/metrics", accept="text/plain") as response:
            return await response.text()

    @asynccontextmanager
    async def _read(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        accept: str = WHOLE,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Get an answer; ask again, as the API server bids, while its cache of a kind just defined fills (KEP-4568).

        Raises
        ------
        BenchmarkError
            When it refuses, or has bidden to wait for too long.
        """
        clock = asyncio.get_running_loop()
        end = clock.time() + _FILLING_SECONDS
        while True:
            async with self._session.get(path, params=query, headers={"Accept": accept}, timeout=timeout) as response:
                if response.status == 200:
                    yield response
                    return
                if response.status != 429 or clock.time() > end:
                    raise await _refused("GET", path, response)
                pause_seconds = float(response.headers["Retry-After"])
            await asyncio.sleep(pause_seconds)

    async def _send(self, method: str, path: str, resource: str, body: Mapping[str, Any], content_type: str) -> None:
        self._sent[Call(method.lower(), resource)] += 1
        headers = {"Content-Type": content_type}
        try:
            async with self._session.request(method, path, data=json.dumps(body), headers=headers) as response:
                if response.status >= 300:
                    raise await _refused(method, path, response)
                await response.read()
        except TimeoutError as error:
            raise BenchmarkError(
                f"the API server has not answered {method} {path} within {_TIMEOUT.total:g} s"
            ) from error


async def _refused(method: str, path: str, response: aiohttp.ClientResponse) -> BenchmarkError:
    said = await response.text()
    return BenchmarkError(f"the API server answers {response.status} to {method} {path}: {said[:500]}")
