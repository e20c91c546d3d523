"""Reading models for many objects, against a hub that misbehaves on demand and an API server that holds the tokens."""

import asyncio
import base64
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from devcluster.hub import EVERY_REPOSITORY, Fault, HubServer, Kind
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.cluster.errors import UnreachableError
from mistral_operator.cluster.resources import SECRETS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.models import Models, Outcome
from mistral_operator.controller.settings import HubSettings
from mistral_operator.controller.tokens import Tokens
from unit import api_server
from unit.api_server import ApiServer
from unit.planning_on_clusters import spec

MISTRAL = "mistralai/Mistral-7B-v0.1"
REFERENCE = {"name": "hf", "key": "token"}
SETTINGS = HubSettings(
    timeout_seconds=5, recheck_seconds=3600, retry_seconds=5, slow_retry_seconds=300, token_seconds=30
)


@dataclass
class World:
    """A hub, an API server, and the models that are read by means of both."""

    hub: HubServer
    server: ApiServer
    models: Models
    metrics: Metrics
    folder: Path
    now: float = 1_000_000.0

    async def read(
        self, namespace: str = "ns", *, fresh_seconds: float | None = None, holder: Key | None = None, **fields: Any
    ) -> Outcome:
        """Read the model of a spec."""
        return await self.models.read(namespace, model_spec(**fields), fresh_seconds=fresh_seconds, holder=holder)

    def token(self, token: str, namespace: str = "ns") -> None:
        """Put a token into a namespace's Secret."""
        data = {"token": base64.b64encode(token.encode()).decode()}
        self.server.put(SECRETS, {"metadata": {"namespace": namespace, "name": "hf"}, "data": data})

    def bytes_known(self) -> float:
        """Return what the operator says its models take."""
        return self.metrics.registry.get_sample_value("mistral_operator_hub_models_bytes") or 0

    def questions(self) -> int:
        """Return how often the hub was asked what a model is at a revision: once per reading."""
        return sum("/revision/" in exchange.path for exchange in self.hub.requests)


def model_spec(revision: str = "main", **fields: Any) -> MistralDeploymentSpec:
    """Return a spec."""
    return spec(model={"id": fields.pop("model", MISTRAL), "revision": revision}, **fields)


@pytest.fixture(autouse=True)
def _a_token_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_machine")  # which is nobody's in a cluster


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """Return a running hub."""
    with HubServer() as running:
        yield running


Test = Callable[[World], Awaitable[None]]
On = Callable[[Test], None]


@pytest.fixture
def on(hub: HubServer, tmp_path: Path) -> On:
    """Return what runs a test in a world of its own."""

    async def run(test: Test) -> None:
        async with world(hub, tmp_path) as made:
            await test(made)

    return lambda test: asyncio.run(run(test))


@contextlib.asynccontextmanager
async def world(
    hub: HubServer, folder: Path, settings: HubSettings = SETTINGS, endpoint: str | None = None
) -> AsyncIterator[World]:
    """Make a world."""
    async with ApiServer() as server:
        metrics = Metrics()

        def clock() -> float:
            return made.now

        tokens = Tokens(await server.cluster(), clock, settings.token_seconds)
        models = Models(tokens, replace(settings, cache_dir=folder), endpoint or hub.url, clock, metrics)
        made = World(hub, server, models, metrics, folder)
        with contextlib.closing(models):
            yield made


def test_one_question_for_all_that_ask_the_same(on: On) -> None:
    """However many objects ask at once; another revision is another question."""

    async def test(made: World) -> None:
        outcomes = await asyncio.gather(*(made.read(f"ns{number}") for number in range(30)))
        assert made.questions() == 1
        assert {outcome.answer.facts.commit for outcome in outcomes if outcome.answer.facts} == {
            made.hub.commit(MISTRAL)
        }
        await made.read(revision=made.hub.commit(MISTRAL))
        assert made.metrics.registry.get_sample_value("mistral_operator_hub_reads_total", {"result": "Read"}) == 2

    on(test)


@pytest.mark.parametrize(
    ("seconds", "fresh", "asked"),
    [
        pytest.param(3599, None, False, id="within the period"),
        pytest.param(3601, None, True, id="after it"),
        pytest.param(9, 10, False, id="fresh enough for a plan"),
        pytest.param(11, 10, True, id="not fresh enough"),
    ],
)
def test_how_long_an_answer_is_good_for(on: On, seconds: float, fresh: float | None, asked: bool) -> None:
    """Branches are looked at once an hour, and anew for every new plan."""

    async def test(made: World) -> None:
        first = await made.read()
        assert first.again_seconds == 3600
        made.now += seconds
        later = await made.read(fresh_seconds=fresh)
        assert made.questions() == (2 if asked else 1)
        assert later.again_seconds == (3600 if asked else 3600 - seconds)

    on(test)


FAULTS = {
    "down": (Fault(Kind.UNAVAILABLE), "HubUnreachable", True, [5, 10, 20, 40, 80, 160, 300, 300]),
    "limited": (Fault(Kind.RATE_LIMITED, seconds=77), "RateLimited", True, [77, 77, 77]),
    "limited for a second, each time": (Fault(Kind.RATE_LIMITED, seconds=1), "RateLimited", True, [1, 10, 20]),
    "limited for a day": (Fault(Kind.RATE_LIMITED, seconds=86400), "RateLimited", True, [3600, 3600]),
    "gated": (Fault(Kind.GATED), "Gated", False, [300, 300]),
    "private": (Fault(Kind.PRIVATE), "NotFoundOrNoAccess", False, [300, 300]),
    "garbled": (Fault(Kind.GARBLED), "TornConfig", False, [300, 300]),
    "torn": (Fault(Kind.TORN), "HubUnreachable", True, [5, 10, 20]),
    "no config": (Fault(Kind.NO_CONFIG), "NoConfig", False, [300, 300]),
    "disabled": (Fault(Kind.DISABLED), "Disabled", False, [300]),
}


@pytest.mark.parametrize(("fault", "reason", "transient", "waits"), FAULTS.values(), ids=FAULTS.keys())
def test_retries_suit_the_error(on: On, fault: Fault, reason: str, transient: bool, waits: list[float]) -> None:
    """What may mend itself is asked about soon, then less and less; what only a person can mend, seldom."""

    async def test(made: World) -> None:
        made.hub.faults[MISTRAL] = fault
        for number, wait in enumerate(waits, start=1):
            outcome = await made.read()
            assert (outcome.answer.facts, outcome.answer.reason) == (None, reason)
            assert outcome.answer.transient is transient
            assert outcome.again_seconds == wait
            made.now += wait - 0.5
            again = await made.read(fresh_seconds=0)
            assert made.questions() == number
            assert again.again_seconds == 0.5
            made.now += 1
        del made.hub.faults[MISTRAL]
        assert (await made.read()).answer.reason is None

    on(test)


def test_a_success_ends_the_backoff(on: On) -> None:
    """The first failure after it waits as the very first did."""

    async def test(made: World) -> None:
        for _ in range(2):
            made.hub.faults[MISTRAL] = Fault(Kind.UNAVAILABLE)
            for wait in (5, 10):
                assert (await made.read(fresh_seconds=0)).again_seconds == wait
                made.now += wait + 1
            del made.hub.faults[MISTRAL]
            assert (await made.read(fresh_seconds=0)).answer.reason is None
            made.now += 1

    on(test)


def test_a_hub_that_goes_away(on: On) -> None:
    """What was read stays known, and the hub is asked again after each wait, whatever answer would do."""

    async def test(made: World) -> None:
        await made.read()
        made.now += 100
        made.hub.faults[EVERY_REPOSITORY] = Fault(Kind.UNAVAILABLE)
        away = await made.read(fresh_seconds=10)
        assert away.answer.facts is not None
        assert (away.answer.reason, away.answer.transient) == ("HubUnreachable", True)
        assert away.answer.message.endswith("HF_ENDPOINT of the operator; it is asked again by itself.")
        for asked, wait in enumerate((5, 10, 20), start=2):
            made.now += wait + 0.1
            outcome = await made.read()
            assert made.questions() == asked + 1
            assert outcome.again_seconds == wait * 2
        del made.hub.faults[EVERY_REPOSITORY]
        made.now += 41
        back = await made.read()
        assert (back.answer.reason, back.again_seconds) == (None, 3600)

    on(test)


def test_a_model_that_is_withdrawn(on: On) -> None:
    """A hub that says no is believed: the facts of before are facts no more."""

    async def test(made: World) -> None:
        await made.read()
        made.now += 3601
        made.hub.faults[MISTRAL] = Fault(Kind.DISABLED)
        outcome = await made.read()
        assert (outcome.answer.facts, outcome.answer.reason, outcome.answer.transient) == (None, "Disabled", False)

    on(test)


def test_a_token_that_is_put_right(on: On) -> None:
    """The Secret is looked at again within the minute; a new token is a new question, the old one is asked no more."""

    async def test(made: World) -> None:
        made.hub.faults[MISTRAL] = Fault(Kind.GATED, tokens=frozenset({"hf_good"}))
        made.token("hf_bad")
        outcome = await made.read(hfTokenSecretRef=REFERENCE)
        assert (outcome.answer.reason, outcome.again_seconds) == ("Gated", 30.5)
        made.now += 30.5
        assert (await made.read(hfTokenSecretRef=REFERENCE)).answer.reason == "Gated"
        assert made.questions() == 1
        made.token("hf_good")
        made.now += 30.5
        outcome = await made.read(hfTokenSecretRef=REFERENCE)
        assert (outcome.answer.reason, outcome.again_seconds) == (None, 3600)
        assert made.questions() == 2

    on(test)


def test_how_to_hand_over_a_token(on: On) -> None:
    """A status names the spec's field alone: what the environment of a user's command holds never gets here."""

    async def test(made: World) -> None:
        made.hub.faults[MISTRAL] = Fault(Kind.GATED)
        message = (await made.read()).answer.message
        assert message is not None
        assert message.endswith("then set spec.hfTokenSecretRef.")

    on(test)


@pytest.mark.parametrize("status", [None, 403])
def test_a_secret_that_is_missing(on: On, status: int | None) -> None:
    """It is told, looked for again within the minute, and the hub is left alone."""

    async def test(made: World) -> None:
        if status is not None:
            made.server.faults.append(api_server.Fault("GET", status))
        outcome = await made.read(hfTokenSecretRef=REFERENCE)
        assert outcome.answer.facts is None
        assert outcome.answer.reason == ("TokenSecretMissing" if status is None else "TokenSecretUnreadable")
        assert outcome.answer.message.startswith("Secret ns/hf")
        assert outcome.again_seconds == 30.5
        assert made.hub.requests == []

    on(test)


def test_an_api_server_that_is_away(on: On) -> None:
    """That says nothing about the model: the reconcile is tried again."""

    async def test(made: World) -> None:
        made.server.faults.append(api_server.Fault("GET", 503))
        with pytest.raises(UnreachableError):
            await made.read(hfTokenSecretRef=REFERENCE)

    on(test)


def test_which_token_is_sent(on: On) -> None:
    """The object's own, or none: never the one of the machine that the operator runs on."""

    async def test(made: World) -> None:
        made.token("hf_mine")
        await made.read()
        await made.read(hfTokenSecretRef=REFERENCE)
        assert [exchange.token for exchange in made.hub.requests if "/revision/" in exchange.path] == [None, "hf_mine"]

    on(test)


def test_tenants_do_not_see_each_others_models(on: On) -> None:
    """What one token may read is found by it alone, also on disk, also by a commit that needs no question."""

    async def test(made: World) -> None:
        commit = made.hub.commit(MISTRAL)
        made.hub.faults[MISTRAL] = Fault(Kind.PRIVATE, tokens=frozenset({"hf_owner"}))
        made.token("hf_owner", "owner")
        made.token("hf_stranger", "stranger")
        mine = await made.read("owner", revision=commit, hfTokenSecretRef=REFERENCE)
        assert mine.answer.facts is not None
        for outcome in (
            await made.read("stranger", revision=commit, hfTokenSecretRef=REFERENCE),
            await made.read("stranger", revision=commit),
        ):
            assert (outcome.answer.facts, outcome.answer.reason) == (None, "NotFoundOrNoAccess")
        kept = [path for path in made.folder.rglob("*") if path.is_file()]
        assert kept
        assert not [path for path in kept if "hf_owner" in str(path) or "hf_owner" in path.read_text()]

    on(test)


def folders(made: World) -> set[str]:
    """Return the names of the cache folders."""
    return {path.name for path in made.folder.iterdir()}


def test_the_folders_of_tokens_that_were_rotated(on: On) -> None:
    """They go hours after the last object has let go; those in use, of no token, and of others stay."""

    async def test(made: World) -> None:
        made.token("hf_kept", "other")
        made.token("hf_old")
        await made.read()
        await made.read("other", hfTokenSecretRef=REFERENCE)
        kept = folders(made) | {"of-others"}
        (made.folder / "of-others").mkdir()
        await made.read(hfTokenSecretRef=REFERENCE)
        (old,) = folders(made) - kept
        made.token("hf_new")
        for hour in range(1, 7):
            made.now += 3601
            await made.read("other", hfTokenSecretRef=REFERENCE)
            assert (old in folders(made)) is (hour < 5)
            await made.read(hfTokenSecretRef=REFERENCE)
        assert folders(made) > kept
        assert len(folders(made) - kept) == 1
        made.token("hf_old")
        made.now += 3601
        assert (await made.read(hfTokenSecretRef=REFERENCE)).answer.reason is None
        assert old in folders(made)

    on(test)


def test_folders_outlast_a_pause(on: On) -> None:
    """Nobody asks while another process leads or the API server is away: that does not mean that nobody needs them."""

    async def test(made: World) -> None:
        made.token("hf_mine")
        await made.read(hfTokenSecretRef=REFERENCE)
        (mine,) = folders(made)
        for _ in range(3):
            made.now += 7 * 3600
            await made.read()
            for _ in range(3):
                made.now += 3601
                await made.read()
                assert mine in folders(made)
            await made.read(hfTokenSecretRef=REFERENCE)
        for _ in range(6):
            made.now += 3601
            await made.read()
        assert folders(made) == {"anonymous"}

    on(test)


def test_messages_stay_the_same_while_nothing_changes(on: On) -> None:
    """A hub says of each wait how long it is still; in a status that would be a write each time it is asked."""

    async def test(made: World) -> None:
        told = set()
        for seconds in (300, 250, 10):
            made.hub.faults[MISTRAL] = Fault(Kind.RATE_LIMITED, seconds=seconds)
            told.add((await made.read()).answer.message)
            made.now += seconds + 1
        (message,) = told
        assert "answers no more requests for now (429)" in message
        assert "asked again as soon as it allows; a token in spec.hfTokenSecretRef raises its limit." in message
        made.token("hf_mine")
        assert "hfTokenSecretRef" not in (await made.read(hfTokenSecretRef=REFERENCE)).answer.message

    on(test)


def test_memory_is_bounded_by_what_is_asked_for(on: On) -> None:
    """What nobody has asked about for hours is forgotten; what is asked about is not."""

    async def test(made: World) -> None:
        made.hub.faults[MISTRAL] = Fault(Kind.DISABLED)
        for number in range(400):
            await made.read(revision=f"branch-{number}")
            made.now += 60
            if number % 30 == 0:
                await made.read(revision="wanted")
        assert made.bytes_known() < 350 * 3000
        asked = made.questions()
        await made.read(revision="wanted")
        assert made.questions() <= asked + 1
        made.now += 100_000
        await made.read(revision="another")
        assert made.bytes_known() < 2 * 3000

    on(test)


def test_what_deleted_objects_needed_is_forgotten(on: On) -> None:
    """Within a minute or so; what another object needs as well stays, and so does what is asked for at once again."""

    async def test(made: World) -> None:
        commit = made.hub.commit(MISTRAL)
        first, second = Key("ns", "first"), Key("other", "second")
        await made.read(holder=first)
        await made.read(holder=second)
        await made.read(revision=commit, holder=Key("ns", "third"))
        before, asked = made.bytes_known(), made.questions()
        made.models.forget(first)
        made.models.forget(Key("ns", "third"))
        made.models.forget(Key("ns", "never seen"))
        made.now += 100
        await made.read(holder=second)
        assert made.questions() == asked
        await made.read(model="mistralai/Pixtral-12B-2409", holder=first)
        assert 0 < made.bytes_known() < before + 1000
        await made.read(revision=commit, holder=Key("ns", "third"))
        assert made.questions() == asked + 1  # a commit is read from the disk

    on(test)


def test_an_object_that_names_another_model_lets_go_of_the_first(on: On) -> None:
    """An object needs one model at a time."""

    async def test(made: World) -> None:
        key = Key("ns", "name")
        for number in range(20):
            made.hub.faults[MISTRAL] = Fault(Kind.UNAVAILABLE, times=1)
            await made.read(revision=f"branch-{number}", holder=key)
            made.now += 61
        assert made.bytes_known() < 5 * 3000

    on(test)


def test_after_another_process_has_led(on: On) -> None:
    """Objects that were deleted meanwhile are nobody's; those that are there say so at once."""

    async def test(made: World) -> None:
        kept, gone = Key("ns", "kept"), Key("ns", "gone")
        await made.read(holder=kept)
        await made.read(revision=made.hub.commit(MISTRAL), holder=gone)
        made.models.reset()
        await made.read(holder=kept)
        made.now += 61
        asked = made.questions()
        await made.read(holder=kept)
        await made.read(revision="another", holder=kept)
        assert made.questions() == asked + 1
        assert made.bytes_known() < 3 * 4000

    on(test)


def test_all_models_together_are_bounded(hub: HubServer, tmp_path: Path) -> None:
    """The largest go first, and are read again for whoever still needs them."""

    async def main() -> None:
        async with world(hub, tmp_path, replace(SETTINGS, memory_bytes=20_000)) as made:
            for model in hub.repo_ids:
                assert (await made.read(model=model, holder=Key("ns", model))).answer.reason is None
                assert made.bytes_known() <= 20_000
            for model in hub.repo_ids:
                assert (await made.read(model=model, holder=Key("ns", model))).answer.facts is not None

    asyncio.run(main())


def test_a_fault_in_the_operator_is_told_like_any_other(tmp_path: Path) -> None:
    """An object gets a reason whatever happens, and the log one traceback however often it happens."""
    told: list[tuple[str, Any]] = []

    class Log:
        def error(self, event: str, **fields: Any) -> None:
            told.append((event, fields))

    async def main() -> None:
        async with ApiServer() as server:
            tokens = Tokens(await server.cluster(), lambda: 0.0, 30)
            now = [0.0]
            nonsense = cast("str", 5)  # an endpoint that is no text at all: nobody foresaw that
            models = Models(
                tokens, replace(SETTINGS, cache_dir=tmp_path), nonsense, lambda: now[0], Metrics(), cast("Any", Log())
            )
            with contextlib.closing(models):
                for wait in (5, 10, 20):
                    outcome = await models.read("ns", model_spec())
                    assert (outcome.answer.reason, outcome.answer.transient) == ("InternalError", True)
                    assert outcome.answer.message.startswith(f"{MISTRAL} could not be read: AttributeError")
                    assert outcome.again_seconds == wait
                    now[0] += wait
        assert [event for event, _ in told] == ["could not read a model: this is a fault in the operator"]
        assert isinstance(told[0][1]["exc_info"], AttributeError)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def one_slow_owner(settings: HubSettings, folder: Path) -> AsyncIterator[tuple[World, set[str]]]:
    """Make a world whose hub answers for models of one owner a byte at a time, and give which were asked for."""
    asked: set[str] = set()
    over = asyncio.Event()
    handlers: list[asyncio.Task[Any] | None] = []
    config = b'{"model_type": "mistral"}'
    listing = b'{"sha": "%s", "siblings": [{"rfilename": "config.json", "size": %d}]}' % (b"a" * 40, len(config))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
                asked.add(target)
                if "/slow/" in target:
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    while not over.is_set() and not writer.is_closing():
                        writer.write(b" ")
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(over.wait(), 0.05)
                    break
                body = listing if "/revision/" in target else config
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    serving = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = serving.sockets[0].getsockname()
    try:
        async with world(cast("HubServer", None), folder, settings, f"http://{host}:{port}") as made:
            yield made, asked
    finally:
        over.set()
        serving.close()
        await asyncio.gather(*(handler for handler in handlers if handler is not None))


def test_slow_answers_of_one_namespace_stop_no_other(tmp_path: Path) -> None:
    """Two hundred models that trickle wait for each other; one of another namespace is read at once, and first."""

    async def main() -> None:
        async with one_slow_owner(replace(SETTINGS, timeout_seconds=20), tmp_path) as (made, asked):
            slow = [asyncio.create_task(made.read("slow", model=f"slow/model-{number}")) for number in range(200)]
            while len(asked) < 4:
                await asyncio.sleep(0)
            for number in range(30):
                outcome = await asyncio.wait_for(made.read("good", model=f"good/model-{number}"), 15)
                assert outcome.answer.reason is None
            assert sum("/slow/" in target for target in asked) == 4
            assert not any(task.done() for task in slow)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            # the slots are free again: its own models are asked for as before
            other = asyncio.create_task(made.read("slow", model="good/of-slow"))
            assert (await asyncio.wait_for(other, 15)).answer.reason is None

    asyncio.run(main())


def test_a_model_that_two_namespaces_need_is_read_for_whoever_may_first(tmp_path: Path) -> None:
    """A question that waits behind its namespace's others does not keep those of another waiting."""

    async def main() -> None:
        async with one_slow_owner(replace(SETTINGS, timeout_seconds=20), tmp_path) as (made, asked):
            slow = [asyncio.create_task(made.read("slow", model=f"slow/model-{number}")) for number in range(50)]
            while len(asked) < 4:
                await asyncio.sleep(0)
            behind = asyncio.create_task(made.read("slow", model="good/popular"))
            await asyncio.sleep(0)
            outcome = await asyncio.wait_for(made.read("good", model="good/popular"), 15)
            assert outcome.answer.reason is None
            assert (await asyncio.wait_for(behind, 15)).answer.reason is None
            assert sum("/popular/" in target and "/revision/" in target for target in asked) == 1
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(main())


def test_threads_that_were_given_up_end(tmp_path: Path) -> None:
    """Whoever waits no longer, deleted or led by another process, leaves no thread behind that still reads."""

    async def main() -> None:
        async with one_slow_owner(replace(SETTINGS, timeout_seconds=600), tmp_path) as (made, asked):
            slow = [asyncio.create_task(made.read(f"ns{number}", model=f"slow/model-{number}")) for number in range(8)]
            while len(asked) < 8:
                await asyncio.sleep(0)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            # eight more need all eight threads, which a read of ten minutes would still have
            for number in range(8):
                outcome = await asyncio.wait_for(made.read(f"ns{number}", model=f"good/model-{number}"), 15)
                assert outcome.answer.reason is None
            again = [asyncio.create_task(made.read(f"ns{number}", model=f"slow/again-{number}")) for number in range(8)]
            while len(asked) < 8 + 16 + 8:
                await asyncio.sleep(0)
            made.models.close()
            outcomes = await asyncio.wait_for(asyncio.gather(*again), 15)
            assert {outcome.answer.reason for outcome in outcomes} == {"HubUnreachable"}
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("hub_")]
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)

    asyncio.run(main())


def test_a_hub_that_trickles(hub: HubServer, tmp_path: Path) -> None:
    """A byte now and then keeps a connection alive for ever: a reading has an end of its own, and others go on."""
    settings = replace(SETTINGS, timeout_seconds=0.2)

    handlers: list[asyncio.Task[Any] | None] = []
    over = asyncio.Event()

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
        while not over.is_set():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def main() -> None:
        trickling = await asyncio.start_server(trickle, "127.0.0.1", 0)
        host, port = trickling.sockets[0].getsockname()
        async with world(hub, tmp_path, settings, f"http://{host}:{port}") as made:
            outcome = await asyncio.wait_for(made.read(), 30)
            assert (outcome.answer.reason, outcome.answer.transient) == ("HubUnreachable", True)
            assert f"{MISTRAL} could not be read from http://{host}:{port}: it did not" in outcome.answer.message
            assert outcome.again_seconds == 5
        trickling.close()
        over.set()
        await asyncio.gather(*(handler for handler in handlers if handler is not None))

    asyncio.run(main())


def test_a_hub_that_is_away_for_days(hub: HubServer, tmp_path: Path) -> None:
    """The wait does not grow beyond the longest, nor end in an error."""

    async def main() -> None:
        async with world(hub, tmp_path, endpoint="http://127.0.0.1:1") as made:
            for _ in range(1100):
                outcome = await made.read()
                made.now += outcome.again_seconds
            assert outcome.again_seconds == 300

    asyncio.run(main())
