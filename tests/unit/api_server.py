"""An API server in memory, over HTTP: objects with resourceVersions, conflicts, rights, and faults on demand.

Server-side apply is a plain merge here. What the real one does with it is tested on the real one.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.resources import Resource
from unit.virtual_time import run

Body = dict[str, Any]
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REVIEW: Final = "selfsubjectaccessreviews"


class Place(NamedTuple):
    """Where a request goes."""

    group: str
    namespace: str
    plural: str
    name: str | None
    subresource: str | None

    @classmethod
    def of(cls, path: str) -> "Place":
        """Read a path of the API."""
        parts = path.strip("/").split("/")
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        namespace, rest = (rest[1], rest[2:]) if rest[:1] == ["namespaces"] and len(rest) > 2 else ("", rest)
        name, subresource, *_ = [*rest[1:], None, None]
        return cls(group, namespace, rest[0] if rest else "", name, subresource)


@dataclass
class Fault:
    """What a request gets instead of what it asked for."""

    method: str  # or * for all
    status: int = 500
    message: str = "the server is ill"
    times: float = 1  # how many more requests
    plural: str | None = None  # of one kind alone
    namespace: str | None = None  # in one namespace alone
    hangs: bool = False  # no answer at all
    seconds: float = 0  # how late the answer is
    raw: bytes | None = None  # this instead of a Status
    headers: Mapping[str, str] = field(default_factory=dict)
    skips: int = 0  # requests that it would strike, before it does
    after: bool = False  # the request is carried out first: only its answer is lost, or late if the status is 200

    def strikes(self, method: str, place: Place) -> bool:
        """Tell whether a request is affected."""
        strikes = (
            self.times > 0
            and self.method in ("*", method)
            and self.plural in (None, place.plural)
            and self.namespace in (None, place.namespace)
        )
        if strikes and self.skips:
            self.skips -= 1
            return False
        return strikes


class Request(NamedTuple):
    """One request, and what it was answered with."""

    verb: str
    place: Place
    query: Mapping[str, str]
    body: Any
    status: int


class _Change(NamedTuple):
    """Something that happened to an object."""

    version: int
    key: tuple[str, str, str, str]
    event: Body

    def is_in(self, place: Place, labels: Mapping[str, str]) -> bool:
        """Tell whether it belongs to a collection."""
        group, namespace, plural, _ = self.key
        found = self.event["object"]["metadata"].get("labels", {})
        return (
            (group, plural) == (place.group, place.plural)
            and place.namespace in ("", namespace)
            and labels.items() <= found.items()
        )


@dataclass
class ApiServer:
    """Runs while its context is entered."""

    rules: Sequence[Mapping[str, Sequence[str]]] | None = None  # None: everything is allowed
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    served: set[str] = field(default_factory=set)  # API groups with a version, for discovery
    url: str = ""
    closes: bool = False  # each connection: on a clock of its own a client looks after idle ones every 15 s, for ever

    first_version: int = 0  # of what can still be watched: whoever asks for more gets 410

    def __post_init__(self) -> None:
        self._history: list[_Change] = []
        self._changed = asyncio.Event()  # replaced by another each time it is set
        self._watches: set[asyncio.Task[None] | None] = set()
        self._objects: dict[tuple[str, str, str, str], Body] = {}
        self._versions = itertools.count(2)
        self._last_version = 1
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        if self.closes:
            app.on_response_prepare.append(_close)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def cluster(
        self, on_answer: Callable[[str, int], None] | None = None, may_write: Callable[[], bool] | None = None
    ) -> Cluster:
        """Return a client of this server, closed with it."""
        configuration = Configuration(host=self.url)
        configuration.client_session_kwargs = {"trust_env": False}
        connection = await self._stack.enter_async_context(ApiClient(configuration))
        return Cluster(connection, on_answer, may_write)

    def put(self, resource: Resource, body: Body) -> Body:
        """Write an object as its owner would; return it with its new resourceVersion."""
        metadata = body["metadata"]
        key = (resource.group, metadata.get("namespace", ""), resource.plural, metadata["name"])
        return self._store(key, json.loads(json.dumps(body)))

    def find(self, resource: Resource, namespace: str, name: str) -> Body | None:
        """Return an object as it is now."""
        return self._objects.get((resource.group, namespace, resource.plural, name))

    def all(self, resource: Resource) -> list[Body]:
        """Return all objects of a kind."""
        wanted = (resource.group, resource.plural)
        return [body for (group, _, plural, _), body in self._objects.items() if (group, plural) == wanted]

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object."""
        self._remove((resource.group, namespace, resource.plural, name))

    def forget_history(self) -> None:
        """Let no version before now be watched, as after a compaction."""
        self.first_version = self._last_version

    def end_watches(self) -> None:
        """Break the connections of all watches."""
        for watch in self._watches:
            if watch is not None:
                watch.cancel()

    @property
    def watches(self) -> int:
        """How many are being watched."""
        return len(self._watches)

    def count(self, verb: str, plural: str) -> int:
        """Return how often something was asked for."""
        return sum(request.verb == verb and request.place.plural == plural for request in self.requests)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        place, body = Place.of(request.path), await request.json() if request.can_read_body else None
        verb = _VERBS.get(request.method) or ("get" if place.name else "list")
        watches = "watch" in request.query
        fault = next((one for one in self.faults if one.strikes(request.method, place)), None)
        if fault is None and watches and self._allows("watch", place):
            return await self._watch(request, place)
        verb = "watch" if watches else verb
        if fault is None:
            return self._record(verb, place, request.query, body, self._carry_out(verb, place, request.query, body))
        fault.times -= 1
        answer = self._carry_out(verb, place, request.query, body) if fault.after else None
        self.requests.append(Request(verb, place, dict(request.query), body, 0 if fault.hangs else fault.status))
        if fault.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(fault.seconds)
        if answer is not None and fault.status == 200:
            return answer
        if fault.raw is not None:
            return web.Response(status=fault.status, body=fault.raw, headers=fault.headers)
        return _status(fault.status, fault.message, headers=fault.headers)

    def _record(
        self, verb: str, place: Place, query: Mapping[str, str], body: Any, response: web.Response
    ) -> web.Response:
        self.requests.append(Request(verb, place, dict(query), body, response.status))
        return response

    def _carry_out(self, verb: str, place: Place, query: Mapping[str, str], body: Any) -> web.Response:
        if not place.plural:
            known = [served for served in self.served if served.split("/")[0] == place.group]
            names = [{"name": served.split("/")[1]} for served in known]
            return web.json_response({"resources": names}) if known else _status(404, "the server could not find it")
        if place.plural == _REVIEW:
            asked = body["spec"]["resourceAttributes"]
            allowed = self._allows(asked["verb"], Place(asked["group"], "", asked["resource"], None, None))
            return web.json_response({**body, "status": {"allowed": allowed}}, status=201)
        if not self._allows(verb, place):
            return _status(403, f"cannot {verb} resource {place.plural!r} in API group {place.group!r}")
        if verb == "list":
            return self._list(place, query)
        name = place.name or body["metadata"]["name"]
        key = (place.group, place.namespace, place.plural, name)
        there = self._objects.get(key)
        if verb != "create" and there is None and not (verb == "patch" and place.subresource is None):
            return _status(404, f"{place.plural} {name!r} not found")
        return self._write(verb, key, there, body) if verb != "get" else web.json_response(there)

    def _write(self, verb: str, key: tuple[str, str, str, str], there: Body | None, body: Body) -> web.Response:
        version = body.get("metadata", {}).get("resourceVersion")
        wanted_uid = body.get("preconditions", {}).get("uid")
        if verb == "create" and there is not None:
            return _status(409, f"{key[3]!r} already exists", "AlreadyExists")
        if there is not None and version not in (None, there["metadata"]["resourceVersion"]):
            return _status(409, f"Operation cannot be fulfilled on {key[3]!r}: the object has been modified")
        if there is not None and wanted_uid not in (None, there["metadata"]["uid"]):
            return _status(409, "the UID in the precondition does not match")
        applied_uid = body.get("metadata", {}).get("uid") if verb == "patch" else None
        if applied_uid is not None and there is None:
            return _status(409, f"uid mismatch: the provided object specified uid {applied_uid}")
        if applied_uid is not None and there is not None and applied_uid != there["metadata"]["uid"]:
            return _status(422, "metadata.uid: Invalid value: field is immutable", "Invalid")
        if verb == "delete":
            return web.json_response(self._remove(key))
        merged = body if there is None or verb == "update" else _merged(there, body)
        return web.json_response(self._store(key, merged), status=200 if there else 201)

    def _store(self, key: tuple[str, str, str, str], body: Body) -> Body:
        version = str(next(self._versions))
        before = self._objects.get(key)
        uid = before["metadata"]["uid"] if before else body["metadata"].get("uid", f"uid-{version}")
        stored = {**body, "metadata": {**body["metadata"], "uid": uid, "resourceVersion": version}}
        self._objects[key] = stored
        self._tell("MODIFIED" if before else "ADDED", key, stored)
        return stored

    def _remove(self, key: tuple[str, str, str, str]) -> Body:
        version = str(next(self._versions))
        body = self._objects.pop(key)
        self._tell("DELETED", key, {**body, "metadata": {**body["metadata"], "resourceVersion": version}})
        return body

    def _tell(self, kind: str, key: tuple[str, str, str, str], body: Body) -> None:
        self._last_version = int(body["metadata"]["resourceVersion"])
        self._history.append(_Change(self._last_version, key, {"type": kind, "object": body}))
        self._changed.set()
        self._changed = asyncio.Event()

    async def _watch(self, request: web.Request, place: Place) -> web.StreamResponse:
        """Send what changes until the time is over, at once where there is none; then a bookmark, as the real one."""
        query = request.query
        version = int(query["resourceVersion"] or 0)
        self.requests.append(Request("watch", place, dict(query), None, 200))
        response = web.StreamResponse()
        await response.prepare(request)
        if version < self.first_version:
            expired = {"kind": "Status", "code": 410, "message": f"too old resource version: {version}"}
            await _send(response, {"type": "ERROR", "object": expired})
            return response
        labels = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part)
        self._watches.add(asyncio.current_task())
        try:
            async with asyncio.timeout(float(query.get("timeoutSeconds", 0))):
                while True:
                    changed = self._changed
                    for change in self._history:
                        if change.version > version and change.is_in(place, labels):
                            await _send(response, change.event)
                    version = self._last_version
                    await changed.wait()
        except TimeoutError:
            metadata = {"resourceVersion": str(version)}
            await _send(response, {"type": "BOOKMARK", "object": {"metadata": metadata}})
        finally:
            self._watches.discard(asyncio.current_task())
        return response

    def _list(self, place: Place, query: Mapping[str, str]) -> web.Response:
        labels = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part)
        found = [
            body
            for (group, namespace, plural, _), body in sorted(self._objects.items())
            if (group, plural) == (place.group, place.plural)
            and place.namespace in ("", namespace)
            and labels.items() <= body["metadata"].get("labels", {}).items()
        ]
        begin = int(query.get("continue", 0))
        end = begin + int(query.get("limit", len(found) or 1))
        proceed = {"continue": str(end)} if end < len(found) else {}
        metadata = {"resourceVersion": str(self._last_version), **proceed}
        return web.json_response({"items": found[begin:end], "metadata": metadata})

    def _allows(self, verb: str, place: Place) -> bool:
        plural = place.plural if place.subresource is None else f"{place.plural}/{place.subresource}"
        return self.rules is None or any(
            verb in rule["verbs"]
            and place.group in rule["apiGroups"]
            and plural in rule["resources"]
            and (not rule.get("resourceNames") or place.name in rule["resourceNames"])
            for rule in self.rules
        )


def on_server(test: Callable[[ApiServer], Awaitable[None]], server: ApiServer | None = None) -> None:
    """Run a test against a server, on a clock of its own."""

    async def main() -> None:
        async with server or ApiServer() as running:
            await test(running)

    run(main(), talks=True)


async def _send(response: web.StreamResponse, event: Body) -> None:
    await response.write(json.dumps(event).encode() + b"\n")


async def _close(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Connection"] = "close"
    response.force_close()


def _merged(before: Any, after: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return {**before, **{name: _merged(before.get(name), value) for name, value in after.items()}}


def _status(
    code: int, message: str, reason: str = "", headers: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    body = {"kind": "Status", "message": message, "reason": reason, "code": code}
    return web.json_response(body, status=code, headers=headers)
