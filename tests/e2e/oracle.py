"""Runs in a pod that has vLLM's libraries: writes a tiny Mistral, and prints what transformers makes of a prompt.

``oracle.py FOLDER``: the model goes there, one JSON object to the standard output.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from image.tiny import PROMPT, WINDOW_TOKENS, save_tiny

TOKENS = 24


def decode(folder: Path, **config: int | None) -> list[int]:
    """Decode greedily after the prompt; ``config`` changes words of the model's config.json first."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32, **config)
    tokens: list[int] = []
    with torch.inference_mode():
        for _ in range(TOKENS):
            tokens.append(int(model(torch.tensor([[*PROMPT, *tokens]])).logits[0, -1].argmax()))
    return tokens


def main(folder: Path) -> None:
    """Write the model and print the prompt, its tokens, and those of a reader that ignores the window."""
    save_tiny(folder, sliding_window=WINDOW_TOKENS)
    answer = {"prompt": PROMPT, "tokens": decode(folder), "windowless": decode(folder, sliding_window=None)}
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
