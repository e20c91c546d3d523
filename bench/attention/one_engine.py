"""One whole engine on Mistral-7B-v0.1's geometry with random weights: how fast it prefills and decodes.

Needs a GPU and vLLM 0.26. An engine's memory is not given back, so a process measures one::

    python -m bench.attention.one_engine XFORMERS --run 8192:1,8,32 --json measured.json

``FLASH_ATTN:64`` also asks for blocks of 64 tokens; without it each backend has the size that vLLM gives it. Decode is
timed on requests that are all past their prompts; from the largest batch down, each smaller one is what is left when
the others are aborted, so every prompt is computed once.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

CONFIG: Final = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 65536,
    "sliding_window": 4096,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-5,
    "torch_dtype": "bfloat16",
}
_BATCHED_TOKENS: Final = 8192
_STEPS: Final = 64
_SETTLING_STEPS: Final = 6
_SPARE_TOKENS: Final = 2048  # of the model length, for what is decoded while others still prefill, and while timed


class Run(NamedTuple):
    """One context length, and the batch sizes to decode at."""

    context: int
    batches: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Run":
        """Parse ``8192:1,8,32``.

        Raises
        ------
        ValueError
            For anything else.
        """
        context, _, batches = text.partition(":")
        try:
            parsed = cls(int(context), tuple(sorted({int(batch) for batch in batches.split(",")}, reverse=True)))
        except ValueError as error:
            raise ValueError(f"{text!r} is not of the form CONTEXT:BATCH,BATCH such as 8192:1,8,32") from error
        if parsed.context < 1 or min(parsed.batches) < 1:
            raise ValueError(f"{text!r} has a length or a batch below 1")
        return parsed


def largest_batch(run: Run, cache_tokens: int) -> int:
    """Return how many sequences of a run the KV cache holds: their windows, and the prompts that are being computed."""
    window = int(str(CONFIG["sliding_window"]))
    return max(0, (cache_tokens - 3 * _BATCHED_TOKENS) // (min(window, run.context) + 256))


def measure(backend: str, runs: Sequence[Run], gpus: int = 1) -> dict[str, Any]:
    """Start one engine in this process, its layers split over so many GPUs, and measure it."""
    os.environ.update(HF_HUB_OFFLINE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    # Here, since vLLM reads the environment when it is imported
    import torch  # noqa: PLC0415
    import vllm  # noqa: PLC0415

    name, _, block_size = backend.partition(":")
    if name == "XFORMERS":
        from mistral_vllm.plugin import register  # noqa: PLC0415

        os.environ["MISTRAL_VLLM_REQUIRED"] = "1"
        register()
    chosen = {} if name == "AUTO" else {"attention_backend": "CUSTOM" if name == "XFORMERS" else name}
    if block_size:
        chosen["block_size"] = int(block_size)  # type: ignore[assignment]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(CONFIG))
        llm = vllm.LLM(
            folder,
            skip_tokenizer_init=True,
            load_format="dummy",
            gpu_memory_utilization=0.9,
            max_model_len=max(run.context for run in runs) + _SPARE_TOKENS,
            max_num_seqs=max(max(run.batches) for run in runs),
            max_num_batched_tokens=_BATCHED_TOKENS,
            enable_prefix_caching=False,
            tensor_parallel_size=gpus,
            **chosen,
        )
    boot_seconds = time.perf_counter() - begun
    cache = llm.llm_engine.vllm_config.cache_config
    generator = torch.Generator().manual_seed(0)
    measured: dict[str, Any] = {
        "backend": backend,
        "gpu": torch.cuda.get_device_name(0),
        "gpus": gpus,
        "vllm": vllm.__version__,
        "boot_seconds": round(boot_seconds, 1),
        "block_size": cache.block_size,
        "cache_tokens": cache.num_gpu_blocks * cache.block_size,
        "prefill": [],
        "decode": [],
    }
    for run in runs:
        fitting = tuple(batch for batch in run.batches if batch <= largest_batch(run, measured["cache_tokens"]))
        if fitting != run.batches:
            measured.setdefault("left_out", []).append(
                {
                    "context": run.context,
                    "batches": sorted(set(run.batches) - set(fitting)),
                    "why": "KV cache too small",
                }
            )
        measured["prefill"] += [_prefill(llm, run.context, count, generator) for count in (1, 4)]
        measured["decode"] += _decode(llm, run._replace(batches=fitting), generator) if fitting else []
    return measured


def _prompts(count: int, tokens: int, generator: Any) -> list[dict[str, Any]]:
    import torch  # noqa: PLC0415

    shape = (count, tokens)
    vocabulary = int(str(CONFIG["vocab_size"]))
    return [{"prompt_token_ids": row} for row in torch.randint(3, vocabulary, shape, generator=generator).tolist()]


def _sampling(tokens: int) -> Any:
    from vllm import SamplingParams  # noqa: PLC0415
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

    return SamplingParams(
        max_tokens=tokens,
        temperature=0.0,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )


def _prefill(llm: Any, context: int, count: int, generator: Any) -> dict[str, Any]:
    """Return tokens a second of prompts that end with their first token: the best of three."""
    best = float("inf")
    for attempt in range(3):
        prompts = _prompts(count, context, generator)
        begun = time.perf_counter()
        for index, prompt in enumerate(prompts):
            llm.llm_engine.add_request(f"prefill-{context}-{count}-{attempt}-{index}", prompt, _sampling(1))
        while llm.llm_engine.has_unfinished_requests():
            llm.llm_engine.step()
        best = min(best, time.perf_counter() - begun)
    return {"context": context, "batch": count, "tokens_per_second": round(count * context / best)}


def _decode(llm: Any, run: Run, generator: Any) -> list[dict[str, Any]]:
    """Time decode steps at each batch size, from the largest down."""
    engine, rows = llm.llm_engine, []
    running = [f"decode-{run.context}-{index}" for index in range(run.batches[0])]
    for request, prompt in zip(running, _prompts(len(running), run.context, generator), strict=True):
        engine.add_request(request, prompt, _sampling(_SPARE_TOKENS - 8))
    waiting = set(running)
    while waiting:
        waiting -= {output.request_id for output in engine.step()}
    for batch in run.batches:
        engine.abort_request(running[batch:])
        del running[batch:]
        _step_until(engine, batch * _SETTLING_STEPS)
        begun = time.perf_counter()
        _step_until(engine, batch * _STEPS)
        seconds = (time.perf_counter() - begun) / _STEPS
        rows.append({"context": run.context, "batch": batch, "ms_per_step": round(seconds * 1e3, 3)})
    engine.abort_request(running)
    while engine.has_unfinished_requests():
        engine.step()
    return rows[::-1]


def _step_until(engine: Any, tokens: int) -> None:
    """Step until so many tokens came out; with asynchronous scheduling a call may bring none."""
    calls = 0
    while tokens > 0:
        tokens -= len(engine.step())
        calls += 1
        if calls > 3 * _STEPS:
            raise RuntimeError("decode steps lack requests: the KV cache is too small for this batch")


def main() -> None:
    """Measure one backend and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend", metavar="BACKEND", help="XFORMERS, AUTO, or a name of vLLM's; NAME:BLOCK")
    parser.add_argument("--run", action="append", type=Run.parse, required=True, help="CONTEXT:BATCH,BATCH")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=1)
    arguments = parser.parse_args()
    measured = measure(arguments.backend, arguments.run, arguments.gpus)
    arguments.json.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
