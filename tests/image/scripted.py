"""A tiny Mistral that sees pictures, and answers what was written beforehand: tekken.json, params.json and weights.

Attention and feed-forward add nothing, and the embedding of a token is a direction of its own. So the next token
depends on the last one alone, and the rows of the head say which it is.
"""

import base64
import itertools
import json
from pathlib import Path
from typing import Any, Final

import torch
from mistral_common.tokens.tokenizers.base import SpecialTokens
from safetensors.torch import save_file

HIDDEN_SIZE: Final = 384  # at least the vocabulary
HEADS, KV_HEADS, HEAD_SIZE = 4, 2, 32
PATCH_PIXELS, IMAGE_PIXELS = 16, 64
MAX_MODEL_LEN_TOKENS: Final = 1024  # a tool's description is hundreds of bytes, and each is a token
_VISION_SIZE: Final = 64
_SPECIAL_TOKENS: Final = 64  # places for them; those without a name are fillers
_VOCABULARY: Final = _SPECIAL_TOKENS + 256  # and one token for each byte

CONTROL_TOKENS: Final = tuple(token.value for token in SpecialTokens)
GET: Final[dict[str, Any]] = {
    "type": "function",
    "function": {"name": "get", "parameters": {"type": "object", "properties": {}}},
}
TOOL_CALL: Final = ("[/INST]", "[TOOL_CALLS]", *GET["function"]["name"], "[ARGS]", *"{}", "</s>")
TEXT: Final = ("[/INST]", *"ok", "</s>")  # where a tool call is not allowed


def save_tekken(folder: Path, version: str) -> Path:
    """Write a tekken.json of a tokenizer version (v11, …): a token for each byte, and the control tokens."""
    vocabulary = [
        {"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode(), "token_str": None}
        for byte in range(256)
    ]
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "num_vocab_tokens": len(vocabulary), "default_vocab_size": _VOCABULARY,
        "default_num_special_tokens": _SPECIAL_TOKENS, "version": version,
    }  # fmt: skip
    special = [{"rank": rank, "token_str": token, "is_control": True} for rank, token in enumerate(CONTROL_TOKENS)]
    image = {"image_patch_size": PATCH_PIXELS, "max_image_size": IMAGE_PIXELS}
    path = folder / "tekken.json"
    path.write_text(json.dumps({"config": config, "vocab": vocabulary, "special_tokens": special, "image": image}))
    return path


def save_scripted(folder: Path) -> Path:
    """Write a model that calls the tool ``get`` where it may, and says "ok" where it may not."""
    folder.mkdir(parents=True)
    save_tekken(folder, "v13")
    torch.manual_seed(0)
    save_file(_decoder() | _vision_encoder(), folder / "consolidated.safetensors")
    (folder / "params.json").write_text(json.dumps(_params()))
    return folder


def _params() -> dict[str, Any]:
    vision_encoder = {
        "hidden_size": _VISION_SIZE, "num_channels": 3, "image_size": IMAGE_PIXELS, "patch_size": PATCH_PIXELS,
        "intermediate_size": _VISION_SIZE, "num_hidden_layers": 1, "num_attention_heads": 2, "rope_theta": 10000.0,
        "image_token_id": _token("[IMG]"),
    }  # fmt: skip
    return {
        "dim": HIDDEN_SIZE, "n_layers": 1, "head_dim": HEAD_SIZE, "hidden_dim": _VISION_SIZE, "n_heads": HEADS,
        "n_kv_heads": KV_HEADS, "norm_eps": 1e-6, "vocab_size": _VOCABULARY, "rope_theta": 10000.0,
        "max_position_embeddings": MAX_MODEL_LEN_TOKENS, "vision_encoder": vision_encoder,
    }  # fmt: skip


def _decoder() -> dict[str, torch.Tensor]:
    layer = {
        "attention_norm": torch.ones(HIDDEN_SIZE), "ffn_norm": torch.ones(HIDDEN_SIZE),
        "attention.wq": torch.randn(HEADS * HEAD_SIZE, HIDDEN_SIZE),
        "attention.wk": torch.randn(KV_HEADS * HEAD_SIZE, HIDDEN_SIZE),
        "attention.wv": torch.randn(KV_HEADS * HEAD_SIZE, HIDDEN_SIZE),
        "attention.wo": torch.zeros(HIDDEN_SIZE, HEADS * HEAD_SIZE),
        "feed_forward.w1": torch.randn(_VISION_SIZE, HIDDEN_SIZE),
        "feed_forward.w3": torch.randn(_VISION_SIZE, HIDDEN_SIZE),
        "feed_forward.w2": torch.zeros(HIDDEN_SIZE, _VISION_SIZE),
    }  # fmt: skip
    head = torch.zeros(_VOCABULARY, HIDDEN_SIZE)
    for script, score in ((TEXT, 1.0), (TOOL_CALL, 2.0)):
        for token, successor in itertools.pairwise(script):
            head[_token(successor), _token(token)] = score
    return {
        "tok_embeddings.weight": torch.eye(_VOCABULARY, HIDDEN_SIZE), "norm.weight": torch.ones(HIDDEN_SIZE),
        "output.weight": head, **{f"layers.0.{name}.weight": weight for name, weight in layer.items()},
    }  # fmt: skip


def _vision_encoder() -> dict[str, torch.Tensor]:
    size, layer = _VISION_SIZE, "vision_encoder.transformer.layers.0"
    ones = ("vision_encoder.ln_pre", f"{layer}.attention_norm", f"{layer}.ffn_norm")
    square = (*(f"{layer}.attention.{name}" for name in ("wq", "wk", "wv", "wo")),
              *(f"{layer}.feed_forward.{name}" for name in ("w1", "w2", "w3")))  # fmt: skip
    return {
        "vision_encoder.patch_conv.weight": torch.randn(size, 3, PATCH_PIXELS, PATCH_PIXELS),
        **{f"{name}.weight": torch.ones(size) for name in ones},
        **{f"{name}.weight": torch.randn(size, size) for name in square},
        "vision_language_adapter.w_in.weight": torch.randn(HIDDEN_SIZE, size),
        "vision_language_adapter.w_in.bias": torch.zeros(HIDDEN_SIZE),
        "vision_language_adapter.w_out.weight": torch.randn(HIDDEN_SIZE, HIDDEN_SIZE),
        "vision_language_adapter.w_out.bias": torch.zeros(HIDDEN_SIZE),
    }


def _token(text: str) -> int:
    if text in CONTROL_TOKENS:
        return CONTROL_TOKENS.index(text)
    (byte,) = text.encode()
    return _SPECIAL_TOKENS + byte
