"""vLLM's engine without a server, in a process of its own: several models one after the other.

Run as a script, it reads jobs as JSON from its argument and writes the answers beside it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TOKENS = 24
_BOUND_SECONDS = 900.0  # as for a server


class Generated(NamedTuple):
    """What an engine decoded greedily after the prompt."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]


class Ran(NamedTuple):
    """One process: an answer for each job up to the first that failed, and everything that it printed."""

    answers: tuple[Generated, ...]
    exit_code: int
    log: str


class Engines(NamedTuple):
    """Starts engines; ``folder`` is for their logs."""

    caches: Path
    folder: Path

    def run(self, name: str, jobs: Sequence[Mapping[str, Any]], env: Mapping[str, str] | None = None) -> Ran:
        """Decode with each of the engine arguments in ``jobs``."""
        from image.processes import environment, running, until  # noqa: PLC0415 - the script below has no such path
        from image.tiny import MAX_MODEL_LEN_TOKENS, PROMPT  # noqa: PLC0415

        ask, log = self.folder / f"{name}.json", self.folder / f"{name}.log"
        common = {
            "dtype": "float32", "max_model_len": MAX_MODEL_LEN_TOKENS, "block_size": 16, "enforce_eager": True,
            "skip_tokenizer_init": True,
        }  # fmt: skip
        ask.write_text(json.dumps({"prompt": PROMPT, "jobs": [common | dict(job) for job in jobs]}))
        # without a process of its own for the engine, and with workers that need not import everything again
        ours = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_WORKER_MULTIPROCESSING_METHOD": "fork"}
        with running([__file__, str(ask)], log, environment(self.caches, ours | dict(env or {}))) as process:
            until(f"{name} to decode", lambda: process.poll() is not None, log, seconds=_BOUND_SECONDS)
        answers = [json.loads(line) for line in ask.with_suffix(".answers").read_text().splitlines()]
        return Ran(
            tuple(Generated(tuple(answer["tokens"]), tuple(answer["logprobs"])) for answer in answers),
            process.returncode,
            log.read_text(),
        )


def _main(ask: Path) -> None:
    from vllm import LLM, SamplingParams  # noqa: PLC0415
    from vllm.inputs import TokensPrompt  # noqa: PLC0415

    asked = json.loads(ask.read_text())
    greedy = SamplingParams(temperature=0, max_tokens=TOKENS, ignore_eos=True, logprobs=0, detokenize=False)
    with ask.with_suffix(".answers").open("w") as answers:
        for job in asked["jobs"]:
            engine = LLM(**job)
            output = engine.generate(TokensPrompt(prompt_token_ids=asked["prompt"]), greedy)[0].outputs[0]
            logprobs = [entry[token].logprob for entry, token in zip(output.logprobs, output.token_ids, strict=True)]
            print(json.dumps({"tokens": list(output.token_ids), "logprobs": logprobs}), file=answers, flush=True)
            engine.llm_engine.engine_core.shutdown()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
