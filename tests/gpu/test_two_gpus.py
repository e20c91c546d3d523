"""Mistral-7B's geometry on two GPUs (tensor parallel): started by the plan unchanged, against the same on one GPU.

The noise is FLASH_ATTN's: another split of the sums gives other roundings with any backend. Log-probabilities of
prompts are compared token by token, those of decoded tokens until the first that differs. Each layout needs four
servers; ``-k sliding`` starts those of one. With ``--share-gpu`` they run side by side, and where there is one GPU both
ranks run on it in turns: that takes less time, needs 140 GB a GPU, and tells nothing of a pod's memory.
"""

import random
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

import pytest
import torch

from gpu.conftest import PARALLEL, keep
from gpu.large_model import LAYOUTS, MAX_MODEL_LEN, VOCABULARY, WINDOW, save
from gpu.serving import ask, is_installed, plan, save_tokenizer, served

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not is_installed(), reason="needs the package installed with its entry points"),
]

_BACKENDS: Final = ("XFORMERS", "FLASH_ATTN")
_DECODED: Final = 64  # tokens of each prompt
_PROMPTS: Final = 16
_NOISIER: Final = 1.25  # than FLASH_ATTN, where a mean over some hundred tokens counts as the same
# Noise that could hide errors: of weights of 0.02 and 4,096 channels, unrelated logits are 0.02·√4096·2/√π = 1.4 apart
_BLIND: Final = 0.2
_SHARED_MEMORY: Final = (  # of a GPU on which several servers run at once: no share of what is free, as that changes
    *("--gpu-memory-utilization", "0.2"),
    *("--kv-cache-memory-bytes", str(12 * 2**30)),
)


class Kind(NamedTuple):
    """One server of a layout."""

    backend: str
    gpus: int

    def __str__(self) -> str:
        return f"{self.backend}-{self.gpus}"


_KINDS: Final = (  # in the order of their runs
    Kind("XFORMERS", 2),
    *(Kind(backend, 1) for backend in _BACKENDS),
    Kind("FLASH_ATTN", 2),
)


class Answered(NamedTuple):
    """What one server told and answered."""

    plan: dict[str, Any]
    told: dict[str, Any]
    metrics: str
    choices: list[dict[str, Any]]


class Servers:
    """Runs every server of a layout once: two that need one GPU side by side, those that need both alone.

    On shared GPUs two a GPU at a time.
    """

    def __init__(self, model: Path, shared: bool) -> None:
        self.layout, self.shared = model.name, shared
        self._model = model
        self._gpus = (Lock(), Lock())
        self._pool = ThreadPoolExecutor(2 * torch.cuda.device_count() if shared else 2)
        self._runs: dict[Kind, Future[Answered]] = {kind: self._pool.submit(self._run, kind) for kind in _KINDS}

    def close(self) -> None:
        """Start no more, and wait for those that run."""
        self._pool.shutdown(cancel_futures=True)

    def answered(self, kind: Kind) -> Answered:
        """Return what one server answered; fails with the end of its log where it did not start."""
        return self._runs[kind].result()

    def _run(self, kind: Kind) -> Answered:
        flags = [
            "--gpus",
            str(kind.gpus),
            *(() if kind.backend == "XFORMERS" else ("--attention-backend", kind.backend)),
        ]
        gpus = [0, 1] if kind.gpus == 2 else [int(kind.backend == "XFORMERS")]
        with ExitStack() as held:
            if self.shared:
                gpus = [gpu % torch.cuda.device_count() for gpu in gpus]
            else:
                for gpu in gpus:
                    held.enter_context(self._gpus[gpu])
            planned = plan(self._model, MAX_MODEL_LEN, *flags)
            more_args = _SHARED_MEMORY if self.shared else ()
            url = held.enter_context(served(planned, self._model / f"{kind}.log", gpus, more_args))
            told = ask(f"{url}/v1/attention")[1]
            return Answered(planned, told, ask(f"{url}/metrics", key=None)[1], _complete(url, planned["args"][0]))


def _complete(url: str, model: str) -> list[dict[str, Any]]:
    rng = random.Random(0)  # noqa: S311 - prompts are no secret
    lengths = [3 * WINDOW + 64, *(rng.randint(20, 3 * WINDOW) for _ in range(_PROMPTS - 1))]
    body = {
        "model": model,
        "prompt": [[rng.randrange(3, VOCABULARY) for _ in range(length)] for length in lengths],
        "max_tokens": _DECODED,
        "min_tokens": _DECODED,
        "temperature": 0,
        "ignore_eos": True,
        "logprobs": 1,
        "prompt_logprobs": 0,
        "return_token_ids": True,
    }
    status, answer = ask(f"{url}/v1/completions", body=body)
    assert status == 200, answer
    return [
        {
            "tokens": choice["token_ids"],
            "logprobs": choice["logprobs"]["token_logprobs"],
            "promptLogprobs": [next(iter(step.values()))["logprob"] for step in choice["prompt_logprobs"][1:]],
        }
        for choice in sorted(answer["choices"], key=lambda choice: choice["index"])
    ]


class Apart(NamedTuple):
    """Mean absolute differences of log-probabilities, and of how many decoded tokens."""

    prompt: float
    decode: float
    decoded_tokens: int


def apart(some: Answered, others: Answered) -> Apart:
    """Return how far two servers of one model are apart."""
    prompt: list[float] = []
    decode: list[float] = []
    for one, other in zip(some.choices, others.choices, strict=True):
        prompt += map(_distance, one["promptLogprobs"], other["promptLogprobs"])
        for step, (token, its) in enumerate(zip(one["tokens"], other["tokens"], strict=True)):
            if token != its:
                break
            decode.append(_distance(one["logprobs"][step], other["logprobs"][step]))
    return Apart(sum(prompt) / len(prompt), sum(decode) / len(decode), len(decode))


def _distance(one: float, other: float) -> float:
    return abs(one - other)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Write one folder for each layout."""
    if torch.cuda.device_count() < (1 if pytestconfig.getoption("--share-gpu") else 2):
        pytest.skip("needs two GPUs, or --share-gpu and one")
    folder = tmp_path_factory.mktemp("large")
    save(folder)
    for layout in LAYOUTS:
        save_tokenizer(folder / layout, VOCABULARY)
    return folder


@pytest.fixture(scope="module", params=list(LAYOUTS))
def servers(models: Path, request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Start every server of a layout in its turn."""
    started = Servers(models / request.param, shared=bool(request.config.getoption("--share-gpu")))
    yield started
    started.close()


def test_both_ranks_run_what_the_plan_says(servers: Servers) -> None:
    """The args of ``plan --gpus 2`` start it; the ranks share one table, have half of the heads, and agree with it."""
    answered = servers.answered(Kind("XFORMERS", 2))
    planned, told = answered.plan, answered.told
    keep(f"served-two-gpus-{servers.layout}.json", {"args": planned["args"], "plan": planned["attention"], "pod": told})
    for word in ("backends", "slidingWindow", "layers"):
        assert told[word] == planned["attention"][word], word
    assert (told["ranks"], told["ranksAgree"], told["warnings"]) == (2, True, [])
    sliding = told["kinds"][0]
    assert (sliding["queryHeads"], sliding["kvHeads"]) == (16, 4)
    assert sliding["kernels"]["decodeKernel"] == "xformers_splitk"
    assert sliding["kernels"]["decodeTable"]


@pytest.mark.parametrize("gpus", [1, 2])
def test_the_plans_memory_is_vllms(servers: Servers, gpus: int) -> None:
    """Tokens of KV cache differ from those that vLLM allocated by less than 5 %."""
    if servers.shared:
        pytest.skip("the plan gives a pod whole GPUs")
    answered = servers.answered(Kind("XFORMERS", gpus))
    found = re.search(r'vllm:cache_config_info\{.*kv_cache_size_tokens="(\d+)"', answered.metrics)
    assert found
    memory = answered.plan["memory"]
    keep(f"memory-{servers.layout}-{gpus}.json", {"plan": memory, "kv_cache_size_tokens": int(found[1])})
    assert memory["kvCacheTokens"] == pytest.approx(int(found[1]), rel=0.05)


def test_two_gpus_agree_with_one_as_flash_attn_does(servers: Servers, record_property: Any) -> None:
    """Prompts and decoded tokens of two GPUs and of one are no further apart than FLASH_ATTN's."""
    found = {}
    for backend in _BACKENDS:
        one, two = (servers.answered(Kind(backend, gpus)) for gpus in (1, 2))
        found[backend] = apart(one, two)
        record_property(PARALLEL, {"backend": backend, "layout": servers.layout, **found[backend]._asdict()})
    ours, noise = found["XFORMERS"], found["FLASH_ATTN"]
    assert max(noise.prompt, noise.decode) < _BLIND
    assert ours.decoded_tokens > _PROMPTS
    assert ours.prompt <= _NOISIER * noise.prompt
    assert ours.decode <= _NOISIER * noise.decode
