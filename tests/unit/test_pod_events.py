"""Whose Events are asked for, how soon, and in which order they are read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mistral_operator.cluster.resources import CORE_EVENTS
from mistral_operator.controller.pod_events import Told, events_of
from mistral_operator.status.diagnosis import wanted_of
from unit.api_server import ApiServer, Body, on_server
from unit.pods import ended, pod, running, unscheduled, waiting

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def aged(body: Body, seconds: float = 60) -> Body:
    """Return a pod that was created some time ago."""
    created = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body["metadata"] |= {"namespace": "ns", "creationTimestamp": created}
    return body


def event(reason: str, message: str, **times: Any) -> Body:
    """Return an Event as the API server keeps it."""
    return {"metadata": {"namespace": "ns", "name": message}, "reason": reason, "message": message, **times}


CREATING = waiting("ContainerCreating")


@pytest.mark.parametrize(
    ("body", "asked", "again"),
    [
        pytest.param(aged(pod(CREATING)), 1, 60, id="silent"),
        pytest.param(aged(pod(CREATING), 5), 0, 20, id="just begun"),
        pytest.param(aged(pod(running())), 1, 60, id="loading"),
        pytest.param(aged(pod(ended(code=137)), 5), 1, 60, id="made to end: at once"),
        pytest.param(aged(pod(waiting("ImagePullBackOff", 'Back-off pulling image "a"'))), 1, 60, id="no reason given"),
        pytest.param(aged(pod(ended("RuntimeError: no"))), 0, None, id="says why"),
        pytest.param(
            aged(unscheduled("0/1 nodes are available: 1 Insufficient cpu.")), 0, None, id="the scheduler says"
        ),
        pytest.param(aged(unscheduled("pod has unbound immediate PersistentVolumeClaims")), 1, 60, id="its claim does"),
        pytest.param(aged(pod(CREATING, phase="Failed")), 0, None, id="has ended"),
    ],
)
def test_who_is_asked_about(body: Body, asked: int, again: float | None) -> None:
    """Only whoever may say more than the pod itself, and when it is worth it again."""

    async def test(server: ApiServer) -> None:
        told = await events_of(await server.cluster(), [body], wanted_of([body]), "models", NOW)
        assert server.count("list", "events") == asked
        assert told.again_seconds == again

    on_server(test)


def test_a_few_pods_stand_for_all() -> None:
    """The oldest ones: a hundred replicas wait for the same."""

    async def test(server: ApiServer) -> None:
        pods = [aged(pod(CREATING, name=f"m-{number}"), 60 + number) for number in range(10)]
        told = await events_of(await server.cluster(), pods, wanted_of(pods), None, NOW)
        assert set(told.pods) == {"m-9", "m-8", "m-7"}

    on_server(test)


def test_the_newest_comes_first() -> None:
    """By the second, however it is written, and within one by the order of writing."""

    async def test(server: ApiServer) -> None:
        server.put(CORE_EVENTS, event("Scheduled", "first", eventTime="2026-11-25T11:59:00.900000Z"))
        server.put(CORE_EVENTS, event("Pulling", "second", lastTimestamp="2026-11-25T11:59:00Z"))
        series = {"lastObservedTime": "2026-11-25T11:59:30.000000Z"}
        server.put(CORE_EVENTS, event("Unhealthy", "last", eventTime="2026-11-25T11:58:00.000000Z", series=series))
        body = aged(pod(CREATING))
        told = await events_of(await server.cluster(), [body], wanted_of([body]), None, NOW)
        assert [one.message for one in told.pods[body["metadata"]["uid"]]] == ["last", "second", "first"]

    on_server(test)


def test_of_many_events_the_newest_are_kept() -> None:
    """However many there are, and however long: a part of them is read, in small pages, and little of each is kept."""

    async def test(server: ApiServer) -> None:
        for number in range(700):
            name = f"m.{number:05}"
            time = f"2026-11-25T{11 - number // 600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
            metadata = {"namespace": "ns", "name": name}
            server.put(CORE_EVENTS, event("Unhealthy", name + "é" * 2000, lastTimestamp=time, metadata=metadata))
        body = aged(pod(CREATING))
        (told,) = (await events_of(await server.cluster(), [body], wanted_of([body]), None, NOW)).pods.values()
        assert [one.message[:7] for one in told] == [f"m.{number:05}" for number in range(599, 549, -1)]
        assert {len(one.message) for one in told} == {1024}
        assert {request.query["limit"] for request in server.requests} == {"50"}

    on_server(test)


def test_events_that_are_too_long() -> None:
    """What was read before them is known."""

    async def test(server: ApiServer) -> None:
        for number in range(120):
            metadata = {"namespace": "ns", "name": f"m.{number:05}"}
            long = "x" * 40_000 if number >= 50 else ""
            server.put(CORE_EVENTS, event("Unhealthy", f"{number}{long}", metadata=metadata))
        body = aged(pod(CREATING))
        (told,) = (await events_of(await server.cluster(), [body], wanted_of([body]), None, NOW)).pods.values()
        assert [one.message for one in told] == [str(number) for number in range(49, -1, -1)]
        assert server.count("list", "events") == 2

    on_server(test)


def test_events_without_end() -> None:
    """Reading ends."""

    async def test(server: ApiServer) -> None:
        for number in range(2000):
            metadata = {"namespace": "ns", "name": f"m.{number:05}"}
            server.put(CORE_EVENTS, event("Unhealthy", "a", metadata=metadata))
        body = aged(pod(CREATING))
        assert await events_of(await server.cluster(), [body], wanted_of([body]), None, NOW)
        assert server.count("list", "events") == 20

    on_server(test)


def test_nobody_to_ask_about() -> None:
    """A system at rest is left alone."""

    async def test(server: ApiServer) -> None:
        ready = pod(running(started=True))
        ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        assert await events_of(await server.cluster(), [ready], wanted_of([ready]), "models", NOW) == Told({}, (), None)
        assert server.requests == []

    on_server(test)
