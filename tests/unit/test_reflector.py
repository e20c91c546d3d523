"""Lists and watches: what changes is seen at once, what vanished unseen is found, and every failure is retried soon."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mistral_operator.cluster.rbac import node_rules, operator_rules
from mistral_operator.cluster.resources import DEPLOYMENTS, MISTRAL_DEPLOYMENTS, NODES, PODS, SERVICES, Resource
from mistral_operator.controller.informer import Informer
from mistral_operator.controller.keys import Key
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.store import WATCHED, Store
from mistral_operator.controller.watches import Watches
from unit.api_server import ApiServer, Body, Fault, on_server
from unit.logs import captured_log
from unit.virtual_time import now

OWNER = {"apiVersion": "mistral-operator.io/v1alpha1", "kind": "MistralDeployment", "controller": True, "uid": "u"}
RULES = [*operator_rules(), *node_rules()]
SOON_SECONDS = 10.0
RELIST_SECONDS = 600.0


@dataclass
class Parts:
    """An informer, and what it fills."""

    server: ApiServer
    namespaces: tuple[str, ...] = ()
    readable: bool = True
    relist_seconds: float = RELIST_SECONDS
    store: Store = field(default_factory=Store)
    queue: WorkQueue = field(default_factory=lambda: WorkQueue(now))

    @contextlib.asynccontextmanager
    async def running(self, *, until_synced: bool = True) -> AsyncIterator["asyncio.Task[None]"]:
        """Run the informer for a while, and first wait until everything has been listed."""
        self.nodes = Nodes(readable=self.readable)
        log, self.told = captured_log()
        self.informer = Informer(
            await self.server.cluster(),
            Watches(self.store, self.nodes, self.queue),
            namespaces=self.namespaces,
            nodes=self.readable,
            relist_seconds=self.relist_seconds,
            log=log,
            clock=now,
        )
        task = asyncio.create_task(self.informer.run())
        try:
            if until_synced:
                await asyncio.wait_for(self.informer.until_synced(), 30)
                await self.until_watched()
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until_watched(self) -> None:
        """Wait until every collection is being watched."""
        wanted = len(WATCHED) * max(1, len(self.namespaces)) + self.readable
        async with asyncio.timeout(SOON_SECONDS):
            while self.server.watches < wanted:
                await asyncio.sleep(0.01)

    async def wanted(self) -> dict[str, Cause]:
        """Return the keys that wait, and take them away."""
        found = {}
        while len(self.queue):
            key, cause = await self.queue.take()
            self.queue.done(key)
            found[str(key)] = cause
        return found

    async def soon(self) -> dict[str, Cause]:
        """Return the first keys that become due, and in how many seconds at most they have to."""
        async with asyncio.timeout(SOON_SECONDS):
            while not len(self.queue):
                await asyncio.sleep(0.05)
        return await self.wanted()


def child(name: str, namespace: str = "ns", *, managed: bool = True) -> Body:
    """Return a child of the object of that name."""
    labels = {"app.kubernetes.io/instance": name.partition("-")[0]}
    labels |= {"app.kubernetes.io/managed-by": "mistral-operator"} if managed else {}
    owner = OWNER | {"name": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {}, "status": {}}


def mdep(name: str, namespace: str = "ns") -> Body:
    """Return a MistralDeployment."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {}}


def node(count: int = 8) -> dict[str, Any]:
    """Return a node with GPUs."""
    labels = {"nvidia.com/gpu.product": "NVIDIA-H200"}
    return {"metadata": {"name": "n", "labels": labels}, "status": {"allocatable": {"nvidia.com/gpu": str(count)}}}


KINDS = pytest.mark.parametrize(
    ("resource", "body", "name"),
    [(MISTRAL_DEPLOYMENTS, mdep("a"), "a"), (DEPLOYMENTS, child("a"), "a"), (PODS, child("a-1"), "a-1")],
    ids=["object", "child", "pod"],
)


def test_the_first_lists() -> None:
    """Everything there is becomes known and is wanted, and each collection is read once."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        server.put(MISTRAL_DEPLOYMENTS, mdep("b", "elsewhere"))
        server.put(DEPLOYMENTS, child("a"))
        server.put(SERVICES, child("c", managed=False))
        server.put(PODS, child("a-1"))
        parts = Parts(server)
        async with parts.running():
            assert await parts.wanted() == {"ns/a": Cause.WATCHED, "elsewhere/b": Cause.WATCHED}
            assert list(parts.store.keys(SERVICES)) == []
            assert len(parts.store.pods_of(Key("ns", "a"))) == 1
            assert {server.count("list", resource.plural) for resource in (*WATCHED, NODES)} == {1}

    on_server(test, ApiServer(rules=RULES))


def test_many_pages() -> None:
    """No object is lost between two pages."""

    async def test(server: ApiServer) -> None:
        for number in range(301):
            server.put(MISTRAL_DEPLOYMENTS, mdep(f"m{number}"))
        parts = Parts(server)
        async with parts.running():
            assert len(await parts.wanted()) == 301
        assert server.count("list", "mistraldeployments") == 4

    on_server(test, ApiServer(rules=RULES))


def test_objects_too_large_for_a_page() -> None:
    """They are listed fewer at a time, none is lost, and no answer is longer than a page may be, but of one object."""

    async def test(server: ApiServer) -> None:
        for number in range(30):
            server.put(MISTRAL_DEPLOYMENTS, mdep(f"m{number}") | {"spec": {"x": "y" * 2**20}})
        server.put(MISTRAL_DEPLOYMENTS, mdep("huge") | {"spec": {"x": "y" * (9 * 2**20)}})
        parts = Parts(server)
        async with parts.running():
            assert len(await parts.wanted()) == 31
        lists = [one for one in server.requests if (one.verb, one.place.plural) == ("list", "mistraldeployments")]
        assert {one.query["limit"] for one in lists} == {"100", "25", "6", "1"}

    on_server(test, ApiServer(rules=RULES))


@KINDS
def test_what_a_watch_shows(resource: Resource, body: Body, name: str) -> None:
    """What comes, changes and goes is seen without a list."""

    async def test(server: ApiServer) -> None:
        parts = Parts(server)
        async with parts.running():
            for _ in range(2):
                server.put(resource, body)
                assert await parts.soon() == {"ns/a": Cause.WATCHED}
            assert parts.store.get(resource, Key("ns", name)) is not None
            server.remove(resource, "ns", name)
            assert await parts.soon() == {"ns/a": Cause.DUE}
            assert parts.store.get(resource, Key("ns", name)) is None
        assert server.count("list", resource.plural) == 1

    on_server(test, ApiServer(rules=RULES))


@KINDS
def test_a_watch_that_breaks_is_resumed(resource: Resource, body: Body, name: str) -> None:
    """What happens meanwhile is seen when it is back, and nothing is listed for that."""

    async def test(server: ApiServer) -> None:
        server.put(resource, body)
        parts = Parts(server)
        async with parts.running():
            await parts.wanted()
            for _ in range(3):
                server.end_watches()
                server.put(resource, body)
                assert await parts.soon() == {"ns/a": Cause.WATCHED}
                await parts.until_watched()
            server.end_watches()
            server.remove(resource, "ns", name)
            assert await parts.soon() == {"ns/a": Cause.DUE}
        assert server.count("list", resource.plural) == 1

    on_server(test, ApiServer(rules=RULES))


@KINDS
def test_history_that_has_expired(resource: Resource, body: Body, name: str) -> None:
    """What vanished unseen is deleted, what came unseen is wanted, what is as it was is no work."""

    async def test(server: ApiServer) -> None:
        server.put(resource, body)
        server.put(MISTRAL_DEPLOYMENTS, mdep("stays"))
        parts = Parts(server)
        async with parts.running():
            await parts.wanted()
            away = Fault("*", 503, "away", times=float("inf"))
            server.faults.append(away)
            server.end_watches()
            server.remove(resource, "ns", name)
            server.put(MISTRAL_DEPLOYMENTS, mdep("comes"))
            server.forget_history()
            assert await parts.wanted() == {}
            away.times = 0
            found: dict[str, Cause] = {}
            async with asyncio.timeout(SOON_SECONDS):
                while len(found) < 2:
                    found |= await parts.soon()
            assert found == {"ns/a": Cause.DUE, "ns/comes": Cause.WATCHED}
            assert parts.store.get(resource, Key("ns", name)) is None

    on_server(test, ApiServer(rules=RULES))


def test_a_list_that_expires_between_two_pages() -> None:
    """It begins anew, and shows what there is then."""

    async def test(server: ApiServer) -> None:
        for number in range(150):
            server.put(MISTRAL_DEPLOYMENTS, mdep(f"m{number}"))
        await (await server.cluster()).page(MISTRAL_DEPLOYMENTS, limit=100)
        parts = Parts(server)
        fault = Fault("GET", 410, "The provided continue parameter is too old", plural="mistraldeployments", skips=1)
        server.faults.append(fault)
        async with parts.running():
            assert len(await parts.wanted()) == 150
        assert server.count("list", "mistraldeployments") == 5

    on_server(test, ApiServer(rules=RULES))


def test_everything_is_listed_again_from_time_to_time() -> None:
    """What a watch has failed to show is found, once, and what it has shown is no work."""

    async def test(server: ApiServer) -> None:
        shown = server.put(MISTRAL_DEPLOYMENTS, mdep("shown"))
        server.put(MISTRAL_DEPLOYMENTS, mdep("hidden"))
        parts = Parts(server, relist_seconds=100)
        async with parts.running():
            await parts.wanted()
            parts.store.watched(MISTRAL_DEPLOYMENTS, mdep_at("hidden", 1), deleted=False)
            parts.store.watched(MISTRAL_DEPLOYMENTS, mdep_at("never-there", 1), deleted=False)
            parts.store.watched(MISTRAL_DEPLOYMENTS, shown, deleted=False)
            await asyncio.sleep(115)
            assert await parts.wanted() == {"ns/hidden": Cause.WATCHED, "ns/never-there": Cause.DUE}
            await asyncio.sleep(115)
            assert await parts.wanted() == {}
        assert server.count("list", "mistraldeployments") == 3

    on_server(test, ApiServer(rules=RULES))


def mdep_at(name: str, version: int) -> Body:
    """Return a MistralDeployment as it was."""
    body = mdep(name)
    body["metadata"] |= {"resourceVersion": str(version), "uid": "u"}
    return body


@pytest.mark.parametrize("minutes", [0.3, 5])
def test_an_api_server_that_comes_back(minutes: float) -> None:
    """However long it was away, a change made when it is back is seen within ten seconds, and one line told of it."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        parts = Parts(server)
        async with parts.running():
            await parts.wanted()
            away = Fault("*", 503, "away", times=float("inf"))
            server.faults.append(away)
            server.end_watches()
            await asyncio.sleep(60 * minutes)
            assert parts.informer.longest_silence_seconds() < SOON_SECONDS
            away.times = 0
            back_at = now()
            server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
            assert await parts.soon() == {"ns/a": Cause.WATCHED}
            assert now() - back_at < SOON_SECONDS / 2
            await parts.until_watched()
            about = [entry for entry in parts.told.entries if entry["collection"] == "mistraldeployments"]
            assert [entry["log_level"] for entry in about if entry["log_level"] != "debug"] == ["warning", "info"]

    on_server(test, ApiServer(rules=RULES))


def test_an_api_server_that_asks_for_patience() -> None:
    """Retry-After is kept to, within bounds: a minute is longer than anybody wants to be blind for."""

    async def test(server: ApiServer) -> None:
        for seconds, least, most in ((6, 6, 7), (60, 8, 9)):
            parts = Parts(server, readable=False)
            headers = {"Retry-After": str(seconds)}
            server.faults.append(Fault("GET", 429, "too many requests", headers=headers, plural="pods"))
            begun = now()
            async with parts.running():
                assert least <= now() - begun < most

    on_server(test, ApiServer(rules=RULES))


def test_not_synced_before_everything_is_listed() -> None:
    """One collection that cannot be read is enough not to be ready."""

    async def test(server: ApiServer) -> None:
        fault = Fault("GET", 503, times=float("inf"), plural="pods")
        server.faults.append(fault)
        parts = Parts(server)
        async with parts.running(until_synced=False):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(parts.informer.until_synced(), 60)
            fault.times = 0
            await asyncio.wait_for(parts.informer.until_synced(), SOON_SECONDS)

    on_server(test, ApiServer(rules=RULES))


@pytest.mark.parametrize(
    "raw",
    [b'{"type": "ADDED"}\n', b"<html>\n", b"[]\n", b'{"type": "ADDED", "object": {"metadata": {"na'],
    ids=["no object", "a proxy's page", "no event", "cut off"],
)
def test_a_watch_that_is_none(raw: bytes) -> None:
    """It is taken for one that failed, and tried again."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 200, raw=raw, plural="pods", skips=1))
        parts = Parts(server)
        async with parts.running():
            server.put(PODS, child("a-1"))
            assert await parts.soon() == {"ns/a": Cause.WATCHED}

    on_server(test, ApiServer(rules=RULES))


def test_a_line_without_an_end() -> None:
    """No more than a few objects' worth of it is kept, and the collection is listed instead."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 200, raw=b"x" * (9 * 2**20), plural="pods", skips=1))
        parts = Parts(server)
        async with parts.running():
            assert server.count("list", "pods") == 2

    on_server(test, ApiServer(rules=RULES))


def test_a_watch_that_is_silent() -> None:
    """It is given up and resumed: a connection may be dead without anybody saying so."""

    async def test(server: ApiServer) -> None:
        parts = Parts(server, relist_seconds=1e6)
        async with parts.running():
            await asyncio.sleep(500)
            assert server.count("watch", "pods") >= 5
            assert parts.informer.longest_silence_seconds() < 100
            assert server.count("list", "pods") == 1
            assert parts.told.entries == []

    on_server(test, ApiServer(rules=RULES))


def test_a_kind_that_is_not_served_any_more() -> None:
    """The informer ends: everything that was read is void."""

    async def test(server: ApiServer) -> None:
        parts = Parts(server)
        async with parts.running() as task:
            server.faults.append(Fault("GET", 404, "not found", times=float("inf"), plural="mistraldeployments"))
            server.end_watches()
            await asyncio.wait_for(task, SOON_SECONDS)

    on_server(test, ApiServer(rules=RULES))


def test_namespaces() -> None:
    """An operator of some namespaces asks about no others, for which it has no right."""

    async def test(server: ApiServer) -> None:
        for namespace in ("one", "two", "three"):
            server.put(MISTRAL_DEPLOYMENTS, mdep("a", namespace))
        parts = Parts(server, ("one", "two"), relist_seconds=20)
        async with parts.running():
            assert (await parts.wanted()).keys() == {"one/a", "two/a"}
            await asyncio.sleep(30)
            assert await parts.wanted() == {}
            server.remove(MISTRAL_DEPLOYMENTS, "one", "a")
            assert await parts.soon() == {"one/a": Cause.DUE}
        asked = {request.place.namespace for request in server.requests if request.place.plural != "nodes"}
        assert asked == {"one", "two"}

    on_server(test, ApiServer(rules=RULES))


@pytest.mark.parametrize("readable", [False, True])
def test_nodes(readable: bool) -> None:
    """They are read where they may be; a change of the GPUs there are wants every object to be looked at."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        parts = Parts(server, readable=readable)
        async with parts.running():
            await parts.wanted()
            server.put(NODES, node())
            server.put(MISTRAL_DEPLOYMENTS, mdep("b"))
            found: dict[str, Cause] = {}
            async with asyncio.timeout(SOON_SECONDS):
                while found.keys() < ({"ns/a", "ns/b"} if readable else {"ns/b"}):
                    found |= await parts.soon()
            assert found.get("ns/a") == (Cause.DUE if readable else None)
            if readable:
                server.remove(NODES, "", "n")
                assert await parts.soon() == {"ns/a": Cause.DUE, "ns/b": Cause.DUE}
        assert (server.count("list", "nodes") > 0) is readable

    on_server(test, ApiServer(rules=RULES if readable else operator_rules()))


def test_the_right_to_read_nodes_that_goes_and_comes_back() -> None:
    """Everything else goes on and GPUs stay known; it is said once each time, and nodes are read again."""

    async def test(server: ApiServer) -> None:
        server.put(NODES, node())
        parts = Parts(server)
        async with parts.running():
            for number in (1, 2):
                server.rules = operator_rules()
                server.end_watches()
                for name in ("a", "b"):
                    server.put(MISTRAL_DEPLOYMENTS, mdep(f"{name}{number}"))
                    assert (await parts.soon()).keys() == {f"ns/{name}{number}"}
                    await asyncio.sleep(20)
                assert [gpu.product for gpu in parts.nodes.inventory.classes] == ["NVIDIA-H200"]
                warnings = [entry for entry in parts.told.entries if "may not be listed" in entry["event"]]
                assert [entry["collection"] for entry in warnings] == ["nodes"] * number
                assert "grant the operator's ServiceAccount the rules" in warnings[-1]["event"]
                server.rules = RULES
                server.put(NODES, node(number))
                assert (await parts.soon()).keys() >= {"ns/a1", "ns/b1"}
                assert [gpu.per_node for gpu in parts.nodes.inventory.classes] == [number]

    on_server(test, ApiServer(rules=RULES))


def test_nodes_that_may_not_be_read_from_the_beginning() -> None:
    """A right that goes between the question and the list keeps nobody from being ready."""

    async def test(server: ApiServer) -> None:
        parts = Parts(server)
        async with parts.running(until_synced=False):
            await asyncio.wait_for(parts.informer.until_synced(), SOON_SECONDS)

    on_server(test, ApiServer(rules=operator_rules()))
