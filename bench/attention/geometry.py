"""The shape of an attention layer, and the smallest config.json that makes vLLM build it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Geometry:
    """Heads of one attention layer on one GPU."""

    query_heads: int = 32
    kv_heads: int = 8
    head_size: int = 128
    dtype: str = "bfloat16"

    @property
    def scale(self) -> float:
        """What scores are multiplied by before the softmax."""
        return 1 / math.sqrt(self.head_size)

    def kv_bytes(self, tokens: int) -> int:
        """Bytes that the keys and values of so many tokens take in one layer, at two bytes an element."""
        return tokens * self.kv_heads * 2 * self.head_size * 2

    def __str__(self) -> str:
        return f"{self.query_heads}/{self.kv_heads} heads of {self.head_size}, {self.dtype}"


def write_config(folder: Path, geometry: Geometry, *, layers: int, max_model_len: int) -> Path:
    """Write the config.json of a Mistral with these layers and without weights; windows are given layer by layer."""
    config = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "vocab_size": 1024,
        "hidden_size": geometry.query_heads * geometry.head_size,
        "intermediate_size": 1024,
        "num_hidden_layers": layers,
        "num_attention_heads": geometry.query_heads,
        "num_key_value_heads": geometry.kv_heads,
        "head_dim": geometry.head_size,
        "max_position_embeddings": max_model_len,
        "sliding_window": None,
        "torch_dtype": geometry.dtype,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder
