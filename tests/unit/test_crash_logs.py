"""Logs of runs that ended: each is read once, a few at a time, and nobody waits for one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from kubernetes.aio.client import ApiClient, Configuration

from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.resources import PODS
from mistral_operator.controller.crash_logs import Causes, CrashLogs
from mistral_operator.controller.keys import Key
from mistral_operator.status.diagnosis import wanted_of
from unit.api_server import ApiServer, Body, Fault, on_server
from unit.logs import captured_log
from unit.pods import ended, pod
from unit.virtual_time import now

LOG = (Path(__file__).parent / "vllm_logs" / "kv_cache_too_small.log").read_bytes()
OWNER = Key("ns", "m")
UNTOLD = "ends without a word"


def crashed(name: str = "m-1", finished: str = "2026-11-25T12:00:00Z") -> Body:
    """Return a pod whose vLLM ended and did not say why."""
    container = ended(UNTOLD)
    container["lastState"]["terminated"]["finishedAt"] = finished
    body = pod(container, name=name)
    body["metadata"]["namespace"] = "ns"
    return body


class World:
    """Logs, and whose object was made due by one."""

    def __init__(self, server: ApiServer, logs: CrashLogs, due: asyncio.Queue[Key]) -> None:
        self.server = server
        self.logs = logs
        self.due = due

    async def read(self) -> Key:
        """Wait until a log has been read."""
        async with asyncio.timeout(30):
            return await self.due.get()

    def look(self, owner: Key, pods: list[Body]) -> Causes:
        """Do what a reconcile does."""
        return self.logs.look(owner, pods, wanted_of(pods))

    def asked(self) -> list[str | None]:
        """Return the pods whose logs were asked for."""
        return [one.place.name for one in self.server.requests if one.place.subresource == "log"]


@contextlib.asynccontextmanager
async def world(server: ApiServer) -> AsyncIterator[World]:
    """Read logs."""
    due: asyncio.Queue[Key] = asyncio.Queue()
    log, _ = captured_log()
    logs = CrashLogs(await server.cluster(), due.put_nowait, now, log)
    reading = asyncio.create_task(logs.run())
    yield World(server, logs, due)
    reading.cancel()
    await asyncio.wait([reading])


def test_a_log_is_read_once_for_each_run() -> None:
    """A reconcile sees that it is being read, then the cause; another crash is read anew, and the old cause stays."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 200, raw=LOG, plural="pods", times=2))
        async with world(server) as at:
            assert at.look(OWNER, [crashed()]) == Causes({}, frozenset({"m-1"}))
            assert await at.read() == OWNER
            (cause,) = at.look(OWNER, [crashed()]).found.values()
            assert "the estimated maximum model length is 1048576" in cause
            assert at.asked() == ["m-1"]
            query = at.server.requests[0].query
            assert query == {"container": "vllm", "previous": "true", "tailLines": "300"}
            again = crashed(finished="2026-11-25T12:05:00Z")
            assert at.look(OWNER, [again]) == Causes({"m-1": cause}, frozenset())
            await at.read()
            assert at.look(OWNER, [again]) == Causes({"m-1": cause}, frozenset())
            assert at.asked() == ["m-1", "m-1"]

    on_server(test)


def test_of_a_long_log_the_end_is_read() -> None:
    """The cause stands there, however long the lines before it are."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 200, raw=b"x" * (1 << 20) + b"\n" + LOG, plural="pods"))
        async with world(server) as at:
            at.look(OWNER, [crashed()])
            await at.read()
            (cause,) = at.look(OWNER, [crashed()]).found.values()
            assert "the estimated maximum model length is 1048576" in cause
            text = "x" * (1 << 20) + "the end"
            server.faults.append(Fault("GET", 200, raw=text.encode(), plural="pods"))
            cluster = await server.cluster()
            assert await cluster.end_of_text(PODS.path("ns", "m-1", "log"), {}, 4096) == text[-4096:]

    on_server(test)


def test_a_cause_outlives_a_log_that_cannot_be_read() -> None:
    """What the run before ended of is said on where that of the newest cannot be found out."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 200, raw=LOG, plural="pods"))
        server.faults.append(Fault("GET", 500, plural="pods"))
        async with world(server) as at:
            at.look(OWNER, [crashed()])
            await at.read()
            before = at.look(OWNER, [crashed()])
            assert before.found
            again = crashed(finished="2026-11-25T12:05:00Z")
            at.look(OWNER, [again])
            await at.read()
            assert at.look(OWNER, [again]) == before

    on_server(test)


def test_a_log_that_cannot_be_read() -> None:
    """What the pod says itself has to do, and it is not asked again."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 400, "previous terminated container not found", plural="pods"))
        async with world(server) as at:
            at.look(OWNER, [crashed()])
            await at.read()
            for _ in range(2):
                assert at.look(OWNER, [crashed()]) == Causes({}, frozenset())
            assert at.asked() == ["m-1"]

    on_server(test)


def test_a_kubelet_that_does_not_answer() -> None:
    """It holds up neither a reconcile nor, for long, other logs."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", hangs=True, plural="pods", times=3))
        server.faults.append(Fault("GET", 200, raw=LOG, plural="pods"))
        async with world(server) as at:
            pods = [crashed(f"m-{number}") for number in range(4)]
            assert len(at.look(OWNER, pods).unread) == 4
            begun = asyncio.get_running_loop().time()
            for _ in pods:
                await at.read()
            assert asyncio.get_running_loop().time() - begun < 11
            causes = at.look(OWNER, pods)
            assert (len(causes.found), causes.unread) == (1, frozenset())

    on_server(test)


def test_a_namespace_whose_logs_take_long_holds_up_no_other() -> None:
    """Pods of one hang and are many; another's log is read at once, before all of those that came earlier."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", hangs=True, plural="pods", namespace="slow", times=1000))
        server.faults.append(Fault("GET", 200, raw=LOG, plural="pods"))
        async with world(server) as at:
            slow = [crashed(f"slow-{number}") for number in range(100)]
            for body in slow:
                body["metadata"]["namespace"] = "slow"
            at.look(Key("slow", "m"), slow)
            begun = asyncio.get_running_loop().time()
            while len(server.requests) < 3:
                await asyncio.sleep(0.01)
            at.look(OWNER, [crashed()])
            assert await at.read() == OWNER
            assert at.look(OWNER, [crashed()]).found
            assert asyncio.get_running_loop().time() - begun < 10

    on_server(test)


def test_a_log_of_more_lines_than_were_asked_for() -> None:
    """Of those that the kubelet should not have sent nothing is read."""

    async def test(server: ApiServer) -> None:
        server.faults.append(Fault("GET", 200, raw=LOG + b"\n" * 100_000, plural="pods"))
        async with world(server) as at:
            at.look(OWNER, [crashed()])
            await at.read()
            (cause,) = at.look(OWNER, [crashed()]).found.values()
            assert cause == "vLLM ended with exit code 1 and said nothing"

    on_server(test)


class Faulty(Cluster):
    """A cluster with a log of which nobody thought."""

    async def end_of_text(self, path: str, query: Mapping[str, str], limit_bytes: int) -> str:
        """Fail at the first pod's."""
        if "/m-1/" in path:
            raise RuntimeError("nobody foresaw this")
        return await super().end_of_text(path, query, limit_bytes)


def test_a_fault_ends_no_others_reading() -> None:
    """It is told with its traceback, the pod is judged by what it says itself, and the next log is read."""

    async def test(server: ApiServer) -> None:
        due: asyncio.Queue[Key] = asyncio.Queue()
        log, told = captured_log()
        server.faults.append(Fault("GET", 200, raw=LOG, plural="pods"))
        async with ApiClient(Configuration(host=server.url)) as client:
            logs = CrashLogs(Faulty(client), due.put_nowait, now, log)
            reading = asyncio.create_task(logs.run())
            for name in ("m-1", "m-2"):
                logs.look(Key("ns", name), [crashed(name)], wanted_of([crashed(name)]))
                async with asyncio.timeout(30):
                    assert await due.get() == Key("ns", name)
            assert logs.look(Key("ns", "m-1"), [crashed("m-1")], wanted_of([crashed("m-1")])) == Causes({}, frozenset())
            assert logs.look(Key("ns", "m-2"), [crashed("m-2")], wanted_of([crashed("m-2")])).found
            assert [(entry["log_level"], entry["pod"]) for entry in told.entries] == [("error", "ns/m-1")]
            reading.cancel()
            await asyncio.wait([reading])

    on_server(test)


def test_pods_that_go_are_forgotten() -> None:
    """So is what was to be read of them."""

    async def test(server: ApiServer) -> None:
        async with world(server) as at:
            at.look(OWNER, [crashed()])
            at.look(OWNER, [])
            at.look(Key("ns", "other"), [crashed("other")])
            await at.read()
            assert at.asked() == ["other"]

    assert PODS.path("ns", "m-1", "log") == "/api/v1/namespaces/ns/pods/m-1/log"
    on_server(test)
