"""The seam to the API server: JSON objects in, JSON objects out, errors typed.

Raw requests rather than the typed client or the dynamic one: the set of kinds is closed, so that neither a model of
every field nor discovery (which keeps a cache file) is of use. ``kubernetes.aio`` still brings configuration,
credentials that refresh themselves, TLS and the connection pool.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Final, NamedTuple

import aiohttp
from kubernetes.aio.client.rest import RESTResponse

from mistral_operator.api.names import MANAGER
from mistral_operator.api.plain_text import encodable
from mistral_operator.cluster.answers import (
    LineTooLongError,
    Manifest,
    WatchEvent,
    end_of,
    error_of_answer,
    event_of_line,
    lines,
    object_of,
    whole,
)
from mistral_operator.cluster.body import apply_body
from mistral_operator.cluster.connection import Connection
from mistral_operator.cluster.errors import (
    ExpiredError,
    NotFoundError,
    NotLeadingError,
    UnreachableError,
)
from mistral_operator.cluster.resources import Resource


class Page(NamedTuple):
    """A part of a collection."""

    items: list[Manifest]
    version: str  # of the collection, from which it can be watched
    proceed: str  # what asks for the next page; empty on the last


# with its charset, or the client would write the body itself, and as ASCII
_APPLY: Final = "application/apply-patch+yaml; charset=utf-8"
_PAGE: Final = 500
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_SILENCE_SECONDS: Final = 90.0  # the API server sends a bookmark about once a minute
_GRACE_SECONDS: Final = 10.0  # for the API server to end a watch itself
_CONNECT_SECONDS: Final = 5.0
_NO_ANSWER: Final = (aiohttp.ClientError, TimeoutError, OSError)
_LONGEST_LINE_BYTES: Final = 8 * 2**20  # etcd takes objects of 1.5 MiB


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
        longest_bytes: int | None = None,
    ) -> AsyncIterator[list[Manifest]]:
        """List a collection page by page, so that no single answer grows with the cluster.

        Raises
        ------
        TooLongError
            When a page is longer than ``longest_bytes``: what others write there may be as long as they like.
        """
        proceed = ""
        while True:
            found = await self.page(
                resource,
                namespace,
                labels=labels,
                fields=fields,
                limit=page,
                proceed=proceed,
                longest_bytes=longest_bytes,
            )
            yield found.items
            proceed = found.proceed
            if not proceed:
                return

    async def page(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        limit: int = _PAGE,
        proceed: str = "",
        longest_bytes: int | None = None,
    ) -> Page:
        """Read one page of a collection.

        Raises
        ------
        ExpiredError
            When ``proceed`` is of a list that was begun too long ago.
        TooLongError
            When it is longer than ``longest_bytes``.
        """
        selectors = {"labelSelector": labels, "fieldSelector": fields, "continue": proceed}
        query = {"limit": str(limit)} | {name: value for name, value in selectors.items() if value}
        answer = await self.request("GET", resource.path(namespace), query, longest_bytes=longest_bytes)
        metadata = answer.get("metadata") or {}
        return Page(answer.get("items") or [], str(metadata.get("resourceVersion", "")), metadata.get("continue") or "")

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        version: str,
        seconds: float,
    ) -> AsyncGenerator[WatchEvent]:
        """Yield what happens in a collection after a version, until the API server ends the watch or falls silent.

        Raises
        ------
        ExpiredError
            When the API server does not remember that version any more.
        """
        path = resource.path(namespace)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        if labels:
            query["labelSelector"] = labels
        what = f"watch of {path}"
        timeout = aiohttp.ClientTimeout(
            total=seconds + _GRACE_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
        )
        try:
            response = await self._open("GET", path, query, timeout=timeout)
        except _NO_ANSWER as error:
            raise self._unreachable("GET", what, error) from error
        self._count("GET", response.status)
        try:
            if response.status >= 300:
                raise error_of_answer(what, response.status, await response.read(), response.headers)
            async for line in lines(response.response, _LONGEST_LINE_BYTES):
                yield event_of_line(what, line)
        except TimeoutError:
            return  # silent for longer than an API server is, or not ended by it in time
        except LineTooLongError as error:
            raise ExpiredError(what, response.status, "an event is too long to be read") from error
        except _NO_ANSWER as error:
            raise self._unreachable("GET", what, error) from error
        finally:
            response.response.close()

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
        longest_bytes: int | None = None,
    ) -> Manifest:
        """Send one request, once.

        Raises
        ------
        ClusterError
            Of the class that names the case.
        """
        status, content = await self._send(method, path, query, body, content_type, longest_bytes=longest_bytes)
        return object_of(f"{method} {path}", status, content)

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
        longest_bytes: int | None = None,
    ) -> tuple[int, bytes]:
        what = f"{method} {path}"
        try:
            response = await self._open(method, path, query, body, content_type, accept)
            if last_bytes is not None:
                content = await end_of(response.response, last_bytes)
            else:
                content = await whole(what, response.response, longest_bytes)
        except _NO_ANSWER as error:
            raise self._unreachable(method, what, error) from error
        self._count(method, response.status)
        if response.status >= 300:
            raise error_of_answer(what, response.status, content, response.headers)
        return response.status, content

    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> RESTResponse:
        """Send one request and return the answer, of which no more than the headers have been read."""
        prepared = await self._client.param_serialize(
            method=method,
            resource_path=path,
            query_params=[(name, encodable(value)) for name, value in (query or {}).items()],
            header_params={"Accept": accept, "Content-Type": content_type},
            body=apply_body(body) if body is not None and content_type == _APPLY else body,
            auth_settings=["BearerToken"],
        )
        if method != "GET" and self._may_write is not None and not self._may_write():
            raise NotLeadingError(f"{method} {path}", 0, "not sent, because this process leads no more")
        return await self._client.call_api(*prepared, _request_timeout=timeout)

    def _unreachable(self, method: str, what: str, error: Exception) -> UnreachableError:
        self._count(method, 0)
        return UnreachableError(what, 0, f"{type(error).__name__}: {error}")

    def _count(self, method: str, status: int) -> None:
        if self._on_answer is not None:
            self._on_answer(method, status)
