"""Slots that no owner can take from the others."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_operator.controller.fair_slots import FairSlots


def on_loop(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop."""

    async def run() -> None:
        await test()

    asyncio.run(run())


def granted(requests: "list[asyncio.Future[bool]]") -> int:
    """Return how many requests got a slot."""
    return sum(request.done() and not request.cancelled() and request.result() for request in requests)


def test_one_owner_gets_its_share_and_no_more() -> None:
    """Also while nobody else asks: who comes next finds a slot."""

    async def test() -> None:
        slots = FairSlots(8, 4)
        hostile = [slots.request("hostile") for _ in range(200)]
        assert granted(hostile) == 4
        good = slots.request("good")
        assert await good
        assert slots.waiting == 196
        slots.release("hostile")
        assert granted(hostile) == 5

    on_loop(test)


def test_owners_take_turns() -> None:
    """A slot that comes free goes to whoever has waited for a turn the longest, however many each asks for."""

    async def test() -> None:
        slots = FairSlots(2, 1)
        many = [slots.request("many") for _ in range(50)]
        few = [slots.request("few") for _ in range(2)]
        other = [slots.request("other") for _ in range(2)]
        assert (granted(many), granted(few), granted(other)) == (1, 1, 0)
        slots.release("many")
        assert (granted(many), granted(few), granted(other)) == (1, 1, 1)
        slots.release("few")
        assert (granted(many), granted(few), granted(other)) == (2, 1, 1)
        slots.release("other")
        assert (granted(many), granted(few), granted(other)) == (2, 2, 1)

    on_loop(test)


def test_requests_that_are_over_take_no_slot() -> None:
    """Whether withdrawn, given up while waiting, or given up when the slot had come."""

    async def test() -> None:
        slots = FairSlots(1, 1)
        first, withdrawn, given_up, last = (slots.request("owner") for _ in range(4))
        slots.withdraw(withdrawn)
        assert not await withdrawn
        slots.give_up("owner", given_up)
        slots.give_up("owner", first)
        assert await last
        slots.release("owner")
        assert slots.waiting == 0
        assert await slots.request("another")

    on_loop(test)


@given(st.data(), st.integers(1, 6), st.integers(1, 4))
def test_slots_are_neither_lost_nor_made(data: st.DataObject, total: int, share: int) -> None:
    """Whatever happens in whatever order: bounds hold, and no slot is free while somebody may have it."""

    async def test() -> None:
        slots = FairSlots(total, share)
        held: Counter[str] = Counter()
        waiting: list[tuple[str, asyncio.Future[bool]]] = []
        for _ in range(data.draw(st.integers(1, 40))):
            owner = data.draw(st.sampled_from("abc"))
            match data.draw(st.sampled_from(["request", "release", "withdraw", "give up"])):
                case "request":
                    waiting.append((owner, slots.request(owner)))
                case "release" if held[owner]:
                    held[owner] -= 1
                    slots.release(owner)
                case "withdraw" if waiting:
                    slots.withdraw(waiting[0][1])
                case "give up" if waiting:
                    slots.give_up(*waiting.pop(0))
            for one in list(waiting):
                if one[1].done():
                    waiting.remove(one)
                    held[one[0]] += one[1].result()
            assert max(held.values(), default=0) <= share
            assert held.total() <= total
            assert slots.waiting == len(waiting)
            may = [owner for owner, _ in waiting if held[owner] < share]
            assert not may or held.total() == total

    on_loop(test)


@pytest.mark.parametrize("total", [1, 2])
def test_small_numbers(total: int) -> None:
    """With one slot there is nothing to share, and everybody gets it in turn."""

    async def test() -> None:
        slots = FairSlots(total, max(1, total // 2))
        requests = [("a", slots.request("a")), ("b", slots.request("b")), ("a", slots.request("a"))]
        for owner, request in requests:
            assert await request
            slots.release(owner)

    on_loop(test)
