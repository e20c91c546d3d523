"""Whole lists from time to time: they find what the watches missed, and make no work of what they did not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mistral_operator.cluster.rbac import node_rules, operator_rules
from mistral_operator.cluster.resources import DEPLOYMENTS, MISTRAL_DEPLOYMENTS, NODES, PODS, SERVICES, Resource
from mistral_operator.controller.keys import Key
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.resync import Resync
from mistral_operator.controller.store import Store
from mistral_operator.controller.watches import Watches
from unit.api_server import ApiServer, Body, Fault, on_server
from unit.logs import captured_log
from unit.virtual_time import now

PERIOD = 4.0
OWNER = {"apiVersion": "mistral-operator.io/v1alpha1", "kind": "MistralDeployment", "controller": True, "uid": "u"}
RULES = [*operator_rules(), *node_rules()]


@dataclass
class Parts:
    """What a resync works on."""

    server: ApiServer
    namespaces: tuple[str, ...] = ()
    readable: bool = True
    period_seconds: float = PERIOD
    store: Store = field(default_factory=lambda: Store(now))
    queue: WorkQueue = field(default_factory=lambda: WorkQueue(now))
    listed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the resync for a while."""
        self.nodes = Nodes(readable=self.readable)
        self.watches = Watches(self.store, self.nodes, self.queue)
        log, self.told = captured_log()
        resync = Resync(
            cluster=await self.server.cluster(),
            store=self.store,
            nodes=self.nodes,
            watches=self.watches,
            queue=self.queue,
            namespaces=self.namespaces,
            period_seconds=self.period_seconds,
            listed=self.listed,
            log=log,
        )
        task = asyncio.create_task(resync.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def wanted(self) -> dict[str, Cause]:
        """Return the keys that wait, and take them away."""
        found = {}
        while len(self.queue):
            key, cause = await self.queue.take()
            self.queue.done(key)
            found[str(key)] = cause
        return found


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


def test_the_first_lists() -> None:
    """Everything there is becomes known and is wanted; then, and not before, the process is ready."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        server.put(MISTRAL_DEPLOYMENTS, mdep("b", "elsewhere"))
        server.put(DEPLOYMENTS, child("a"))
        server.put(SERVICES, child("c", managed=False))
        server.put(PODS, child("a-1"))
        parts = Parts(server)
        assert not parts.listed.is_set()
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
            assert await parts.wanted() == {"ns/a": Cause.WATCHED, "elsewhere/b": Cause.WATCHED}
            assert list(parts.store.keys(SERVICES)) == []
            assert len(parts.store.pods_of(Key("ns", "a"))) == 1

    on_server(test, ApiServer(rules=RULES))


def test_many_pages() -> None:
    """No object is lost between two pages."""

    async def test(server: ApiServer) -> None:
        for number in range(1201):
            server.put(MISTRAL_DEPLOYMENTS, mdep(f"m{number}"))
        parts = Parts(server)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 30)
        assert len(await parts.wanted()) == 1201
        assert server.count("list", "mistraldeployments") == 3

    on_server(test, ApiServer(rules=RULES))


async def next_round(parts: Parts) -> dict[str, Cause]:
    """Return what the next round makes of what has changed meanwhile."""
    await parts.wanted()
    await asyncio.sleep(PERIOD * 1.1 + 0.2)
    return await parts.wanted()


@pytest.mark.parametrize(
    ("resource", "body"), [(MISTRAL_DEPLOYMENTS, mdep("a")), (DEPLOYMENTS, child("a")), (PODS, child("a-1"))]
)
@pytest.mark.parametrize("told", [False, True])
def test_what_the_watches_missed(resource: Resource, body: Body, told: bool) -> None:
    """A change that no watch told is found; one that was told is no work, nor is one that never was."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        server.put(resource, body)
        parts = Parts(server)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
            assert await next_round(parts) == {}
            changed = server.put(resource, body)
            if told:
                parts.store.watched(resource, changed, deleted=False)
            assert await next_round(parts) == ({} if told else {"ns/a": Cause.WATCHED})

    on_server(test, ApiServer(rules=RULES))


@pytest.mark.parametrize(
    ("resource", "body", "name"),
    [(MISTRAL_DEPLOYMENTS, mdep("a"), "a"), (DEPLOYMENTS, child("a"), "a"), (PODS, child("a-1"), "a-1")],
)
def test_what_vanished_without_a_word(resource: Resource, body: Body, name: str) -> None:
    """It is forgotten, and its owner is looked at, whatever the watches say."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        server.put(resource, body)
        parts = Parts(server)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
            server.remove(resource, "ns", name)
            assert await next_round(parts) == {"ns/a": Cause.DUE}
            assert parts.store.get(resource, Key("ns", name)) is None

    on_server(test, ApiServer(rules=RULES))


def test_what_went_before_the_watches_began() -> None:
    """No watch tells of it, and nobody takes that for a deaf one for the rest of a long period."""

    async def test(server: ApiServer) -> None:
        owner = server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        server.put(PODS, child("a-1"))
        parts = Parts(server, period_seconds=600)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
            parts.store.watched(MISTRAL_DEPLOYMENTS, owner, deleted=False)
            server.remove(PODS, "ns", "a-1")
            await parts.wanted()
            await asyncio.sleep(61)
            assert list(parts.store.untold(PODS)) == []
            assert await parts.wanted() == {"ns/a": Cause.DUE}
            assert server.count("list", "pods") == 1

    on_server(test, ApiServer(rules=RULES))


def test_what_came_while_the_list_was_under_way() -> None:
    """A list that does not show what a watch has told proves nothing: the object itself is looked for."""

    async def test(server: ApiServer) -> None:
        made = server.put(DEPLOYMENTS, child("a"))
        old = b'{"items": [], "metadata": {}}'
        server.faults.append(Fault("GET", 200, raw=old, plural="deployments"))
        parts = Parts(server)
        parts.store.watched(DEPLOYMENTS, made, deleted=False)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
        assert parts.store.get(DEPLOYMENTS, Key("ns", "a")) is not None
        assert server.count("get", "deployments") == 1

    on_server(test, ApiServer(rules=RULES))


def test_an_api_server_that_is_away() -> None:
    """It is asked again, less and less often, and the process is not ready before the lists are whole."""

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        fault = Fault("*", 503, times=float("inf"), plural="pods")
        server.faults.append(fault)
        parts = Parts(server)
        async with parts.running():
            await asyncio.sleep(100)
            assert not parts.listed.is_set()
            waits = [entry["again_seconds"] for entry in parts.told.entries]
            assert waits[:6] == [1, 2, 4, 8, 16, 30]
            assert max(waits) == 30
            fault.times = 0
            await asyncio.wait_for(parts.listed.wait(), 31)

    on_server(test, ApiServer(rules=RULES))


def test_namespaces() -> None:
    """An operator of some namespaces asks about no others, for which it has no right."""

    async def test(server: ApiServer) -> None:
        for namespace in ("one", "two", "three"):
            server.put(MISTRAL_DEPLOYMENTS, mdep("a", namespace))
        parts = Parts(server, ("one", "two"))
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
        assert (await parts.wanted()).keys() == {"one/a", "two/a"}
        asked = {request.place.namespace for request in server.requests if request.place.plural != "nodes"}
        assert asked == {"one", "two"}

    on_server(test, ApiServer(rules=RULES))


@pytest.mark.parametrize("readable", [False, True])
def test_nodes(readable: bool) -> None:
    """They are listed where they may be; a change of the GPUs there are wants every object to be looked at."""
    labels = {"nvidia.com/gpu.product": "NVIDIA-H200"}
    node: dict[str, Any] = {
        "metadata": {"name": "n", "labels": labels},
        "status": {"allocatable": {"nvidia.com/gpu": "8"}},
    }

    async def test(server: ApiServer) -> None:
        server.put(MISTRAL_DEPLOYMENTS, mdep("a"))
        parts = Parts(server, readable=readable)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
            server.put(NODES, node)
            assert await next_round(parts) == ({"ns/a": Cause.DUE} if readable else {})
        assert (server.count("list", "nodes") > 0) is readable

    on_server(test, ApiServer(rules=RULES if readable else operator_rules()))


def test_the_right_to_list_nodes_that_goes_and_comes_back() -> None:
    """The rest of each round goes on and GPUs stay known; it is said once each time, and nodes are listed again."""
    node: dict[str, Any] = {
        "metadata": {"name": "n", "labels": {"nvidia.com/gpu.product": "NVIDIA-H200"}},
        "status": {"allocatable": {"nvidia.com/gpu": "8"}},
    }

    async def test(server: ApiServer) -> None:
        server.put(NODES, node)
        parts = Parts(server)
        async with parts.running():
            await asyncio.wait_for(parts.listed.wait(), 5)
            for number in (1, 2):
                server.rules = operator_rules()
                for name in ("a", "b"):
                    server.put(MISTRAL_DEPLOYMENTS, mdep(f"{name}{number}"))
                    assert await next_round(parts) == {f"ns/{name}{number}": Cause.WATCHED}
                assert [gpu.product for gpu in parts.nodes.inventory.classes] == ["NVIDIA-H200"]
                warnings = [entry for entry in parts.told.entries if entry["log_level"] == "warning"]
                assert len(warnings) == number
                assert "grant the operator's ServiceAccount list and watch on nodes" in warnings[-1]["event"]
                server.rules = RULES
                server.put(NODES, node | {"status": {"allocatable": {"nvidia.com/gpu": str(number)}}})
                assert (await next_round(parts)).keys() >= {"ns/a1", "ns/b1"}
                assert [gpu.per_node for gpu in parts.nodes.inventory.classes] == [number]

    on_server(test, ApiServer(rules=RULES))
