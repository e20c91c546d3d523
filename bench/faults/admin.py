"""The administrator's requests to the API server: what a user, a stranger or a kubelet would do."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import aiohttp
import yaml

from bench.faults.errors import HarnessError
from devcluster.controlplane import ControlPlane

Body = dict[str, Any]
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
_LONGEST_LINE_BYTES: Final = 4 * 2**20  # one event of a watch: an object is at most 1.5 MiB
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_ENDLESS: Final = aiohttp.ClientTimeout(total=None)


def session_for(plane: ControlPlane) -> aiohttp.ClientSession:
    """Return a session that trusts an API server and sends no credentials of its own."""
    trust = ssl.create_default_context(cafile=str(plane.ca_file))
    return aiohttp.ClientSession(
        plane.server,
        connector=aiohttp.TCPConnector(ssl=trust, limit=0),
        timeout=_TIMEOUT,
        read_bufsize=_LONGEST_LINE_BYTES,
        auto_decompress=False,
    )


class Admin:
    """One API server, as its administrator."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    @classmethod
    @asynccontextmanager
    async def of(cls, plane: ControlPlane) -> AsyncIterator[Self]:
        """Connect to a control plane."""
        token = yaml.safe_load(plane.admin_kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
        async with session_for(plane) as session:
            yield cls(session, token)

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "application/json"
    ) -> Body:
        """Send one request.

        Raises
        ------
        HarnessError
            When the API server refuses it.
        """
        headers = {**self._headers, "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, path, data=data, headers=headers) as response:
            content = await response.read()
            if response.status >= 300:
                raise HarnessError(f"the API server answers {response.status} to {method} {path}: {content[:500]!r}")
        answer: Body = json.loads(content)
        return answer

    async def version(self, path: str) -> int:
        """Return the resourceVersion of a collection."""
        return int((await self.request("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"])

    async def watch(self, path: str, version: int) -> AsyncIterator[Body]:
        """Yield a collection's events after a resourceVersion.

        Raises
        ------
        HarnessError
            When the API server ends the watch.
        """
        query = {"watch": "1", "resourceVersion": str(version), "timeoutSeconds": "36000"}
        async with self._session.get(path, params=query, headers=self._headers, timeout=_ENDLESS) as response:
            async for line in response.content:
                yield json.loads(line)
        raise HarnessError(f"the API server has ended the watch of {path}")
