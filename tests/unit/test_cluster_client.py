"""The seam to the API server: requests as they go over the wire, answers as they come, errors by their kind."""

import asyncio
import json
from itertools import chain

import pytest

from mistral_operator.cluster.access import may, serves
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotLeadingError,
    RefusedError,
    UnreachableError,
)
from mistral_operator.cluster.resources import (
    DEPLOYMENTS,
    MISTRAL_DEPLOYMENTS,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from unit.api_server import ApiServer, Fault, on_server
from unit.virtual_time import now


def body(name: str = "m", **more: object) -> dict[str, object]:
    """Return an object to be."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "ns", "name": name, **more}}


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (PODS, ("ns", "p"), "/api/v1/namespaces/ns/pods/p"),
        (PODS, (None,), "/api/v1/pods"),
        (DEPLOYMENTS, ("ns",), "/apis/apps/v1/namespaces/ns/deployments"),
        (NODES, (None, "n"), "/api/v1/nodes/n"),
        (NODES, ("ns", "n"), "/api/v1/nodes/n"),
        (
            MISTRAL_DEPLOYMENTS,
            ("ns", "m", "status"),
            "/apis/mistral-operator.io/v1alpha1/namespaces/ns/mistraldeployments/m/status",
        ),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str | None, ...], path: str) -> None:
    """The core group is apart, and nodes have no namespace."""
    assert resource.path(*arguments) == path


@pytest.mark.parametrize("name", ["../../other/secrets/s", "s?watch=true", "s#", "s%2F"])
def test_no_name_leads_elsewhere(name: str) -> None:
    """What a spec calls the name of a Secret reaches no other namespace and no other request."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        for namespace in ("ns", "other"):
            server.put(SECRETS, {"metadata": {"namespace": namespace, "name": "s"}})
        assert await cluster.get(SECRETS, "ns", "s") is not None
        assert await cluster.get(SECRETS, "ns", name) is None

    on_server(test)


@pytest.mark.parametrize("text", ["🚀", "\x00\x1b", "\u202e", "\ud800", "é\x85\u2028"])
def test_any_text_in_any_place(text: str) -> None:
    """Bodies of applies and of other writes, names in paths, and selectors: nothing raises, and nothing is changed."""
    expected = text.replace("\ud800", "\ufffd")

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        await cluster.apply(DEPLOYMENTS, body(f"a{text}", annotations={"k": text}), force=True)
        await cluster.apply_status(DEPLOYMENTS, {**body(f"a{text}"), "status": {"k": text}})
        await cluster.create(DEPLOYMENTS, body(f"b{expected}", annotations={"k": text.replace("\ud800", "")}))
        for name in ("a", "b"):
            found = await cluster.get(DEPLOYMENTS, "ns", name + text)
            assert found is not None
            assert found["metadata"]["annotations"]["k"] in (expected, expected.replace("\ufffd", ""))
        assert [page async for page in cluster.pages(DEPLOYMENTS, fields=f"metadata.name={text}")]
        assert server.requests[-1].query["fieldSelector"] == f"metadata.name={expected}"

    on_server(test)


def test_what_is_not_there_is_none() -> None:
    """A look at something that is gone is an answer; writing to it is an error."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        assert await cluster.get(DEPLOYMENTS, "ns", "m") is None
        with pytest.raises(NotFoundError, match="/apis/apps/v1/namespaces/ns/deployments/m: "):
            await cluster.replace(DEPLOYMENTS, body())
        server.put(DEPLOYMENTS, body())
        found = await cluster.get(DEPLOYMENTS, "ns", "m")
        assert found is not None
        assert found["metadata"]["name"] == "m"

    on_server(test)


@pytest.mark.parametrize(("page", "pages"), [(500, 1), (3, 3), (1, 7)])
def test_lists_come_in_pages(page: int, pages: int) -> None:
    """Every object once, however large the pages, and those of other labels and namespaces left out."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        for number in range(7):
            server.put(DEPLOYMENTS, body(f"m{number}", labels={"a": "b"}))
        server.put(DEPLOYMENTS, body("other", labels={"a": "c"}))
        server.put(DEPLOYMENTS, {"metadata": {"namespace": "elsewhere", "name": "m0", "labels": {"a": "b"}}})
        found = [found async for found in cluster.pages(DEPLOYMENTS, "ns", labels="a=b", page=page)]
        assert [one["metadata"]["name"] for one in chain.from_iterable(found)] == [f"m{number}" for number in range(7)]
        assert len(found) == pages

    on_server(test)


def test_an_empty_list() -> None:
    """A list may hold null for no items."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        server.faults.append(Fault("GET", 200, raw=b'{"items": null, "metadata": {}}'))
        assert [found async for found in cluster.pages(PODS)] == [[]]

    on_server(test)


@pytest.mark.parametrize("force", [True, False])
def test_apply(force: bool) -> None:
    """By the operator's field manager, and by force only where the caller says so."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        applied = await cluster.apply(DEPLOYMENTS, body(), force=force)
        assert applied["metadata"]["resourceVersion"]
        (request,) = server.requests
        assert request.verb == "patch"
        assert request.query == {"fieldManager": "mistral-operator", "force": str(force).lower()}

    on_server(test)


def test_apply_of_a_status_that_is_stale() -> None:
    """The resourceVersion that was read goes along, so that a status of an older look is a conflict."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        read = server.put(MISTRAL_DEPLOYMENTS, {"metadata": {"namespace": "ns", "name": "m"}})
        metadata = {name: read["metadata"][name] for name in ("namespace", "name", "resourceVersion")}
        await cluster.apply_status(MISTRAL_DEPLOYMENTS, {"metadata": metadata, "status": {"phase": "Ready"}})
        assert server.requests[-1].place.subresource == "status"
        with pytest.raises(ConflictError, match="has been modified"):
            await cluster.apply_status(MISTRAL_DEPLOYMENTS, {"metadata": metadata, "status": {}})

    on_server(test)


def test_delete() -> None:
    """Only the object that is meant, by its uid; gone already is fine."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        server.put(SERVICES, body(uid="one"))
        with pytest.raises(ConflictError):
            await cluster.delete(SERVICES, "ns", "m", uid="another")
        assert server.find(SERVICES, "ns", "m") is not None
        await cluster.delete(SERVICES, "ns", "m", uid="one")
        assert server.find(SERVICES, "ns", "m") is None
        await cluster.delete(SERVICES, "ns", "m", uid="one")

    on_server(test)


PROXY_PAGE = b"<html>" + b"x" * 1000


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        pytest.param(Fault("GET", 403, "exceeded quota: gpu"), ForbiddenError, "exceeded quota: gpu", id="403"),
        pytest.param(Fault("GET", 422, "spec.x: Invalid"), RefusedError, "spec.x: Invalid", id="422"),
        pytest.param(Fault("GET", 503, raw=PROXY_PAGE), UnreachableError, "<html>xxx", id="a proxy's page"),
        pytest.param(Fault("GET", 500, raw=b""), UnreachableError, "no message", id="nothing"),
        pytest.param(Fault("GET", 500, raw=b"[1]"), UnreachableError, "[1]", id="another JSON"),
        pytest.param(Fault("GET", 502, raw=b"\xff\xfe"), UnreachableError, "GET /api", id="no text"),
        pytest.param(Fault("GET", 200, raw=PROXY_PAGE), UnreachableError, "no JSON object", id="a page that says 200"),
        pytest.param(Fault("GET", 200, raw=b"null"), UnreachableError, "no JSON object", id="null"),
        pytest.param(Fault("GET", 200, raw=b"\xff"), UnreachableError, "no JSON object", id="no text that says 200"),
    ],
)
def test_errors(fault: Fault, kind: type[ClusterError], told: str) -> None:
    """Each is of its kind, names what was asked, and quotes the server, or as much as fits of whatever answered."""

    async def test(server: ApiServer) -> None:
        server.faults.append(fault)
        with pytest.raises(kind) as caught:
            await (await server.cluster()).get(PODS, "ns", "p")
        assert told in str(caught.value)
        assert str(caught.value).startswith("GET /api/v1/namespaces/ns/pods/p: ")
        assert len(str(caught.value)) < 500

    on_server(test)


def test_a_server_that_is_not_there() -> None:
    """No answer is an error of one kind, whatever was in the way, and it is counted."""
    counted: list[tuple[str, int]] = []

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster(lambda method, status: counted.append((method, status)))
        await cluster.get(PODS, "ns", "p")
        server.faults.append(Fault("GET", 503))
        with pytest.raises(UnreachableError):
            await cluster.get(PODS, "ns", "p")
        server.url = "http://127.0.0.1:1"  # nobody listens there
        gone = await server.cluster(lambda method, status: counted.append((method, status)))
        with pytest.raises(UnreachableError, match="GET /api/v1/namespaces/ns/pods/p: Client"):
            await gone.get(PODS, "ns", "p")

    on_server(test)
    assert counted == [("GET", 404), ("GET", 503), ("GET", 0)]


def test_a_server_that_hangs() -> None:
    """A request ends after half a minute: workers that wait for ever would be all of them some day."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("*", hangs=True))
        begun = now()
        with pytest.raises(UnreachableError, match="Timeout"):
            await (await server.cluster()).get(PODS, "ns", "p")
        assert now() - begun == pytest.approx(30, abs=2)

    on_server(test)


def test_a_request_that_is_cancelled() -> None:
    """It ends at once, as cancelled: a leader that has lost its lease writes nothing more."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("*", hangs=True))
        cluster = await server.cluster()
        asking = asyncio.create_task(cluster.get(PODS, "ns", "p"))
        await asyncio.sleep(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    on_server(test)


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}], [True, True, False]),
        ([], [False, False, False]),
    ],
)
def test_rights(rules: list[dict[str, list[str]]], allowed: list[bool]) -> None:
    """The server says what this process may do."""

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster()
        assert [await may(cluster, verb, NODES) for verb in ("get", "list", "watch")] == allowed
        asked = [request.body["spec"]["resourceAttributes"] for request in server.requests]
        assert asked[0] == {"verb": "get", "group": "", "resource": "nodes"}
        await may(cluster, "get", DEPLOYMENTS, "ns")
        assert server.requests[-1].body["spec"]["resourceAttributes"]["namespace"] == "ns"

    on_server(test, ApiServer(rules=rules))


@pytest.mark.parametrize(
    ("served", "answer"),
    [
        (set(), False),
        ({"mistral-operator.io/others"}, False),
        ({"mistral-operator.io/mistraldeployments"}, True),
    ],
)
def test_whether_a_kind_is_served(served: set[str], answer: bool) -> None:
    """A group that is not there, one without the kind, and one with it."""

    async def test(server: ApiServer) -> None:
        assert await serves(await server.cluster(), MISTRAL_DEPLOYMENTS) is answer

    on_server(test, ApiServer(served=served))


def test_a_body_is_sent_as_it_is() -> None:
    """Nulls and empty lists matter to server-side apply: nothing is dropped on the way."""
    manifest = body() | {"spec": {"tolerations": [], "affinity": {}, "x": None, "n": 0, "b": False}}

    async def test(server: ApiServer) -> None:
        cluster: Cluster = await server.cluster()
        await cluster.apply(DEPLOYMENTS, manifest, force=True)
        assert server.requests[-1].body == json.loads(json.dumps(manifest))

    on_server(test)


def test_nothing_is_written_without_leave() -> None:
    """Who leads no more may look, and writes nothing: not even what was begun while leading."""
    leading = [True]

    async def test(server: ApiServer) -> None:
        cluster = await server.cluster(may_write=lambda: leading[0])
        await cluster.apply(DEPLOYMENTS, body(), force=True)
        leading[0] = False
        assert await cluster.get(DEPLOYMENTS, "ns", "m") is not None
        asked = len(server.requests)
        for write in (
            cluster.apply(DEPLOYMENTS, body(), force=True),
            cluster.apply_status(DEPLOYMENTS, body()),
            cluster.create(DEPLOYMENTS, body("n")),
            cluster.replace(DEPLOYMENTS, body()),
            cluster.delete(DEPLOYMENTS, "ns", "m", uid="u"),
        ):
            with pytest.raises(NotLeadingError):
                await write
        assert len(server.requests) == asked

    on_server(test)
