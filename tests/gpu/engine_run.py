"""One engine in a process of its own: reads what to run as JSON from the first argument's file, writes JSON beside it.

A process each, because an engine does not give its memory back, and because the model runner is chosen by environment.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Start, generate three times, write log-probabilities."""
    file = Path(sys.argv[1])
    wanted = json.loads(file.read_text())
    os.environ.update(wanted["environment"])
    # Here, since vLLM reads the environment when it is imported
    import vllm  # noqa: PLC0415

    facts: list[Any] = []  # of every rank
    if wanted["plugin"]:
        from mistral_vllm.plugin import register  # noqa: PLC0415
        from mistral_vllm.telling.worker import METHOD  # noqa: PLC0415

        register()
    begun = time.perf_counter()
    llm = vllm.LLM(wanted["model"], skip_tokenizer_init=True, seed=0, **wanted["engine"])
    boot_seconds = time.perf_counter() - begun
    if wanted["plugin"]:
        facts = llm.collective_rpc(METHOD)
    prompts = wanted["prompts"]
    answers = [
        _generate(llm, vllm, prompts, wanted["tokens"], prompt_logprobs=0),
        _generate(llm, vllm, prompts, wanted["tokens"]),  # again: hits in the prefix cache
        _generate(llm, vllm, wanted["continued"], wanted["tokens"]),  # the same beginnings, then a chunk of their own
    ]
    result = {"bootSeconds": boot_seconds, "facts": facts, "answers": answers}
    file.with_suffix(".out.json").write_text(json.dumps(result))


def _generate(llm: Any, vllm: Any, prompts: list[list[int]], tokens: int, **more: Any) -> list[dict[str, Any]]:
    sampling = vllm.SamplingParams(
        max_tokens=tokens, min_tokens=tokens, temperature=0, ignore_eos=True, detokenize=False, logprobs=0, **more
    )
    outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], sampling, use_tqdm=False)
    return [
        {
            "prompt": prompt,
            "cached": output.num_cached_tokens,
            "tokens": list(output.outputs[0].token_ids),
            "logprobs": _of_each(output.outputs[0].logprobs, output.outputs[0].token_ids),
            "promptLogprobs": _of_each((output.prompt_logprobs or [])[1:], prompt[1:]) if more else [],
        }
        for prompt, output in zip(prompts, outputs, strict=True)
    ]


def _of_each(found: Any, tokens: Any) -> list[float]:
    return [step[token].logprob for step, token in zip(found, tokens, strict=True)]


if __name__ == "__main__":
    main()
