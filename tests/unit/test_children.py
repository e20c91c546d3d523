"""Children are applied when they must be and not more often, and nobody else's object is ever touched."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.cluster.errors import ConflictError, UnreachableError
from mistral_operator.cluster.rbac import operator_rules
from mistral_operator.cluster.resources import CHILDREN, DEPLOYMENTS, PVCS, SERVICES, Resource
from mistral_operator.controller.children import Children, Synced
from mistral_operator.controller.keys import Key
from mistral_operator.controller.store import Store
from mistral_operator.rendering.children import render_children
from mistral_operator.rendering.owner import Manifest, Owner
from mistral_operator.status.diagnosis.finding import part
from unit.api_server import ApiServer, Body, Fault
from unit.planning_on_clusters import spec
from unit.rendering_from_specs import planned

OWNER = Owner("m", "ns", "uid-of-m")
KEY = Key("ns", "m")
KINDS = [PVCS, SERVICES, DEPLOYMENTS]
OURS = {"apiVersion": "mistral-operator.io/v1alpha1", "kind": "MistralDeployment", "name": "m", "controller": True}


@dataclass
class World:
    """An API server, the store, and the children of one object."""

    server: ApiServer
    store: Store
    children: Children

    async def sync(self, **fields: Any) -> Synced:
        """Bring the children to what a spec wants."""
        return await self.children.sync(KEY, "uid-of-m", manifests(**fields))

    def show(self, *resources: Resource) -> None:
        """Let the watches tell of what the server has."""
        for resource in resources or KINDS:
            self.store.watched(resource, self.there(resource), deleted=False)

    def there(self, resource: Resource) -> Body:
        """Return the child of a kind that the server has."""
        found = self.server.find(resource, "ns", "m")
        assert found is not None
        return found

    def writes(self) -> list[tuple[str, str]]:
        """Return what has been written since this was last called."""
        verbs = {"create", "update", "patch", "delete"}
        written = [(one.verb, one.place.plural) for one in self.server.requests if one.verb in verbs]
        self.server.requests.clear()
        return written


def manifests(**fields: Any) -> tuple[Manifest, ...]:
    """Return what is wanted: a claim, a Service and a Deployment."""
    wanted = spec(**({"storage": {"pvc": {"create": {"size": "20Gi"}}}} | fields))
    return render_children(OWNER, wanted, planned(wanted))


def in_world(test: Callable[[World], Awaitable[None]]) -> None:
    """Run a test, with the operator's own rights."""

    async def main() -> None:
        async with ApiServer(rules=operator_rules()) as server:
            store = Store()
            await test(World(server, store, Children(await server.cluster(), store)))

    asyncio.run(main())


def test_they_are_made_in_order() -> None:
    """What pods need comes before them; the API server's answers are what is known of them."""

    async def test(world: World) -> None:
        synced = await world.sync()
        assert world.writes() == [("patch", kind.plural) for kind in KINDS]
        assert synced.trouble is None
        assert synced.bodies == {kind.kind: world.there(kind) for kind in KINDS}

    in_world(test)


@pytest.mark.parametrize("shown", [True, False])
def test_what_is_as_it_was_left_is_not_applied(shown: bool) -> None:
    """The intent is the last one and the watches show our own last word: nothing to do. Not shown yet: once more."""

    async def test(world: World) -> None:
        await world.sync()
        if shown:
            world.show()
        world.writes()
        synced = await world.sync()
        assert world.writes() == ([] if shown else [("patch", kind.plural) for kind in KINDS for _ in range(2)])
        assert synced.bodies.keys() == CHILDREN.keys()

    in_world(test)


@pytest.mark.parametrize(
    ("change", "fields", "written"),
    [
        pytest.param("intent", {"replicas": 3}, ["deployments"], id="another intent"),
        pytest.param("edited", {}, ["services"], id="somebody has changed it"),
        pytest.param(
            "reset", {}, ["persistentvolumeclaims", "services", "deployments"], id="another has led meanwhile"
        ),
    ],
)
def test_what_is_applied_again(change: str, fields: dict[str, Any], written: list[str]) -> None:
    """Each child for itself, by force, since it is known to be ours."""

    async def test(world: World) -> None:
        await world.sync()
        if change == "edited":
            world.server.put(SERVICES, {**world.there(SERVICES), "spec": {"selector": {"app": "other"}}})
        world.show()
        if change == "reset":
            world.children.reset()
        world.server.requests.clear()
        await world.sync(**fields)
        assert all(one.query["force"] == "true" for one in world.server.requests)
        assert world.writes() == [("patch", plural) for plural in written]

    in_world(test)


@pytest.mark.parametrize("successor", [None, "a stranger's", "ours"])
def test_a_child_that_is_not_the_one_the_watches_show(successor: str | None) -> None:
    """Deleted behind the watches' back: made anew, left to whoever has the name now, or taken as it is."""

    async def test(world: World) -> None:
        await world.sync()
        world.show()
        world.server.remove(SERVICES, "ns", "m")
        if successor is not None:
            references = {"ownerReferences": [OURS | {"uid": "uid-of-m"}]} if successor == "ours" else {}
            metadata = {"namespace": "ns", "name": "m", "uid": "another", **references}
            taken = world.server.put(SERVICES, {"metadata": metadata, "spec": {}})
        world.children.reset()
        synced = await world.sync()
        there = world.there(SERVICES)
        if successor == "a stranger's":
            assert synced.trouble is not None
            assert there == taken
        else:
            assert synced.trouble is None
            assert there["spec"]["ports"]
            assert (there["metadata"]["uid"] == "another") == (successor == "ours")

    in_world(test)


def test_a_predecessors_child_is_waited_for() -> None:
    """The garbage collector removes it: until then it is tried again, and neither taken over nor complained about."""

    async def test(world: World) -> None:
        metadata = {"namespace": "ns", "name": "m", "ownerReferences": [OURS | {"uid": "uid-of-a-predecessor"}]}
        left = world.server.put(SERVICES, {"metadata": metadata, "spec": {}})
        with pytest.raises(ConflictError):
            await world.sync()
        assert world.server.find(SERVICES, "ns", "m") == left
        world.server.remove(SERVICES, "ns", "m")
        assert (await world.sync()).trouble is None

    in_world(test)


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize(
    "references",
    [None, [{"kind": "ReplicaSet", "uid": "x", "controller": True}]],
    ids=["nobody's", "another controller's"],
)
@pytest.mark.parametrize("shown", [True, False])
def test_strangers(position: int, references: Any, shown: bool) -> None:
    """It is told by kind and name, left exactly as it is, and nothing after it is applied."""

    async def test(world: World) -> None:
        resource = KINDS[position]
        metadata = {"namespace": "ns", "name": "m"} | ({"ownerReferences": references} if references else {})
        stranger = world.server.put(resource, {"metadata": metadata, "spec": {"replicas": 1}})
        if shown:
            world.show(resource)
        synced = await world.sync()
        assert synced.trouble is not None
        assert (synced.trouble.is_false, synced.trouble.reason) == (True, Reason.CHILD_NOT_OWNED)
        assert synced.trouble.message.startswith(f"{resource.kind} ns/m exists and is not controlled by this object")
        assert world.server.find(resource, "ns", "m") == stranger
        assert [kind for kind in KINDS if world.server.find(kind, "ns", "m") is not None] == KINDS[: position + 1]
        assert not [one for one in world.server.requests if one.query.get("force") == "true"]

    in_world(test)


def test_ours_that_the_watches_do_not_show_yet() -> None:
    """After a start they may be behind: what is there and ours is found out, and applied."""

    async def test(world: World) -> None:
        await world.sync()
        fresh = Store()
        again = World(world.server, fresh, Children(await world.server.cluster(), fresh))
        synced = await again.sync(replicas=5)
        assert synced.trouble is None
        assert world.there(DEPLOYMENTS)["spec"]["replicas"] == 5

    in_world(test)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(403, "exceeded quota: none", id="a quota"),
        pytest.param(403, "namespace ns is being terminated", id="a namespace that goes"),
        pytest.param(422, "spec.x: Invalid value", id="a wrong object"),
        pytest.param(500, 'duplicate entries for key [name="A"]', id="a wrong object that looks like an ill server"),
    ],
)
def test_what_the_api_server_refuses(status: int, message: str) -> None:
    """It is told in the server's own words, is no reason for haste, and stops what comes after it."""

    async def test(world: World) -> None:
        world.server.faults.append(Fault("PATCH", status, message, times=2))
        synced = await world.sync()
        assert synced.trouble is not None
        assert synced.trouble.reason == Reason.CHILD_REFUSED
        told, step = part(synced.trouble.message)
        assert told == f"the API server refuses PersistentVolumeClaim ns/m: {message}"
        assert "correct the field of spec that is named, or lift what refuses it" in step
        assert world.server.find(DEPLOYMENTS, "ns", "m") is None

    in_world(test)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_server_that_is_ill(status: int) -> None:
    """Nothing is said of the object: it is tried again."""

    async def test(world: World) -> None:
        world.server.faults.append(Fault("PATCH", status))
        with pytest.raises(UnreachableError):
            await world.sync()

    in_world(test)


@pytest.mark.parametrize(
    ("child", "prunable", "pruned"),
    [
        pytest.param({}, ("PersistentVolumeClaim",), True, id="ours, and not wanted any more"),
        pytest.param({}, (), False, id="of a kind that is never pruned"),
        pytest.param({"ownerReferences": [OURS | {"uid": "x"}]}, ("PersistentVolumeClaim",), False, id="a stranger's"),
        pytest.param({"ownerReferences": []}, ("PersistentVolumeClaim",), False, id="nobody's"),
        pytest.param({"deletionTimestamp": "t"}, ("PersistentVolumeClaim",), False, id="on its way already"),
    ],
)
def test_pruning(child: dict[str, Any], prunable: tuple[str, ...], pruned: bool) -> None:
    """Only what is ours, of a kind that may be pruned, and that very object."""

    async def test(world: World) -> None:
        await world.sync()
        claim = world.there(PVCS)
        world.server.put(PVCS, {**claim, "metadata": {**claim["metadata"], **child}})
        world.show()
        world.writes()
        wanted = manifests(storage=None)
        await world.children.prune(KEY, "uid-of-m", wanted, prunable)
        assert world.writes() == ([("delete", "persistentvolumeclaims")] if pruned else [])
        assert (world.server.find(PVCS, "ns", "m") is None) is pruned

    in_world(test)


@pytest.mark.parametrize("status", [403, 422])
def test_a_child_that_may_not_be_deleted(status: int) -> None:
    """A policy that keeps it is told, and keeps nothing else from being told."""

    async def test(world: World) -> None:
        await world.sync()
        world.show()
        world.server.faults.append(Fault("DELETE", status, "claims are kept here"))
        trouble = await world.children.prune(KEY, "uid-of-m", manifests(storage=None), ["PersistentVolumeClaim"])
        assert trouble is not None
        assert trouble.reason == Reason.CHILD_REFUSED
        told, step = part(trouble.message)
        assert told == "the API server refuses to delete PersistentVolumeClaim ns/m: claims are kept here"
        assert step
        assert await world.children.prune(KEY, "uid-of-m", manifests(storage=None), ["PersistentVolumeClaim"]) is None

    in_world(test)


def test_nothing_is_remembered_of_who_is_gone() -> None:
    """Objects that come and go leave nothing."""

    async def test(world: World) -> None:
        def remembered() -> list[object]:
            return [value for value in vars(world.children).values() if isinstance(value, dict) and value]

        await world.sync()
        assert remembered()
        world.children.forget(KEY)
        assert not remembered()

    in_world(test)
