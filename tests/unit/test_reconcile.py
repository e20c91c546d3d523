"""One pass over one object: what is written, what is said, and when it is looked at again."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devcluster.hub import Fault as HubFault
from devcluster.hub import HubServer, Kind
from mistral_operator.cluster.errors import ClusterError, ConflictError, RefusedError, UnreachableError
from mistral_operator.cluster.rbac import operator_rules
from mistral_operator.cluster.resources import DEPLOYMENTS, EVENTS, MISTRAL_DEPLOYMENTS, PODS, SERVICES
from mistral_operator.controller.crash_logs import CrashLogs
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.models import Models
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.reconcile import Reconciler
from mistral_operator.controller.settings import HubSettings, VerificationSettings
from mistral_operator.controller.store import Store
from mistral_operator.controller.tokens import API_KEY, Tokens
from mistral_operator.controller.verification import Verification
from mistral_operator.controller.workers import work
from unit.api_server import ApiServer, Body, Fault
from unit.logs import captured_log
from unit.planning_on_clusters import DEFAULTS

MODEL = "mistralai/Mistral-7B-v0.1"
NODE = {
    "metadata": {
        "name": "n",
        "labels": {
            "nvidia.com/gpu.product": "NVIDIA-H200",
            "nvidia.com/gpu.memory": "143771",
            "nvidia.com/gpu.compute.major": "9",
            "nvidia.com/gpu.compute.minor": "0",
        },
    },
    "status": {"allocatable": {"nvidia.com/gpu": "8"}},
}


@dataclass
class World:
    """An API server, a hub, and a reconciler between them."""

    server: ApiServer
    hub: HubServer
    store: Store
    reconciler: Reconciler
    metrics: Metrics
    log: Any
    told: Any

    def mdep(self, name: str = "m", model: str = MODEL, **fields: Any) -> Key:
        """Write a MistralDeployment."""
        metadata = {"namespace": "ns", "name": name, "generation": 1} | fields.pop("metadata", {})
        api = {"apiVersion": "mistral-operator.io/v1alpha1", "kind": "MistralDeployment"}
        body = {**api, "metadata": metadata, "spec": {"model": {"id": model}} | fields}
        self.server.put(MISTRAL_DEPLOYMENTS, body)
        return Key("ns", name)

    def status(self, key: Key) -> Body:
        """Return an object's status."""
        found = self.server.find(MISTRAL_DEPLOYMENTS, key.namespace, key.name)
        assert found is not None
        status: Body = found.get("status", {})
        return status

    def condition(self, key: Key, kind: str) -> tuple[str, str]:
        """Return a condition's status and reason."""
        (found,) = [one for one in self.status(key)["conditions"] if one["type"] == kind]
        return found["status"], found["reason"]

    def deployment(self, key: Key) -> Body:
        """Return an object's Deployment."""
        found = self.server.find(DEPLOYMENTS, key.namespace, key.name)
        assert found is not None
        return found

    def show(self) -> None:
        """Let the watches tell of everything there is."""
        for resource in (MISTRAL_DEPLOYMENTS, DEPLOYMENTS, SERVICES, PODS):
            for body in self.server.all(resource):
                self.store.watched(resource, body, deleted=False)

    def writes(self) -> list[str]:
        """Return what has been written since this was last called."""
        places = [one.place for one in self.server.requests if one.verb not in ("get", "list")]
        self.server.requests.clear()
        return ["/".join(part for part in (one.plural, one.subresource) if part) for one in places]


Test = Callable[[World], Awaitable[None]]
On = Callable[[Test], None]


@pytest.fixture
def on(tmp_path: Path) -> Iterator[On]:
    """Return what runs a test in a world of its own, with the operator's own rights."""
    with HubServer() as hub:

        async def run(test: Test) -> None:
            async with ApiServer(rules=operator_rules()) as server:
                clock, (log, told), metrics = asyncio.get_running_loop().time, captured_log(), Metrics()
                store, nodes = Store(), Nodes(readable=True)
                nodes.watched(NODE, deleted=False)
                cluster = await server.cluster()
                settings = HubSettings(cache_dir=tmp_path)
                with (
                    contextlib.closing(Models(Tokens(cluster, clock, 30), settings, hub.url, clock, metrics)) as models,
                    ThreadPoolExecutor(1) as threads,
                ):
                    reconciler = Reconciler(
                        cluster=cluster,
                        store=store,
                        models=models,
                        nodes=nodes,
                        verification=Verification(
                            cluster=cluster,
                            keys=Tokens(cluster, clock, 30, use=API_KEY),
                            store=store,
                            settings=VerificationSettings(),
                            want=lambda _: None,
                            clock=clock,
                            metrics=metrics,
                            log=log,
                        ),
                        crash_logs=CrashLogs(cluster, lambda _: None, clock, log),
                        defaults=DEFAULTS,
                        profiles=(),
                        identity="operator-1",
                        now=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC),
                        metrics=metrics,
                        log=log,
                        threads=threads,
                    )
                    await test(World(server, hub, store, reconciler, metrics, log, told))

        yield lambda test: asyncio.run(run(test))


def test_from_nothing(on: On) -> None:
    """Service, Deployment, one status; then nothing more, however often it is looked at."""

    async def test(world: World) -> None:
        key = world.mdep()
        assert world.reconciler.is_news(key)
        again = await world.reconciler.reconcile(key)
        assert again == pytest.approx(3600, abs=5)
        assert world.writes() == ["services", "deployments", "mistraldeployments/status"]
        assert world.condition(key, "BackendSelected")[0] == "True"
        world.show()
        assert not world.reconciler.is_news(key)
        await world.reconciler.reconcile(key)
        assert world.writes() == []
        (planned,) = [one for one in world.told.entries if one["event"] == "planned"]
        assert (planned["object"], planned["window"], planned["backends"]) == (
            "ns/m",
            4096,
            {"sliding_attention": "XFORMERS"},
        )

    on(test)


def test_an_object_as_new_as_a_watch_shows_it(on: On) -> None:
    """Nobody has handled it yet, so that it is not read again; later passes read it live."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.show()
        await world.reconciler.reconcile(key)
        assert world.server.count("get", "mistraldeployments") == 0
        assert world.writes() == ["services", "deployments", "mistraldeployments/status"]
        world.show()
        await world.reconciler.reconcile(key)
        assert world.server.count("get", "mistraldeployments") == 1
        assert world.writes() == []

    on(test)


def test_an_object_that_changed_after_a_watch_has_shown_it(on: On) -> None:
    """Nothing is claimed about what was not seen: the status is refused, and the next pass reads the object."""

    async def test(world: World) -> None:
        key = world.mdep(replicas=1)
        world.show()
        world.mdep(replicas=3)
        with pytest.raises(ConflictError):
            await world.reconciler.reconcile(key)
        assert world.status(key) == {}
        await world.reconciler.reconcile(key)
        assert world.deployment(key)["spec"]["replicas"] == 3
        assert world.condition(key, "BackendSelected")[0] == "True"

    on(test)


def test_an_object_that_went_after_a_watch_has_shown_it(on: On) -> None:
    """It is forgotten, as it would be had it been read before it went."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.show()
        world.server.remove(MISTRAL_DEPLOYMENTS, "ns", "m")
        assert await world.reconciler.reconcile(key) is None
        assert world.reconciler.is_news(key)

    on(test)


@pytest.mark.parametrize("watched", [False, True], ids=["children unseen", "children seen"])
def test_a_watch_that_lags_behind(on: On, watched: bool) -> None:
    """What somebody made of a newer object is never taken back for an older view of it, not even for a moment."""

    async def test(world: World) -> None:
        key = world.mdep(replicas=1)
        old = world.server.find(MISTRAL_DEPLOYMENTS, "ns", "m")
        assert old is not None
        world.mdep(replicas=3)
        await world.reconciler.reconcile(key)
        world.reconciler.reset()
        world.writes()
        if watched:
            world.show()
        world.store.watched(MISTRAL_DEPLOYMENTS, old, deleted=False)
        await world.reconciler.reconcile(key)
        applied = [one.body for one in world.server.requests if one.verb == "patch" and one.place.subresource is None]
        changing = [body for body in applied if body["metadata"].get("resourceVersion") != "1"]  # "1" can only create
        replicas = [body["spec"]["replicas"] for body in changing if body["kind"] == "Deployment"]
        assert replicas == [3]
        assert world.deployment(key)["spec"]["replicas"] == 3
        assert world.server.count("get", "mistraldeployments") == 1

    on(test)


def test_who_begins_to_lead_trusts_no_older_view(on: On) -> None:
    """What a watch has shown before that is read live."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.show()
        world.reconciler.reset()
        await world.reconciler.reconcile(key)
        assert world.server.count("get", "mistraldeployments") == 1

    on(test)


@pytest.mark.parametrize("metadata", [None, {"deletionTimestamp": "2026-11-24T12:00:00Z"}])
def test_an_object_that_goes(on: On, metadata: Body | None) -> None:
    """Gone, or on its way: nothing is written, for applying now would make children again; nothing is remembered."""

    async def test(world: World) -> None:
        key = world.mdep()
        await world.reconciler.reconcile(key)
        if metadata is None:
            world.server.remove(MISTRAL_DEPLOYMENTS, "ns", "m")
        else:
            world.mdep(metadata=metadata)
        world.writes()
        assert await world.reconciler.reconcile(key) is None
        assert world.writes() == []
        assert b'name="m"' not in world.metrics.text()
        assert world.reconciler.is_news(key)

    on(test)


@pytest.mark.parametrize(
    ("status", "message", "plural"),
    [
        pytest.param(403, "namespace ns is being terminated", "services", id="a namespace that goes"),
        pytest.param(403, "exceeded quota", "services", id="a quota"),
        pytest.param(500, "duplicate entries for key", "services", id="a wrong object"),
    ],
)
def test_a_child_that_is_refused(on: On, status: int, message: str, plural: str) -> None:
    """It is told once, tried again within a minute, and never in a loop."""

    async def test(world: World) -> None:
        key = world.mdep()
        for _ in range(3):
            world.server.faults.append(Fault("PATCH", status, message, plural=plural))
            again = await world.reconciler.reconcile(key)
            assert again is not None
            assert 30 <= again <= 60
            world.show()
        assert world.condition(key, "Ready") == ("False", "ChildRefused")
        assert world.writes().count("mistraldeployments/status") == 1
        await world.reconciler.reconcile(key)
        assert world.condition(key, "Ready")[1] != "ChildRefused"

    on(test)


def test_a_stranger_goes(on: On) -> None:
    """Strangers are not watched: the object looks again within a minute, and heals when the name is free."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.server.put(SERVICES, {"metadata": {"namespace": "ns", "name": "m"}, "spec": {}})
        again = await world.reconciler.reconcile(key)
        assert again is not None
        assert again <= 60
        assert world.condition(key, "Ready") == ("False", "ChildNotOwned")
        world.server.remove(SERVICES, "ns", "m")
        await world.reconciler.reconcile(key)
        assert world.server.find(DEPLOYMENTS, "ns", "m") is not None

    on(test)


def test_somebody_is_faster(on: On) -> None:
    """A status of an older look is not written; the next pass looks anew."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.server.faults.append(Fault("PATCH", 409, "the object has been modified", plural="mistraldeployments"))
        with pytest.raises(ConflictError):
            await world.reconciler.reconcile(key)
        assert world.status(key) == {}
        await world.reconciler.reconcile(key)
        assert world.status(key)["observedGeneration"] == 1

    on(test)


def test_an_api_server_that_is_ill(on: On) -> None:
    """Nothing is said of the object: it is tried again."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.server.faults.append(Fault("PATCH", 503, plural="deployments"))
        with pytest.raises(UnreachableError):
            await world.reconciler.reconcile(key)
        assert world.status(key) == {}

    on(test)


def test_an_event_that_is_lost(on: On) -> None:
    """It costs no more than itself, and the log has it."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.hub.faults[MODEL] = HubFault(Kind.GATED)
        world.server.faults.append(Fault("POST", 403, "no", plural="events"))
        await world.reconciler.reconcile(key)
        assert world.condition(key, "ModelResolved") == ("False", "Gated")
        (lost,) = [one for one in world.told.entries if one["event"] == "an Event was lost"]
        assert (lost["object"], lost["reason"]) == ("ns/m", "Gated")

    on(test)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("PATCH", 409, "modified", plural="mistraldeployments"), id="the status was not written"),
        pytest.param(Fault("PATCH", 503, plural="mistraldeployments", after=True), id="it was, and the end came"),
        pytest.param(Fault("POST", 503, plural="events", after=True), id="the Event was, and its answer is lost"),
    ],
)
def test_one_event_for_a_transition(on: On, fault: Fault) -> None:
    """Whenever a pass breaks off: neither none nor two."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.hub.faults[MODEL] = HubFault(Kind.GATED)
        world.server.faults.append(fault)
        with contextlib.suppress(ClusterError):
            await world.reconciler.reconcile(key)
        for _ in range(2):
            await world.reconciler.reconcile(key)
        assert world.condition(key, "ModelResolved") == ("False", "Gated")
        assert [one["reason"] for one in world.server.all(EVENTS) if one["action"] == "ModelResolved"] == ["Gated"]

    on(test)


def test_bad_objects_stop_no_good_ones(on: On) -> None:
    """Specs that mean nothing, models that are not there, children that are refused: all others are served."""

    async def test(world: World) -> None:
        bad = [
            world.mdep("no-spec", engine={"maxModelLen": "many"}),
            world.mdep("no-model", "mistralai/never-was"),
            world.mdep("no-backend", engine={"attentionBackend": "CPU_ATTN"}),
            world.mdep("taken"),
            world.mdep("broken"),
        ]
        world.server.put(SERVICES, {"metadata": {"namespace": "ns", "name": "taken"}, "spec": {}})
        # what no release of this operator wrote, and no code expects
        world.server.put(
            MISTRAL_DEPLOYMENTS, {"metadata": {"namespace": "ns", "name": "broken", "generation": "one"}, "spec": {}}
        )
        good = [world.mdep(f"good-{number}") for number in range(10)]
        queue = WorkQueue(asyncio.get_running_loop().time)
        for key in (*bad, *good):
            queue.add(key, Cause.DUE)
        working = asyncio.create_task(work(queue, world.reconciler, world.metrics, world.log, workers=4))
        async with asyncio.timeout(30):
            while not all(world.status(key) for key in (*bad[:4], *good)):
                await asyncio.sleep(0.01)
        for key in good:
            assert world.server.find(DEPLOYMENTS, key.namespace, key.name) is not None
        assert [world.condition(key, "Ready")[0] for key in bad[:4]] == ["False"] * 4
        assert [one for one in world.told.entries if "a fault in the operator" in one["event"]]
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    on(test)


@pytest.mark.parametrize("missing", ["events", "horizontalpodautoscalers"])
def test_a_right_that_is_missing(on: On, missing: str) -> None:
    """Who has forgotten to grant a new one gets a status all the same, and the operator's log names the right."""

    async def test(world: World) -> None:
        world.server.rules = [
            rule for rule in operator_rules() if (missing, "list") != (*rule["resources"], *rule["verbs"])
        ]
        key = world.mdep()
        await world.reconciler.reconcile(key)
        deployment = world.server.find(DEPLOYMENTS, "ns", "m") or {}
        world.server.put(DEPLOYMENTS, {**deployment, "spec": {**deployment["spec"], "replicas": 5}})
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        metadata = {"namespace": "ns", "name": "m-1", "labels": labels, "creationTimestamp": "2026-11-24T11:59:00Z"}
        world.server.put(PODS, {"metadata": metadata, "spec": {"nodeName": "n"}, "status": {}})
        world.show()
        await world.reconciler.reconcile(key)
        assert world.status(key)["replicas"] == 1
        (told,) = [one for one in world.told.entries if one["log_level"] == "warning"]
        assert missing in told["error"]

    on(test)


def test_pods_of_the_plan_keep_it(on: On) -> None:
    """A pod that got a node makes the plan stand, also when its object has been written by nobody since."""

    async def test(world: World) -> None:
        key = world.mdep()
        await world.reconciler.reconcile(key)
        template = world.server.find(DEPLOYMENTS, "ns", "m") or {}
        annotations = template["spec"]["template"]["metadata"]["annotations"]
        labels = template["spec"]["template"]["metadata"]["labels"]
        metadata = {"namespace": "ns", "name": "m-1", "labels": labels, "annotations": annotations}
        metadata["creationTimestamp"] = "2026-11-24T12:00:00Z"
        world.server.put(PODS, {"metadata": metadata, "spec": {"nodeName": "n"}, "status": {}})
        world.show()
        assert world.reconciler.is_news(key)
        await world.reconciler.reconcile(key)
        assert world.status(key)["resolved"]["scheduled"] is True

    on(test)


def test_a_status_that_is_refused(on: On) -> None:
    """A smaller one goes out in its place, once, with the API server's words; the plan that stood still stands."""

    async def test(world: World) -> None:
        key = world.mdep()
        await world.reconciler.reconcile(key)
        before = world.status(key)
        world.server.put(PODS, waiting_pod("no 🔥"))
        world.server.put(DEPLOYMENTS, {**deployment_of(world), "status": {"availableReplicas": 0}})
        world.show()
        world.writes()
        for _ in range(3):
            world.server.faults.append(Fault("PATCH", 400, "yaml: no 🔥 hf_abcdefgh12", plural="mistraldeployments"))
            with pytest.raises(RefusedError, match="no 🔥"):
                await world.reconciler.reconcile(key)
            assert world.condition(key, "Ready") == ("False", "StatusRefused")
        # refused and smaller, then refused alone: the smaller one stands
        assert world.writes().count("mistraldeployments/status") == 2 + 1 + 1
        assert [one["reason"] for one in world.server.all(EVENTS)].count("StatusRefused") == 1
        assert world.condition(key, "Available") == ("False", "ContainerConfigInvalid")
        assert world.status(key)["resolved"] == before["resolved"]
        assert world.status(key)["attention"] == before["attention"]
        ready = next(one["message"] for one in world.status(key)["conditions"] if one["type"] == "Ready")
        assert "(yaml: no \\U0001f525 hf_…)" in ready
        assert b'mistral_operator_condition{name="m",namespace="ns",type="Ready"} 0.0' in world.metrics.text()
        await world.reconciler.reconcile(key)
        assert world.condition(key, "Ready") == ("False", "ContainerConfigInvalid")

    on(test)


def test_a_status_of_which_nothing_is_taken(on: On) -> None:
    """An Event tells it, once for each cause; and again only when a status stood in between."""

    async def test(world: World) -> None:
        key = world.mdep()
        for _ in range(3):
            world.server.faults.append(Fault("PATCH", 422, "too long", times=2, plural="mistraldeployments"))
            with pytest.raises(RefusedError):
                await world.reconciler.reconcile(key)
        assert world.status(key) == {}
        (event,) = [one for one in world.server.all(EVENTS) if one["reason"] == "StatusRefused"]
        assert "(too long)" in event["note"]
        await world.reconciler.reconcile(key)
        assert world.condition(key, "ModelResolved")[0] == "True"

    on(test)


def test_a_fault_of_the_operator(on: On) -> None:
    """It stands in the status once, with an Event; what is written is no more with each retry, and it heals."""

    async def test(world: World) -> None:
        key = world.mdep()
        await world.reconciler.reconcile(key)
        sound = deployment_of(world)
        # what no API server writes, and no code expects
        world.server.put(DEPLOYMENTS, {**sound, "status": {"availableReplicas": "many hf_abcdefgh12"}})
        world.show()
        world.writes()
        queue = WorkQueue(asyncio.get_running_loop().time)
        queue.add(key, Cause.DUE)
        working = asyncio.create_task(work(queue, world.reconciler, world.metrics, world.log, workers=1))
        async with asyncio.timeout(30):
            while sum("a fault in the operator" in one["event"] for one in world.told.entries) < 3:
                await asyncio.sleep(0.01)
        assert world.condition(key, "Ready") == ("False", "OperatorFault")
        ready = next(one["message"] for one in world.status(key)["conditions"] if one["type"] == "Ready")
        assert "(ValueError: invalid literal for int() with base 10: 'many hf_…')" in ready
        assert world.status(key)["phase"] == "Failed"
        assert world.writes().count("mistraldeployments/status") == 1
        (event,) = [one for one in world.server.all(EVENTS) if one["reason"] == "OperatorFault"]
        assert event["type"] == "Warning"
        world.server.put(DEPLOYMENTS, sound)
        world.show()
        async with asyncio.timeout(30):
            while world.condition(key, "Ready")[1] == "OperatorFault":
                await asyncio.sleep(0.01)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    on(test)


def test_a_namespace_that_goes(on: On) -> None:
    """No child can be made in it, nor an Event: nobody is warned, for all of it goes the same way."""

    async def test(world: World) -> None:
        key = world.mdep()
        world.hub.faults[MODEL] = HubFault(Kind.GATED)
        gone = terminating("ns")
        world.server.faults += [Fault("POST", 403, raw=gone, times=9), Fault("PATCH", 403, raw=gone, plural="services")]
        await world.reconciler.reconcile(key)
        del world.hub.faults[MODEL]
        await world.reconciler.reconcile(key)
        assert world.condition(key, "Ready")[1] != "ChildRefused"
        assert {one["log_level"] for one in world.told.entries} <= {"debug", "info"}
        assert [one for one in world.told.entries if one["event"] == "an Event has no namespace any more"]

    on(test)


def deployment_of(world: World) -> Body:
    """Return the object's Deployment as it stands."""
    (found,) = world.server.all(DEPLOYMENTS)
    return found


def waiting_pod(words: str) -> Body:
    """Return a pod of the object that the kubelet cannot start, for this reason."""
    waiting = {"reason": "CreateContainerConfigError", "message": words}
    labels = {"app.kubernetes.io/managed-by": "mistral-operator", "app.kubernetes.io/instance": "m"}
    return {
        "metadata": {
            "namespace": "ns",
            "name": "m-1",
            "labels": {**labels, "app.kubernetes.io/name": "mistral-deployment"},
            "creationTimestamp": "2026-11-24T11:00:00Z",
        },
        "spec": {"nodeName": "n"},
        "status": {"containerStatuses": [{"name": "vllm", "ready": False, "state": {"waiting": waiting}}]},
    }


def terminating(namespace: str) -> bytes:
    """Return the API server's answer to whoever creates something in a namespace that is being deleted (1.37)."""
    message = f"unable to create new content in namespace {namespace} because it is being terminated"
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    return json.dumps(
        {"kind": "Status", "status": "Failure", "message": message, "details": {"causes": [cause]}, "code": 403}
    ).encode()
