"""The work queue: nothing is lost, nothing is done twice at once, and what fails waits longer each time."""

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_operator.controller.keys import Key
from mistral_operator.controller.queue import Cause, WorkQueue
from unit.virtual_time import now, run

A, B, C = Key("ns", "a"), Key("ns", "b"), Key("ns", "c")
HOUR = 3600.0


async def taken(queue: WorkQueue, within: float = 0.0) -> list[tuple[Key, Cause]]:
    """Return what can be taken within some seconds, in order; nothing is given back."""
    found = []
    try:
        async with asyncio.timeout(within + 0.001):
            while True:
                found.append(await queue.take())
    except TimeoutError:
        return found


def test_keys_come_in_order_of_arrival() -> None:
    """First come, first served."""

    async def main() -> None:
        queue = WorkQueue(now)
        for key in (B, A, C):
            queue.add(key, Cause.DUE)
        assert len(queue) == 3
        assert await taken(queue) == [(B, Cause.DUE), (A, Cause.DUE), (C, Cause.DUE)]
        assert len(queue) == 0

    run(main())


@pytest.mark.parametrize(
    ("causes", "strongest"),
    [
        ([Cause.WATCHED, Cause.WATCHED], Cause.WATCHED),
        ([Cause.WATCHED, Cause.DUE], Cause.DUE),
        ([Cause.DUE, Cause.WATCHED], Cause.DUE),
    ],
)
@pytest.mark.parametrize("active", [False, True])
def test_a_key_waits_once(causes: list[Cause], strongest: Cause, active: bool) -> None:
    """Of many wishes for one key one is left, with the strongest cause, also while the key is worked on."""

    async def main() -> None:
        queue = WorkQueue(now)
        if active:
            queue.add(A, Cause.DUE)
            await queue.take()
        for cause in causes:
            queue.add(A, cause)
        assert len(queue) == 1
        if active:
            queue.done(A)
        assert await taken(queue) == [(A, strongest)]

    run(main())


def test_namespaces_are_served_in_turn() -> None:
    """One that wants thousands of keys worked on is no reason for another's one to wait for them; each is in order."""

    async def main() -> None:
        queue = WorkQueue(now)
        many = [Key("many", str(number)) for number in range(10_000)]
        for key in [*many, Key("few", "a"), Key("few", "b"), Key("one", "a")]:
            queue.add(key, Cause.DUE)
        assert len(queue) == 10_003
        found = [key for key, _ in await taken(queue)]
        assert found[:6] == [many[0], Key("few", "a"), Key("one", "a"), many[1], Key("few", "b"), many[2]]
        assert found[6:] == many[3:]
        assert len(queue) == 0

    run(main())


@pytest.mark.parametrize(
    ("workers", "namespaces", "held"),
    [
        pytest.param(16, 1, [12], id="one of them alone"),
        pytest.param(16, 2, [7, 7], id="two"),
        pytest.param(16, 3, [5, 5, 5], id="three"),
        pytest.param(8, 1, [6], id="a pool of eight"),
        pytest.param(4, 1, [3], id="a pool of four"),
        pytest.param(1, 1, [1], id="a single worker"),
    ],
)
def test_a_share_is_kept_free(workers: int, namespaces: int, held: list[int]) -> None:
    """Keys that never end hold so many workers, and there is one for whoever comes."""

    async def main() -> None:
        queue = WorkQueue(now, workers)
        for number, namespace in itertools.product(range(100), range(namespaces)):
            queue.add(Key(str(namespace), str(number)), Cause.DUE)
        workers_busy = [asyncio.create_task(queue.take()) for _ in range(workers)]
        await asyncio.sleep(1)
        found = [task.result()[0] for task in workers_busy if task.done()]
        assert sorted(Counter(key.namespace for key in found).values()) == held
        if len(found) < workers:
            queue.add(Key("another", "a"), Cause.DUE)
            await asyncio.sleep(1)
            assert ("another", "a") in [task.result()[0] for task in workers_busy if task.done()]

    run(main())


def test_a_namespace_at_its_limit_goes_on_when_a_key_is_done() -> None:
    """Whoever waits hears of it, although nothing new was added; nobody else's key is lost meanwhile."""

    async def main() -> None:
        queue, done = WorkQueue(now, 4), []

        async def worker() -> None:
            while True:
                key, _ = await queue.take()
                await asyncio.sleep(10)
                done.append(key)
                queue.done(key)

        tasks = [asyncio.create_task(worker()) for _ in range(4)]
        for number in range(30):
            queue.add(Key("ns", str(number)), Cause.DUE)
        await asyncio.sleep(101)
        assert len(done) == 30  # three at a time
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run(main())


def test_a_key_has_one_worker() -> None:
    """What is added while it is worked on is worked on afterwards, once, and not before."""

    async def main() -> None:
        queue = WorkQueue(now)
        queue.add(A, Cause.DUE)
        assert await taken(queue) == [(A, Cause.DUE)]
        queue.add(A, Cause.DUE)
        queue.add(A, Cause.DUE)
        assert await taken(queue, HOUR) == []
        queue.done(A)
        assert await taken(queue, HOUR) == [(A, Cause.DUE)]
        queue.done(A)
        assert await taken(queue, HOUR) == []

    run(main())


def test_a_worker_that_waits_is_woken() -> None:
    """All of many workers wait; each of many keys wakes one, and keys added at once are worked on at once."""

    async def main() -> None:
        queue = WorkQueue(now)
        workers = [asyncio.create_task(queue.take()) for _ in range(16)]
        await asyncio.sleep(1)
        keys = [Key("ns", str(number)) for number in range(16)]
        for key in keys[:8]:
            queue.add(key, Cause.DUE)
        await asyncio.sleep(0)
        for key in keys[8:]:
            queue.add(key, Cause.DUE)
        found = await asyncio.wait_for(asyncio.gather(*workers), 1)
        assert sorted(key for key, _ in found) == sorted(keys)

    run(main())


def test_a_worker_that_is_cancelled_takes_nothing_with_it() -> None:
    """A key goes to another worker when the one it woke is cancelled before it runs."""

    async def main() -> None:
        queue = WorkQueue(now)
        first, second = (asyncio.create_task(queue.take()) for _ in range(2))
        await asyncio.sleep(1)
        queue.add(A, Cause.DUE)
        first.cancel()
        assert await asyncio.wait_for(second, 1) == (A, Cause.DUE)
        await asyncio.wait({first})

    run(main())


def test_later() -> None:
    """A key comes when its time has come, to the second, and is due whatever was seen."""

    async def main() -> None:
        queue = WorkQueue(now)
        queue.add_after(A, 10)
        queue.add_after(B, 5)
        assert await taken(queue, 4.9) == []
        assert await taken(queue, 0.2) == [(B, Cause.DUE)]
        assert await taken(queue, 4.8) == []
        assert await taken(queue, 0.2) == [(A, Cause.DUE)]

    run(main())


@pytest.mark.parametrize("seconds", [[10, 5], [5, 10], [1, HOUR, 7]])
def test_the_last_wish_counts(seconds: list[float]) -> None:
    """A key waits for one time only: the last that was said, be it sooner or later."""

    async def main() -> None:
        queue = WorkQueue(now)
        for wish in seconds:
            queue.add_after(A, wish)
        assert await taken(queue, seconds[-1] - 0.1) == []
        assert await taken(queue, 0.2) == [(A, Cause.DUE)]
        assert await taken(queue, 2 * HOUR) == []

    run(main())


def test_sooner_wakes_a_worker_that_waits_for_later() -> None:
    """A worker that sleeps until tomorrow hears of what is due today."""

    async def main() -> None:
        queue = WorkQueue(now)
        queue.add_after(A, HOUR)
        worker = asyncio.create_task(queue.take())
        await asyncio.sleep(1)
        queue.add_after(B, 1)
        assert await asyncio.wait_for(worker, 2) == (B, Cause.DUE)

    run(main())


def test_backoff() -> None:
    """It doubles from a tenth of a second to half a minute, for each key on its own, and never ends in an error."""

    async def main() -> None:
        queue = WorkQueue(now)
        waits = [queue.retry(A) for _ in range(12)]
        assert waits[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
        assert waits[-3:] == [30.0, 30.0, 30.0]
        assert queue.retry(B) == pytest.approx(0.1)
        for _ in range(2000):  # half a day of an API server that is away
            assert queue.retry(A) == 30.0

    run(main())


@pytest.mark.parametrize("how", ["succeeded", "forget"])
def test_backoff_is_forgotten(how: str) -> None:
    """The first failure after a success is the first."""

    async def main() -> None:
        queue = WorkQueue(now)
        for _ in range(5):
            queue.retry(A)
        getattr(queue, how)(A)
        assert queue.retry(A) == pytest.approx(0.1)

    run(main())


def test_a_retry_comes() -> None:
    """A failed key is due again after its wait."""

    async def main() -> None:
        queue = WorkQueue(now)
        queue.add(A, Cause.WATCHED)
        await queue.take()
        queue.retry(A)
        queue.done(A)
        assert await taken(queue, 0.05) == []
        assert await taken(queue, 0.1) == [(A, Cause.DUE)]

    run(main())


def test_what_is_forgotten_does_not_come() -> None:
    """An object that is gone is not looked at again for a time that was set while it was there."""

    async def main() -> None:
        queue = WorkQueue(now)
        queue.add_after(A, 1)
        queue.forget(A)
        assert await taken(queue, HOUR) == []

    run(main())


def test_how_long_the_slowest_has_been_at_it() -> None:
    """Nobody works: 0. Else the oldest."""

    async def main() -> None:
        queue = WorkQueue(now)
        assert queue.longest_active_seconds() == 0
        for key in (A, B):
            queue.add(key, Cause.DUE)
            await queue.take()
            await asyncio.sleep(10)
        assert queue.longest_active_seconds() == pytest.approx(20)
        queue.done(A)
        assert queue.longest_active_seconds() == pytest.approx(10)

    run(main())


def test_memory_is_bounded_by_the_keys() -> None:
    """A key that changes all day and is to be looked at again in an hour leaves no pile of wishes."""

    async def main() -> None:
        queue = WorkQueue(now)
        for _ in range(10_000):
            queue.add(A, Cause.WATCHED)
            await queue.take()
            queue.retry(A)
            queue.succeeded(A)
            queue.add_after(A, HOUR)
            queue.done(A)
        assert sum(len(kept) for kept in _containers(queue)) < 200
        queue.forget(A)
        assert await taken(queue, 2 * HOUR) == []
        assert sum(len(kept) for kept in _containers(queue)) == 0

    run(main())


def _containers(queue: WorkQueue) -> list[Any]:
    return [kept for kept in vars(queue).values() if isinstance(kept, dict | list)]


_SECONDS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0])
_KEYS = [A, B, C, Key("other", "a"), Key("other", "b")]
_WISHES = st.lists(st.tuples(_SECONDS, st.sampled_from(_KEYS), st.one_of(st.none(), _SECONDS)), max_size=12)


@settings(max_examples=60)
@given(wishes=_WISHES, workers=st.integers(1, 4), work_seconds=_SECONDS)
def test_nothing_is_lost(wishes: list[tuple[float, Key, float | None]], workers: int, work_seconds: float) -> None:
    """However wishes and workers meet: after each wish its key is worked on, and never by two at once."""
    begun: list[tuple[Key, float]] = []
    wanted: dict[Key, float] = {}

    async def worker(queue: WorkQueue, busy: set[Key]) -> None:
        while True:
            key, _ = await queue.take()
            assert key not in busy
            busy.add(key)
            begun.append((key, now()))
            await asyncio.sleep(work_seconds)
            busy.remove(key)
            queue.done(key)

    async def main() -> None:
        queue, busy = WorkQueue(now, workers), set[Key]()
        tasks = [asyncio.create_task(worker(queue, busy)) for _ in range(workers)]
        later: dict[Key, float] = {}
        for pause, key, after in wishes:
            await asyncio.sleep(pause)
            if after is None:
                queue.add(key, Cause.WATCHED)
                wanted[key] = max(now(), wanted.get(key, 0))
            else:
                queue.add_after(key, after)
                later[key] = now() + after
        await asyncio.sleep(100)
        for key, due in later.items():
            wanted[key] = max(due, wanted.get(key, 0))
        assert len(queue) == 0
        assert not busy
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run(main())
    assert {key for key, _ in begun} >= wanted.keys()
    for key, since in wanted.items():
        assert max(at for worked_on, at in begun if worked_on == key) >= since - 1e-6
    assert len(begun) <= len(wishes)
