"""Tiny random Mistrals on disk, and what transformers answers of them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

WINDOW_TOKENS = 16
LAYERS = 4
HEADS = 4
KV_HEADS = 2
HEAD_SIZE = 32  # the smallest that vLLM's CPU kernel takes
VOCABULARY = 512
MAX_MODEL_LEN_TOKENS = 256
PROMPT = tuple(3 + 7 * position % (VOCABULARY - 3) for position in range(40))  # more than two windows
INTERLEAVED = ("full_attention", "sliding_attention") * (LAYERS // 2)


class Scores(NamedTuple):
    """What a model says of given tokens after the prompt."""

    likeliest: tuple[int, ...]  # the token that greedy decoding takes at each position
    logprobs: tuple[float, ...]  # of the given tokens


class TinyModel(NamedTuple):
    """A model's folder; the same weights answer in transformers."""

    folder: Path

    def scores(self, tokens: tuple[int, ...], **config: Any) -> Scores:
        """Score tokens after the prompt; ``config`` changes words of the model's config.json first."""
        model = AutoModelForCausalLM.from_pretrained(
            self.folder, attn_implementation="eager", dtype=torch.float32, **config
        )
        with torch.inference_mode():
            logits = model(torch.tensor([[*PROMPT, *tokens]])).logits[0, len(PROMPT) - 1 : -1]
        logprobs = logits.log_softmax(-1)
        return Scores(tuple(logits.argmax(-1).tolist()), tuple(logprobs[range(len(tokens)), list(tokens)].tolist()))


def save_tiny(folder: Path, **config: Any) -> TinyModel:
    """Write a model with config.json and safetensors; the weights are the same whatever the config says of windows."""
    torch.manual_seed(0)
    model = MistralForCausalLM(
        MistralConfig(
            vocab_size=VOCABULARY,
            hidden_size=HEADS * HEAD_SIZE,
            intermediate_size=256,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            head_dim=HEAD_SIZE,
            max_position_embeddings=MAX_MODEL_LEN_TOKENS,
            initializer_range=0.2,  # ten times the usual: attention has to matter
            dtype="float32",
        )
    )
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return TinyModel(folder)


def save_tiny_params(folder: Path, *, sliding_window: Any) -> TinyModel:
    """Write the same model as Mistral does: params.json and consolidated.safetensors. Scores need config.json words."""
    tiny = save_tiny(folder)
    weights = MistralForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    save_file({_their_name(name): _their_weight(name, weight) for name, weight in weights.items()},
              folder / "consolidated.safetensors")  # fmt: skip
    params = {
        "dim": HEADS * HEAD_SIZE, "n_layers": LAYERS, "head_dim": HEAD_SIZE, "hidden_dim": 256, "n_heads": HEADS,
        "n_kv_heads": KV_HEADS, "norm_eps": 1e-6, "vocab_size": VOCABULARY, "rope_theta": 10000.0,
        "max_position_embeddings": MAX_MODEL_LEN_TOKENS, "sliding_window": sliding_window,
    }  # fmt: skip
    (folder / "params.json").write_text(json.dumps(params))
    return tiny


_THEIR_NAMES = {
    "model.embed_tokens": "tok_embeddings", "model.norm": "norm", "lm_head": "output", "model.layers": "layers",
    "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3",
    "mlp.down_proj": "feed_forward.w2", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def _their_name(name: str) -> str:
    for ours, theirs in _THEIR_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _their_weight(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Mistral rotates neighbouring elements of a head, transformers those half a head apart."""
    if "q_proj" not in name and "k_proj" not in name:
        return weight.contiguous().clone()
    rows, columns = weight.shape
    return weight.view(-1, 2, HEAD_SIZE // 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()


def _tokenizer() -> PreTrainedTokenizerFast:
    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"t{number}": number for number in range(3, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106 - a word
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
