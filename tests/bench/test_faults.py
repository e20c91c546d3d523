"""The parts of the fault harness: what it compares, what it counts, and what its proxy does to requests and events."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bench.faults.history import Change, History
from bench.faults.planted_bugs import PLANTED
from bench.faults.points import Extent, Pattern, points_of
from bench.faults.proxy import Proxy, selects
from bench.faults.requests import Request
from bench.faults.run import chains_of
from bench.faults.scenarios import SCENARIOS
from bench.faults.state import differences, state_of
from bench.faults.told import wrong_events
from mistral_operator.api.names import API_VERSION

LABELS = {"app.kubernetes.io/managed-by": "mistral-operator"}
PODS = "/api/v1/namespaces/n/pods"
IDENTITY = "operator-1"


def body(kind: str, version: int, name: str = "m", **fields: Any) -> dict[str, Any]:
    """Return an object."""
    metadata = {"name": name, "namespace": "n", "uid": f"uid-of-{name}", "resourceVersion": str(version)}
    return {"kind": kind, "metadata": {**metadata, "labels": LABELS}, "spec": {}, **fields}


def history_of(*changes: Change) -> History:
    """Return a history."""
    history = History()
    for change in changes:
        history.add(change)
    return history


def put(kind: str, version: int, name: str = "m", **fields: Any) -> Change:
    """Return a write."""
    return Change(version, kind, deleted=False, body=body(kind, version, name, **fields))


@pytest.mark.parametrize(
    ("method", "target", "text"),
    [
        ("GET", "/apis/apps/v1/namespaces/n/deployments?limit=500", "LIST deployments"),
        ("GET", "/api/v1/namespaces/n/pods?watch=true&resourceVersion=7", "WATCH pods"),
        ("GET", "/api/v1/namespaces/n/pods/p/log?tailLines=9", "GET pods/p/log"),
        ("GET", "/api/v1/nodes", "LIST nodes"),
        ("GET", "/apis/mistral-operator.io/v1alpha1", "GET discovery"),
        ("PATCH", f"/apis/{API_VERSION}/namespaces/n/mistraldeployments/m/status", "PATCH mistraldeployments/m/status"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", "POST events"),
    ],
)  # fmt: skip
def test_requests_are_read_from_their_addresses(method: str, target: str, text: str) -> None:
    """Lists, watches, gets and writes are told apart, with the resource that they are about."""
    assert str(Request.parse(method, target)) == text


def test_a_view_is_what_it_was_so_many_events_ago() -> None:
    """Events of all kinds count in the order of the store, whichever watch was first; strangers' objects do not."""
    stranger = Change(12, "Service", deleted=False, body={"metadata": {"name": "s", "resourceVersion": "12"}})
    gone = Change(14, "Pod", deleted=True, body=body("Pod", 14))
    history = history_of(gone, put("Pod", 11), put("MistralDeployment", 10), stranger, put("Pod", 13, "other"))
    assert history.viewed_versions() == [10, 11, 13, 14]
    assert [list(history.state("Pod", history.version_before(events))) for events in (1, 2, 3, 4)] == [
        ["m", "other"],
        ["m"],
        [],
        [],
    ]
    assert list(history.state("Pod")) == ["other"]
    assert history.version_before(9) == 0  # older than everything


def test_states_are_compared_without_what_differs_from_run_to_run() -> None:
    """Uids, versions and times are left out; whose a child is, and whether it is still the same one, are not."""

    def state(uid: str, version: int, owner: str, replicas: int) -> dict[str, Any]:
        reference = [{"kind": "MistralDeployment", "name": "m", "uid": owner}]
        deployment = body("Deployment", version, spec={"replicas": replicas, "host": "m.n.svc"})
        deployment["metadata"] |= {"uid": uid, "ownerReferences": reference}
        history = history_of(
            put("MistralDeployment", version, status={"at": {"lastTransitionTime": str(version)}}),
            Change(version, "Deployment", deleted=False, body=deployment),
        )
        return state_of(history, "n", {"Deployment/m": "uid-1"})

    before = state("uid-1", 1, "uid-of-m", 1)
    assert list(differences(before, state("uid-1", 2, "uid-of-m", 1))) == []
    assert list(differences(before, state("uid-1", 2, "uid-of-m", 3))) == ["Deployment/m.spec.replicas: 3 instead of 1"]
    (adopted,) = differences(before, state("uid-1", 2, "uid-of-another", 1))
    assert adopted.startswith("Deployment/m.ownerReferences[m].owner: uid of somebody else")
    assert list(differences(before, state("uid-2", 2, "uid-of-m", 1))) == [
        "the same as before.Deployment/m: False instead of True"
    ]


def status(version: int, status: str, reason: str) -> Change:
    """Return a write of a status with one condition."""
    condition = {"type": "Available", "status": status, "reason": reason, "message": ""}
    times = {"observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return put("MistralDeployment", version, status={"conditions": [condition | times]})


def event(version: int, instance: str = IDENTITY) -> Change:
    """Return an Event that tells that no pod is available."""
    said = {"type": "Warning", "reason": "NoPodAvailable", "action": "Available", "reportingInstance": instance}
    return put("Event", version, f"e{version}", regarding={"kind": "MistralDeployment", "uid": "uid-of-m"}, **said)


GOOD, BAD = status(10, "True", "PodsAvailable"), status(20, "False", "NoPodAvailable")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        pytest.param([GOOD], [], id="good news at first is no Event"),
        pytest.param([GOOD, event(15), BAD], [], id="told before the status"),
        pytest.param([GOOD, BAD], ["Event lost: Available/NoPodAvailable"], id="not told"),
        pytest.param([GOOD, event(15), event(16), BAD], ["Event told 2 times: Available/NoPodAvailable"], id="twice"),
        pytest.param([GOOD, event(15), BAD, event(25)], ["Event of no step: Available/NoPodAvailable"], id="again"),
        pytest.param([GOOD, event(15, "dead")], [], id="told by one that died before it wrote the status"),
        pytest.param([GOOD, event(15)], ["Event of no step: Available/NoPodAvailable"], id="told of nothing"),
        pytest.param(
            [GOOD, event(15, "dead"), event(16), BAD],
            ["Event told 2 times: Available/NoPodAvailable"],
            id="told again by the one that came after",
        ),
    ],
)
def test_each_step_has_one_event(changes: list[Change], wrong: list[str]) -> None:
    """One that is missing, one that is there twice, and one of what never stood are found."""
    assert list(wrong_events(history_of(*changes), {"dead"})) == wrong


def test_points_are_exhaustive() -> None:
    """Each request is struck before and after, of a running operator and of one that starts; each event twice over."""
    for replicas, requests in ((1, 3 + 5), (2, 3)):
        points = list(points_of("scale", replicas, Extent(requests=3, requests_of_start=5, view=7, events=2)))
        counts = {pattern: sum(point.pattern is pattern for point in points) for pattern in Pattern}
        assert counts == {Pattern.KILLED: 2 * requests, Pattern.STALE: 7, Pattern.MISSED: 2}
        assert len({str(point) for point in points}) == len(points)


def test_stale_views_run_one_after_another() -> None:
    """Each leaves everything as it was; whatever else is disturbed has a namespace of its own."""
    points = list(points_of("scale", 1, Extent(requests=1, requests_of_start=1, view=7, events=2)))
    chains = list(chains_of(points))
    assert [point for chain in chains for point in chain] == points
    assert [len(chain) for chain in chains] == [1, 1, 1, 1, 6, 1, 1, 1]


def test_each_pattern_has_three_planted_bugs_of_scenarios_that_there_are() -> None:
    """The proof that the harness can fail covers all three patterns."""
    names = {scenario.name for scenario in SCENARIOS}
    assert sorted(bug.pattern for bug in PLANTED.values()) == sorted(3 * tuple(Pattern))
    assert {bug.scenario for bug in PLANTED.values()} <= names


def test_selectors() -> None:
    """The view that is made stale keeps to the selector of the request."""
    assert selects("a=b,c==d", {"a": "b", "c": "d"})
    assert not selects("a=b", {"a": "c"})
    assert selects(None, {})


Do = Callable[[Proxy, aiohttp.ClientSession, list[str], list[str]], Awaitable[None]]


def through_a_proxy(do: Do, events: tuple[int, ...] = ()) -> None:
    """Run something with a proxy before an upstream that answers everything, and say what was killed and arrived."""
    arrived: list[str] = []
    killed: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        arrived.append(f"{request.method} {request.path}")
        if "watch" not in request.query:
            return web.json_response({"items": [], "metadata": {"resourceVersion": "20"}})
        stream = web.StreamResponse()
        await stream.prepare(request)
        for version in events:
            event = {"type": "MODIFIED", "object": body("Pod", version)}
            await stream.write(json.dumps(event).encode() + b"\n")
        return stream

    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        history = history_of(*(put("Pod", version) for version in events))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as upstream:
            proxy = Proxy(upstream, history, IDENTITY, asyncio.Event())
            url = await proxy.start()
            proxy.begin(lambda: killed.append("killed"))
            async with aiohttp.ClientSession(url) as session, asyncio.timeout(10):
                await do(proxy, session, killed, arrived)
            await proxy.stop()
        await runner.cleanup()

    asyncio.run(run())


@pytest.mark.parametrize(("after", "reach_upstream"), [(False, 1), (True, 2)])
def test_kills_before_a_request_is_sent_and_after_it_is_answered(*, after: bool, reach_upstream: int) -> None:
    """The operator never sees the answer; the API server has seen the request in one case and not in the other."""

    async def do(proxy: Proxy, session: aiohttp.ClientSession, killed: list[str], arrived: list[str]) -> None:
        proxy.kill_at = (2, after)
        async with session.get(f"{PODS}/a") as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await session.post(PODS, json={})
        assert proxy.struck
        assert killed == ["killed"]
        assert proxy.trace == ["GET pods/a", "POST pods"]
        with pytest.raises(aiohttp.ClientError):
            await session.get(PODS)
        assert len(arrived) == reach_upstream

    through_a_proxy(do)


def test_renewals_of_the_lease_have_no_numbers() -> None:
    """They come by the clock: a kill at one would be a kill at any moment."""
    leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases"

    async def do(proxy: Proxy, session: aiohttp.ClientSession, _: list[str], __: list[str]) -> None:
        await session.post(leases, json={"spec": {"holderIdentity": IDENTITY}})
        assert proxy.leading
        await session.put(f"{leases}/l", json={"spec": {"holderIdentity": IDENTITY}})
        assert proxy.trace == ["POST leases"]
        await session.put(f"{leases}/l", json={"spec": {"holderIdentity": ""}})
        assert not proxy.leading

    through_a_proxy(do)


def test_drops_one_event_of_a_watch() -> None:
    """The others arrive as they were sent."""

    async def do(proxy: Proxy, session: aiohttp.ClientSession, _: list[str], __: list[str]) -> None:
        proxy.drop_at = 2
        async with session.get(PODS, params={"watch": "1"}) as response:
            versions = [json.loads(line)["object"]["metadata"]["resourceVersion"] async for line in response.content]
        assert versions == ["5", "7"]
        assert proxy.struck

    through_a_proxy(do, events=(5, 6, 7))


def test_holds_a_view_back_until_it_may_catch_up() -> None:
    """Lists are those of then, watches stand still there, and a get shows what is."""

    async def do(proxy: Proxy, session: aiohttp.ClientSession, _: list[str], arrived: list[str]) -> None:
        proxy.horizon = 5
        async with session.get(
            PODS, params={"labelSelector": "app.kubernetes.io/managed-by=mistral-operator"}
        ) as found:
            listed = await found.json()
        assert listed["metadata"]["resourceVersion"] == "5"
        assert [pod["metadata"]["resourceVersion"] for pod in listed["items"]] == ["5"]
        await session.get(f"{PODS}/m")
        assert arrived == [f"GET {PODS}/m"]
        async with session.get(PODS, params={"watch": "1"}) as response:
            assert json.loads(await response.content.readline())["object"]["metadata"]["resourceVersion"] == "5"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await response.content.readline()
            proxy.horizon = None
            assert json.loads(await response.content.readline())["object"]["metadata"]["resourceVersion"] == "6"

    through_a_proxy(do, events=(5, 6))
