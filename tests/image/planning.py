"""The operator's plan for a model, as a person gets it: from the command, in an environment of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

from image.tiny import MAX_MODEL_LEN_TOKENS

_COMMAND = Path(__file__).parents[2] / ".venv/bin/mistral-operator"


def plan(folder: Path, *, max_model_len_tokens: int = MAX_MODEL_LEN_TOKENS) -> dict[str, Any]:
    """Plan a local model for the CPU runtime, in float32 so that it can be compared token by token."""
    done = subprocess.run(  # noqa: S603 - our own command
        [_COMMAND, "plan", folder, "--runtime", "vllm-cpu", "--vllm", "0.26.0", "--dtype", "float32",
         "--max-model-len", str(max_model_len_tokens), "--extra-arg=--enforce-eager", "-o", "json"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    planned: dict[str, Any] = json.loads(done.stdout)
    return planned


def planned_arguments(folder: Path, *, max_model_len_tokens: int = MAX_MODEL_LEN_TOKENS) -> list[str]:
    """Return the plan's arguments, unchanged; the model, which ``vllm serve`` takes without a flag, gets one."""
    return ["--model", *plan(folder, max_model_len_tokens=max_model_len_tokens)["args"]]
