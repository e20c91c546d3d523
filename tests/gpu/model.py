"""A small random Mistral on disk, and what transformers makes of it in float32: the truth for whole engines."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import MinistralConfig, MinistralForCausalLM

VOCABULARY: Final = 512
LAYOUTS: Final = {
    "sliding": ("sliding_attention",) * 4,
    "interleaved": ("sliding_attention", "full_attention") * 2,
}


class Reference:
    """The model in float32 with the same weights and the same windows, and its folders, one for each layout.

    Random weights of a wide spread: attention is sharp, so a token too many or too few changes what is answered.
    """

    def __init__(self, folder: Path, window: int, device: Any) -> None:
        self.window, self._device = window, device
        torch.manual_seed(0)
        model = MinistralForCausalLM(self._config("sliding")).to(torch.bfloat16)
        for layout in LAYOUTS:
            model.save_pretrained(folder / layout)
            (folder / layout / "config.json").write_text(json.dumps(self._config_json(layout)))
        self.folders = {layout: folder / layout for layout in LAYOUTS}
        weights = model.float().state_dict()
        self._models = {layout: MinistralForCausalLM(self._config(layout)) for layout in LAYOUTS}
        for same in self._models.values():
            same.load_state_dict(weights)
            same.to(device).eval()

    def logprobs(self, layout: str, tokens: Sequence[int]) -> Any:
        """Return (tokens, vocabulary) log-probabilities of what follows each token, in float32."""
        with torch.inference_mode():
            logits = self._models[layout](torch.tensor([list(tokens)], device=self._device)).logits[0]
        return logits.float().log_softmax(-1).cpu()

    def _config(self, layout: str) -> Any:
        return MinistralConfig(
            **{**self._shape(), "layer_types": list(LAYOUTS[layout])},
            initializer_range=0.08,
            attn_implementation="eager",
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        )

    def _config_json(self, layout: str) -> dict[str, Any]:
        mixed = {"layer_types": list(LAYOUTS[layout])} if layout != "sliding" else {}
        return {
            **self._shape(),
            **mixed,
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "rope_theta": 10000.0,
            "torch_dtype": "bfloat16",
        }

    def _shape(self) -> dict[str, Any]:
        return {
            "vocab_size": VOCABULARY,
            "hidden_size": 1024,
            "intermediate_size": 2048,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "max_position_embeddings": 16384,
            "sliding_window": self.window,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
        }


def random_prompt(rng: random.Random, tokens: int) -> list[int]:
    """Return token ids."""
    return [rng.randrange(3, VOCABULARY) for _ in range(tokens)]
