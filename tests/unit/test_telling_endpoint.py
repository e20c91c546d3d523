"""The report is asked for once, shown as a gauge, and never stands in the way of the server."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mistral_vllm.telling.endpoint import Attention, AttentionInfo
from mistral_vllm.telling.report import Untold
from unit.telling_facts import FULL, kernels, layer, rank


class Engine:
    """vLLM's engine, as far as it is asked: each call takes the next answer, the last one for ever."""

    def __init__(self, *answers: list[Any] | Exception) -> None:
        self.answers: list[list[Any] | Exception] = list(answers)
        self.calls: list[str] = []

    async def collective_rpc(self, method: str) -> list[Any]:
        """Answer, or fail, after others have had their turn."""
        self.calls.append(method)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, list):
            return answer
        raise answer


PENDING = rank(0, layer(told=kernels(decodeTable=[], decodeTableSource="Pending")))


def tell(
    engine: Engine | None, rounds: int = 1, at_once: int = 1, registry: CollectorRegistry | None = None
) -> list[list[Any]]:
    """Ask so many times at once, round after round; return the reports, or sentences where there is none."""

    async def main() -> list[list[Any]]:
        attention = Attention(engine, AttentionInfo(registry or CollectorRegistry()))
        return [
            list(await asyncio.gather(*(attention.tell() for _ in range(at_once)), return_exceptions=True))
            for _ in range(rounds)
        ]

    return asyncio.run(main())


def test_asked_once() -> None:
    """Many requests at once are one question, by the name that workers know; and so are those that come later."""
    engine = Engine([rank(0, layer())])
    found = tell(engine, rounds=2, at_once=5)
    assert [[one["slidingWindow"] for one in round_] for round_ in found] == [[4096] * 5] * 2
    assert engine.calls == ["mistral_vllm_attention_facts"]


def test_asked_again_while_a_table_is_to_come() -> None:
    """The table is known after the first step; from then on nobody is asked."""
    engine = Engine([PENDING], [PENDING], [rank(0, layer())])
    sources = [one["kinds"][0]["kernels"]["decodeTableSource"] for (one,) in tell(engine, rounds=5)]
    assert sources == ["Pending", "Pending", "Measured", "Measured", "Measured"]
    assert len(engine.calls) == 3


def test_asked_again_after_a_failure() -> None:
    """What failed once is no answer for ever; all who waited for it get it, without a question of their own."""
    engine = Engine(RuntimeError("busy"), [rank(0, layer())])
    failed, told = tell(engine, rounds=2, at_once=5)
    assert [str(one) for one in failed] == ["the engine cannot be asked: RuntimeError: busy"] * 5
    assert all(isinstance(one, Untold) for one in failed)
    assert [one["slidingWindow"] for one in told] == [4096] * 5
    assert len(engine.calls) == 2


def test_who_leaves_takes_the_answer_from_nobody() -> None:
    """A request that is cancelled was perhaps the one that asked."""

    async def main() -> dict[str, Any]:
        attention = Attention(Engine([rank(0, layer())]), AttentionInfo(CollectorRegistry()))
        leaving, staying = asyncio.create_task(attention.tell()), asyncio.create_task(attention.tell())
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(main())["slidingWindow"] == 4096


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        (None, "this server has no engine, so no attention runs here: ask the server that generates"),
        (Engine(TimeoutError()), "the engine did not answer within 30 s: ask again"),
        (Engine([{"rank": 0, "error": "KeyError: 'x'"}]), "no rank could tell of its layers: KeyError: 'x'"),
        (Engine([{"rank": 0}]), "what the workers answered cannot be told: KeyError: 'stage'"),
    ],
)
def test_nothing_to_tell(engine: Engine | None, sentence: str) -> None:
    """One sentence for whoever asks."""
    ((found,),) = tell(engine)
    assert isinstance(found, Untold)
    assert str(found) == sentence


@pytest.mark.parametrize(
    ("facts", "labels"),
    [
        (
            rank(0, layer(), FULL),
            'backend_full="FLASH_ATTN",backend_sliding="XFORMERS",window="4096",xformers="Available"',
        ),
        (
            rank(0, FULL, xformers="xFormers is not installed"),
            'backend_full="FLASH_ATTN",backend_sliding="none",window="none",xformers="Unavailable"',
        ),
    ],
)
def test_the_gauge(facts: Any, labels: str) -> None:
    """One series says what runs."""
    registry = CollectorRegistry()
    tell(Engine([facts]), registry=registry)
    shown = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert shown == [f"mistral_vllm_attention_info{{{labels}}} 1.0"]
