"""The seam to the API server: JSON objects in, JSON objects out, errors typed.

Raw requests rather than the typed client or the dynamic one: the set of kinds is closed, so that neither a model of
every field nor discovery (which keeps a cache file) is of use. ``kubernetes.aio`` still brings configuration,
credentials that refresh themselves, TLS and the connection pool.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import aiohttp

from mistral_operator.api.names import MANAGER
from mistral_operator.api.plain_text import encodable
from mistral_operator.cluster.body import apply_body
from mistral_operator.cluster.connection import Connection
from mistral_operator.cluster.errors import ClusterError, NotFoundError, NotLeadingError, UnreachableError, error_of
from mistral_operator.cluster.resources import Resource

Manifest = dict[str, Any]

# with its charset, or the client would write the body itself, and as ASCII
_APPLY: Final = "application/apply-patch+yaml; charset=utf-8"
_PAGE: Final = 500
_LONGEST_LOG_BYTES: Final = 16 * 1024 * 1024  # 300 lines of a log are 5 MiB at most: the runtime parts them at 16 KiB
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


class Cluster:
    """One API server, as one user.

    Parameters
    ----------
    on_answer
        Is told the method and the HTTP status of every answer; 0 where none came.
    may_write
        Is asked before every request that is no GET; always, when None.
    """

    def __init__(
        self,
        client: Connection,
        on_answer: Callable[[str, int], None] | None = None,
        may_write: Callable[[], bool] | None = None,
    ) -> None:
        self._client = client
        self._on_answer = on_answer
        self._may_write = may_write

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None where there is none."""
        try:
            return await self.request("GET", resource.path(namespace, name))
        except NotFoundError:
            return None

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        page: int = _PAGE,
    ) -> AsyncIterator[list[Manifest]]:
        """List a collection page by page, so that no single answer grows with the cluster."""
        query: dict[str, str] = {"limit": str(page)}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        while True:
            answer = await self.request("GET", resource.path(namespace), query)
            yield answer.get("items") or []
            proceed = answer.get("metadata", {}).get("continue")
            if not proceed:
                return
            query["continue"] = proceed

    async def apply(self, resource: Resource, manifest: Manifest, *, force: bool) -> Manifest:
        """Apply one object server-side; without ``force``, another manager's field is a :class:`ConflictError`."""
        metadata = manifest["metadata"]
        query = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        return await self.request(
            "PATCH", resource.path(metadata.get("namespace"), metadata["name"]), query, manifest, _APPLY
        )

    async def apply_status(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Apply one object's status server-side."""
        metadata = manifest["metadata"]
        query = {"fieldManager": MANAGER, "force": "true"}
        path = resource.path(metadata.get("namespace"), metadata["name"], "status")
        return await self.request("PATCH", path, query, manifest, _APPLY)

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create one object."""
        return await self.request("POST", resource.path(manifest["metadata"].get("namespace")), {}, manifest)

    async def replace(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Replace one object, if it is still at the manifest's resourceVersion."""
        metadata = manifest["metadata"]
        return await self.request("PUT", resource.path(metadata.get("namespace"), metadata["name"]), {}, manifest)

    async def delete(self, resource: Resource, namespace: str | None, name: str, *, uid: str) -> None:
        """Delete one object, if it is still the one with that uid; gone already is fine."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self.request("DELETE", resource.path(namespace, name), {}, body)
        except NotFoundError:
            return

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Send one request, once.

        Raises
        ------
        ClusterError
            Of the class that names the case.
        """
        status, content = await self._send(method, path, query, body, content_type)
        return _object(f"{method} {path}", status, content)

    async def end_of_text(self, path: str, query: Mapping[str, str], limit_bytes: int) -> str:
        """Return the last bytes of what is no object: a log, of which no more than about twice as many are held.

        Of one that goes on for more than 16 MiB the rest is not read.

        Raises
        ------
        ClusterError
            Of the class that names the case.
        """
        _, content = await self._send("GET", path, query, accept="*/*", last_bytes=limit_bytes)
        return content.decode(errors="replace")

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        last_bytes: int | None = None,
    ) -> tuple[int, bytes]:
        what = f"{method} {path}"
        try:
            prepared = await self._client.param_serialize(
                method=method,
                resource_path=path,
                query_params=[(name, encodable(value)) for name, value in (query or {}).items()],
                header_params={"Accept": accept, "Content-Type": content_type},
                body=apply_body(body) if body is not None and content_type == _APPLY else body,
                auth_settings=["BearerToken"],
            )
            if method != "GET" and self._may_write is not None and not self._may_write():
                raise NotLeadingError(what, 0, "not sent, because this process leads no more")
            response = await self._client.call_api(*prepared, _request_timeout=_TIMEOUT)
            content = await (response.read() if last_bytes is None else _end(response.response, last_bytes))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count(method, 0)
            raise UnreachableError(what, 0, f"{type(error).__name__}: {error}") from error
        self._count(method, response.status)
        if response.status >= 300:
            raise _error(what, response.status, content)
        return response.status, content

    def _count(self, method: str, status: int) -> None:
        if self._on_answer is not None:
            self._on_answer(method, status)


async def _end(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    content, read_bytes = bytearray(), 0
    async for chunk in response.content.iter_any():
        content += chunk
        del content[:-limit_bytes]
        read_bytes += len(chunk)
        if read_bytes > _LONGEST_LOG_BYTES:
            response.close()
            break
    return bytes(content)


def _object(what: str, status: int, content: bytes) -> Manifest:
    """Read an answer; what is no JSON object comes from something between us and the API server."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise UnreachableError(what, status, f"the answer is no JSON object but {_shown(content)!r}")
    return answer


def _shown(content: bytes) -> str:
    return content[:300].decode(errors="replace")


def _error(what: str, status: int, content: bytes) -> ClusterError:
    """Read the server's Status object; a proxy's error page counts as its text."""
    try:
        answer = json.loads(content)
        message = str(answer["message"])
        causes = [str(cause.get("reason")) for cause in (answer.get("details") or {}).get("causes") or ()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        message, causes = _shown(content) or "no message", []
    return error_of(what, status, message, causes)
