"""Which pods are asked what they run, when, with which key, and when they are left alone."""

import asyncio
import base64
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.api.names import PLAN_ANNOTATION
from mistral_operator.api.spec import SecretKeyRef
from mistral_operator.api.status import Resolved
from mistral_operator.cluster.rbac import operator_rules
from mistral_operator.cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS, SECRETS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.settings import VerificationSettings
from mistral_operator.controller.store import Store
from mistral_operator.controller.tokens import API_KEY, Tokens
from mistral_operator.controller.verification import Verification
from mistral_operator.planning.frozen import plan_digest
from mistral_operator.planning.verdict import decide_plan
from mistral_operator.status.pod_report import PodReport
from mistral_operator.status.verified import Asked, Untold
from unit.api_server import ApiServer, Body, Fault
from unit.logs import captured_log
from unit.planning_on_clusters import H200, circumstances, spec
from unit.pod_answers import told
from unit.pod_server import PodServer, Reply, telling
from unit.virtual_time import now, run

KEY: Final = "sk-NotARealKeyButUnmistakable"
REFERENCE: Final = SecretKeyRef(name="vllm", key="api-key")
HOUR: Final = 3600.0
OURS: Final = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "m-1", "uid": "rs", "controller": True}


def resolved(**fields: Any) -> Resolved:
    """Return a frozen plan."""
    plan = decide_plan(spec(**fields), None, circumstances(H200), generation=1, replan=None).resolved
    assert plan is not None
    return plan


PLAN: Final = resolved()
OTHER_PLAN: Final = resolved(engine={"maxModelLen": 1024})
STOCK: Final = resolved(
    image={"repository": "vllm/vllm-openai", "tag": "v0.26.0", "runtime": {"name": "vllm", "version": "0.26.0"}}
)


def pod(name: str = "m-1-a", *, ready: bool = True, since: str = "t0", restarts: int = 0, **fields: Any) -> Body:
    """Return a pod of the plan and of the Deployment's ReplicaSet."""
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "labels": {"app.kubernetes.io/instance": "m"},
        "annotations": {PLAN_ANNOTATION: plan_digest(PLAN)},
        "ownerReferences": [OURS],
    }
    status = {
        "phase": "Running",
        "podIP": fields.pop("address", "127.0.0.1"),
        "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": since}],
        "containerStatuses": [{"name": "vllm", "restartCount": restarts}, {"name": "sidecar", "restartCount": 9}],
    }
    return {"metadata": metadata | fields, "spec": {"nodeName": "n"}, "status": status}


def replica_set(name: str = "m-1", uid: str = "rs", deployment: str = "dep") -> Body:
    """Return a ReplicaSet."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "m", "uid": deployment, "controller": True}
    return {"metadata": {"name": name, "namespace": "ns", "uid": uid, "ownerReferences": [reference]}}


@dataclass
class World:
    """An API server, a pod, and what asks it."""

    server: ApiServer
    pod: PodServer
    store: Store
    verification: Verification
    metrics: Metrics
    log: Any
    secret: SecretKeyRef | None = None
    wanted: list[Key] = field(default_factory=list)

    def show(self, *pods: Body) -> None:
        """Have these pods in the API server, and let the watch tell of them."""
        for body in self.server.all(PODS):
            self.server.remove(PODS, "ns", body["metadata"]["name"])
            self.store.watched(PODS, body, deleted=True)
        for body in pods:
            self.store.watched(PODS, self.server.put(PODS, body), deleted=False)

    def look(self, plan: Resolved | None = PLAN) -> list[Asked]:
        """Do what a reconcile does."""
        deployment = self.server.find(DEPLOYMENTS, "ns", "m")
        key = Key("ns", "m")
        return self.verification.look(key, self.secret, plan, deployment, self.store.pods_of(key))

    async def answers(self, seconds: float = 60) -> list[Asked]:
        """Look, give pods their time, and look again."""
        self.look()
        await asyncio.sleep(seconds)
        return self.look()

    def count(self, result: str) -> float:
        """Return how often asking came to something."""
        return self.metrics.registry.get_sample_value("mistral_operator_attention_asks_total", {"result": result}) or 0


def in_world(test: Callable[[World], Awaitable[None]], rules: Any = None, parallel: int = 8) -> None:
    """Run a test on a clock of its own, with the operator's own rights."""

    async def main() -> None:
        with PodServer() as answering:
            async with ApiServer(rules=operator_rules() if rules is None else rules, closes=True) as server:
                cluster, store, metrics, (_, log) = await server.cluster(), Store(), Metrics(), captured_log()
                wanted: list[Key] = []
                verification = Verification(
                    cluster=cluster,
                    keys=Tokens(cluster, now, 30, use=API_KEY),
                    store=store,
                    # on this clock seconds pass while a socket is slow for a moment
                    settings=VerificationSettings(port=answering.port, timeout_seconds=30, parallel=parallel),
                    want=wanted.append,
                    clock=now,
                    metrics=metrics,
                    log=captured_log()[0],
                )
                server.put(DEPLOYMENTS, {"metadata": {"name": "m", "namespace": "ns", "uid": "dep"}})
                server.put(REPLICA_SETS, replica_set())
                asking = asyncio.create_task(verification.run())
                await test(World(server, answering, store, verification, metrics, log, None, wanted))
                asking.cancel()
                await asyncio.wait({asking})

    run(main(), talks=True)


def put_secret(world: World, value: str = KEY) -> None:
    """Write the Secret of the API key."""
    data = {"api-key": base64.b64encode(value.encode()).decode()}
    world.server.put(SECRETS, {"metadata": {"namespace": "ns", "name": "vllm"}, "data": data})


def test_each_run_of_a_pod_is_asked_once() -> None:
    """A look never waits; the answer makes the object due once, and after that nobody asks anybody anything."""

    async def test(world: World) -> None:
        world.show(pod())
        assert world.look() == [Asked("m-1-a", None)]
        await asyncio.sleep(1)
        assert world.look() == [Asked("m-1-a", told())]
        assert world.wanted == [Key("ns", "m")]
        requests = len(world.server.requests)
        assert requests == 1
        for _ in range(5):
            assert await world.answers(HOUR) == [Asked("m-1-a", told())]
        assert len(world.pod.questions) == 1
        assert len(world.server.requests) == requests
        assert (world.wanted, world.count("Told")) == ([Key("ns", "m")], 1)

    in_world(test)


@pytest.mark.parametrize(
    ("later", "questions"),
    [
        pytest.param(pod(uid="another"), 2, id="another pod of that name"),
        pytest.param(pod(restarts=1), 2, id="a restart"),
        pytest.param(pod(since="t1"), 2, id="Ready again"),
        pytest.param(pod(labels={"app.kubernetes.io/instance": "m", "a": "b"}), 1, id="a label"),
        pytest.param(pod(ready=False), 1, id="not Ready any more"),
        pytest.param(pod(deletionTimestamp="t1"), 1, id="on its way out"),
    ],
)
def test_it_is_asked_again(later: Body, questions: int) -> None:
    """Only after another run has begun, or when it is Ready anew."""

    async def test(world: World) -> None:
        world.show(pod())
        await world.answers()
        world.show(later)
        await world.answers()
        assert len(world.pod.questions) == questions

    in_world(test)


@pytest.mark.parametrize(
    ("later", "known"),
    [
        pytest.param(pod(ready=False), [Asked("m-1-a", told())], id="not Ready"),
        pytest.param(pod(ready=False, restarts=1), [], id="restarted"),
        pytest.param(pod(ready=False, uid="another"), [], id="replaced"),
        pytest.param(pod(deletionTimestamp="t1"), [], id="leaving"),
    ],
)
def test_a_report_is_true_of_its_run(later: Body, known: list[Asked]) -> None:
    """It outlives a while without requests, and nothing else."""

    async def test(world: World) -> None:
        world.show(pod())
        await world.answers()
        world.show(later)
        assert world.look() == known

    in_world(test)


def test_a_new_answer_is_news() -> None:
    """And the same one again is not."""

    async def test(world: World) -> None:
        world.show(pod())
        await world.answers()
        world.show(pod(since="t1"))
        await world.answers()
        assert len(world.wanted) == 1
        world.pod.reply = telling(ranksAgree=False)
        world.show(pod(since="t2"))
        assert await world.answers() == [Asked("m-1-a", told(ranksAgree=False))]
        assert len(world.wanted) == 2

    in_world(test)


def test_a_pod_that_does_not_tell_is_left_alone_for_longer_and_longer() -> None:
    """Up to ten minutes; the object hears of it once, and once when it tells at last."""

    async def test(world: World) -> None:
        world.pod.reply = Reply(b"busy", 503)
        world.show(pod())
        await world.answers(HOUR)
        tries = len(world.pod.questions)
        assert 10 <= tries <= 13
        await asyncio.sleep(HOUR)
        assert len(world.pod.questions) - tries in (5, 6)
        assert world.look() == [Asked("m-1-a", Untold(Reason.POD_CANNOT_TELL, "pod m-1-a answers 503"))]
        assert len(world.wanted) == 1
        assert len(world.server.requests) == 1  # whose it is
        world.pod.reply = Reply()
        assert await world.answers(700) == [Asked("m-1-a", told())]
        assert len(world.wanted) == 2

    in_world(test)


def test_an_image_that_cannot_tell_is_not_asked_again() -> None:
    """It will not learn it; a restart may bring another."""

    async def test(world: World) -> None:
        world.pod.reply = Reply(b"", 404)
        world.show(pod())
        (asked,) = await world.answers(HOUR)
        assert isinstance(asked.answer, Untold)
        assert asked.answer.reason is Reason.IMAGE_CANNOT_TELL
        assert (len(world.pod.questions), len(world.wanted)) == (1, 1)

    in_world(test)


def test_what_it_told_outlives_trouble() -> None:
    """A pod that is too busy to tell again still runs what it said at first."""

    async def test(world: World) -> None:
        world.show(pod())
        await world.answers()
        world.pod.reply = Reply(b"busy", 503)
        world.show(pod(since="t1"))
        assert await world.answers() == [Asked("m-1-a", told())]
        assert len(world.wanted) == 1

    in_world(test)


@pytest.mark.parametrize(
    ("body", "other"),
    [
        pytest.param(pod(ownerReferences=[]), None, id="nobody's"),
        pytest.param(pod(ownerReferences=[{**OURS, "kind": "Job"}]), None, id="a Job's"),
        pytest.param(pod(ownerReferences=[{**OURS, "controller": False}]), None, id="owned, not controlled"),
        pytest.param(pod(ownerReferences=[{**OURS, "uid": "forged"}]), None, id="another ReplicaSet of that name"),
        pytest.param(pod(ownerReferences=[{**OURS, "name": "gone"}]), None, id="a ReplicaSet that is not there"),
        pytest.param(
            pod(ownerReferences=[{**OURS, "name": "x", "uid": "x"}]), replica_set("x", "x", "stranger"),
            id="another Deployment's",
        ),
    ],
)  # fmt: skip
def test_a_stranger_is_not_asked(body: Body, other: Body | None) -> None:
    """Labels are free to anybody: it gets no question and no key, and has no say."""

    async def test(world: World) -> None:
        put_secret(world)
        world.secret = REFERENCE
        if other is not None:
            world.server.put(REPLICA_SETS, other)
        world.show(body, pod("m-1-b"))
        assert [one.pod for one in await world.answers(HOUR)] == ["m-1-b"]
        assert len(world.pod.questions) == 1
        requests = len(world.server.requests)
        await asyncio.sleep(HOUR)
        assert len(world.server.requests) == requests

    in_world(test)


def test_a_replica_set_that_is_adopted_later() -> None:
    """After its Deployment was deleted alone, and made again."""

    async def test(world: World) -> None:
        world.server.put(REPLICA_SETS, replica_set(deployment="gone"))
        world.show(pod())
        assert await world.answers(1) == []
        world.server.put(REPLICA_SETS, replica_set())
        assert await world.answers() == [Asked("m-1-a", told())]

    in_world(test)


@pytest.mark.parametrize("plan", [OTHER_PLAN, STOCK, None], ids=["another plan", "a stock image", "no plan"])
def test_pods_that_are_not_asked(plan: Resolved | None) -> None:
    """Those of another plan, and those of images that cannot tell."""

    async def test(world: World) -> None:
        world.show(pod())
        assert world.look(plan) == []
        await asyncio.sleep(60)
        assert (world.look(plan), world.pod.questions, world.server.requests) == ([], [], [])

    in_world(test)


def test_the_key_of_the_secret() -> None:
    """It goes to the pod, and nowhere else."""

    async def test(world: World) -> None:
        put_secret(world, f"{KEY}\n")
        world.pod.key = KEY
        world.secret = REFERENCE
        world.show(pod())
        assert await world.answers() == [Asked("m-1-a", told())]
        assert world.server.count("get", "secrets") == 1
        world.pod.key = "another"
        world.show(pod(restarts=1))
        ((_, answer),) = await world.answers()
        assert isinstance(answer, Untold)
        assert answer.reason is Reason.KEY_REFUSED
        assert KEY not in f"{answer} {world.log.entries} {world.metrics.text()!r}"

    in_world(test)


def test_a_key_that_is_missing() -> None:
    """It is told with what to do, the pod is not asked without it, and the Secret heals it when it comes."""

    async def test(world: World) -> None:
        world.secret = REFERENCE
        world.show(pod())
        ((_, answer),) = await world.answers()
        assert isinstance(answer, Untold)
        assert answer.reason is Reason.KEY_MISSING
        for words in ("pod m-1-a", "Secret ns/vllm", "spec.apiKeySecretRef", "Create it with a key 'api-key'"):
            assert words in answer.message
        assert world.pod.questions == []
        put_secret(world)
        world.pod.key = KEY
        assert await world.answers(700) == [Asked("m-1-a", told())]
        assert len(world.wanted) == 2

    in_world(test)


@pytest.mark.parametrize("later", [pod(uid="another"), pod(ready=False), pod(restarts=1), None])
def test_a_pod_that_changed_since_the_watch_spoke_gets_no_key(later: Body | None) -> None:
    """Its address may be somebody else's by now."""

    async def test(world: World) -> None:
        put_secret(world)
        world.secret = REFERENCE
        world.show(pod())
        world.server.remove(PODS, "ns", "m-1-a")
        if later is not None:
            world.server.put(PODS, later)
        assert await world.answers(HOUR) == [Asked("m-1-a", None)]
        assert world.pod.questions == []

    in_world(test)


def test_an_api_server_that_is_away() -> None:
    """Nothing is known of the pod then, and it is asked when whose it is can be found out."""

    async def test(world: World) -> None:
        world.server.faults.append(Fault("GET", 503, times=2))
        world.show(pod())
        assert await world.answers(1) == [Asked("m-1-a", None)]
        assert await world.answers() == [Asked("m-1-a", told())]
        assert (world.count("APIServer"), world.count("Told")) == (2, 1)

    in_world(test)


@pytest.mark.parametrize("missing", ["replicasets", "pods"])
def test_a_right_that_is_missing(missing: str) -> None:
    """Rights that were given for an older operator: it is said which is missing, and nobody is asked."""

    async def test(world: World) -> None:
        world.secret = REFERENCE
        put_secret(world)
        world.show(pod())
        ((_, answer),) = await world.answers()
        assert isinstance(answer, Untold)
        assert answer.reason is Reason.NOT_ASKED_YET
        assert f"cannot get resource '{missing}'" in answer.message
        assert world.pod.questions == []

    in_world(test, [rule for rule in operator_rules() if rule["resources"] != [missing]])


def test_a_pod_that_hangs_holds_up_nobody() -> None:
    """Of a pool of two one waits, and the other goes through all the rest."""

    async def test(world: World) -> None:
        with PodServer("127.0.0.2", world.pod.port) as hanging:
            hanging.reply = Reply(hangs=True)
            world.show(pod("m-1-0", address="127.0.0.2"), *(pod(f"m-1-{n}") for n in range(1, 9)))
            answers = await world.answers(20)
            assert [isinstance(answer, PodReport) for _, answer in answers] == [False, *[True] * 8]
            answers = await world.answers(20)
            assert isinstance(answers[0].answer, Untold)
            assert answers[0].answer.reason is Reason.POD_UNREACHABLE

    in_world(test, parallel=2)


HANGS_UP: Final = Reply(raw=b"")


def test_a_pod_that_answers_now_so_and_now_so() -> None:
    """It hangs up, does not speak HTTP, is busy or has no such path: after the first minute nothing is news."""

    async def test(world: World) -> None:
        turns = [HANGS_UP, Reply(raw=b"SSH-2.0-Open\r\n"), HANGS_UP, Reply(b"busy", 503), HANGS_UP, Reply(b"", 404)]
        world.pod.turns = itertools.cycle(turns)
        world.show(pod())
        ((_, answer),) = await world.answers(60)
        assert isinstance(answer, Untold)
        assert (answer.reason, len(world.wanted)) == (Reason.POD_CANNOT_TELL, 2)
        asked = len(world.pod.questions)
        await world.answers(2 * HOUR)
        assert (len(world.wanted), len(world.pod.questions) > asked + len(turns)) == (2, True)

    in_world(test)


def test_another_trouble_that_stays_is_told() -> None:
    """After it was seen three times in a row: once, and a 404 that is no chance ends the asking."""

    async def test(world: World) -> None:
        world.pod.turns = itertools.chain(
            [HANGS_UP] * 8, [Reply(b"", 404), HANGS_UP], itertools.repeat(Reply(b"", 404))
        )
        world.show(pod())
        ((_, answer),) = await world.answers(3 * HOUR)
        assert isinstance(answer, Untold)
        assert answer.reason is Reason.IMAGE_CANNOT_TELL
        assert (len(world.pod.questions), len(world.wanted)) == (8 + 1 + 1 + 3, 2)

    in_world(test)


@pytest.mark.parametrize("how", ["forget", "reset"])
def test_what_is_forgotten(how: str) -> None:
    """Nothing is left of an object that is gone, and a new leader believes nothing of before."""

    async def test(world: World) -> None:
        world.pod.reply = Reply(b"busy", 503)
        world.show(pod())
        await world.answers()
        questions = len(world.pod.questions)
        if how == "forget":
            world.verification.forget(Key("ns", "m"))
        else:
            world.verification.reset()
        await asyncio.sleep(HOUR)
        assert len(world.pod.questions) == questions
        assert world.look() == [Asked("m-1-a", None)]

    in_world(test)
