"""Mistral-7B-v0.1's geometry on disk with random weights, all layers sliding and interleaved: 14.5 GB, written once."""

import json
from pathlib import Path
from typing import Final

import torch
from transformers import AutoModelForCausalLM, MistralConfig

VOCABULARY: Final = 32000
WINDOW: Final = 4096
MAX_MODEL_LEN: Final = 16384
_LAYERS: Final = 32
LAYOUTS: Final = {
    "sliding": ("sliding_attention",) * _LAYERS,
    "interleaved": ("sliding_attention", "sliding_attention", "sliding_attention", "full_attention") * (_LAYERS // 4),
}


def save(folder: Path) -> None:
    """Write one folder for each layout; the weights of all are the same files."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "sliding_window": WINDOW,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(MistralConfig(**shape), dtype=torch.bfloat16)
    first, *others = (folder / layout for layout in LAYOUTS)
    model.save_pretrained(first)
    del model
    torch.cuda.empty_cache()
    weights = [file for file in first.iterdir() if "safetensors" in file.name]
    for other in others:
        other.mkdir()
        for file in weights:
            (other / file.name).symlink_to(file)
    for layout, layer_types in LAYOUTS.items():
        mixed = {"layer_types": list(layer_types)} if layout != "sliding" else {}
        named = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "torch_dtype": "bfloat16"}
        config = {**shape, **mixed, **named, "rope_theta": 10000.0}
        (folder / layout / "config.json").write_text(json.dumps(config))
