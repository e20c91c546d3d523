"""The tensors of a checkpoint of the Mistral family, from its config alone.

Names and shapes are those of the modelling code of transformers 5.23 (``mistral``, ``ministral3``,
``mixtral``, ``mistral3``, ``pixtral``) and, for ``consolidated.safetensors``, of vLLM's loaders of the
Mistral format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from devcluster.hub.tensors import Storage, Tensor


@dataclass(frozen=True)
class BlockNames:
    """What a layout calls the parts of one transformer block."""

    q: str
    k: str
    v: str
    o: str
    gate: str
    up: str
    down: str
    attention_norm: str
    mlp_norm: str


_HF_BLOCK = BlockNames(
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    *("input_layernorm", "post_attention_layernorm"),
)
_HF_VISION_BLOCK = BlockNames(
    *("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj"),
    *("feed_forward.gate_proj", "feed_forward.up_proj", "feed_forward.down_proj"),
    *("attention_norm", "ffn_norm"),
)
_MISTRAL_BLOCK = BlockNames(
    *("attention.wq", "attention.wk", "attention.wv", "attention.wo"),
    *("feed_forward.w1", "feed_forward.w3", "feed_forward.w2"),
    *("attention_norm", "ffn_norm"),
)


@dataclass(frozen=True)
class Blocks:
    """The shape of a stack of transformer blocks, in elements; ``experts`` is 0 for a dense MLP."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    experts: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the dict of a decoder or vision tower in a config.json.

        Raises
        ------
        KeyError
            When a dimension is missing.
        """
        heads = config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            intermediate=config["intermediate_size"],
            experts=config.get("num_local_experts", 0),
        )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Read the decoder of a params.json.

        Raises
        ------
        KeyError
            When a dimension is missing.
        """
        return cls(
            layers=params["n_layers"],
            hidden=params["dim"],
            heads=params["n_heads"],
            kv_heads=params["n_kv_heads"],
            head_dim=params["head_dim"],
            intermediate=params["hidden_dim"],
        )

    def tensors(self, prefix: str, names: BlockNames, storage: Storage) -> Iterator[Tensor]:
        """Yield the tensors of all blocks, in the order in which transformers saves them."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        for layer in range(self.layers):
            at = f"{prefix}layers.{layer}."
            yield from storage.linear(at + names.q, queries, self.hidden)
            yield from storage.linear(at + names.k, keys, self.hidden)
            yield from storage.linear(at + names.v, keys, self.hidden)
            yield from storage.linear(at + names.o, self.hidden, queries)
            if self.experts:
                yield from self._experts(f"{at}block_sparse_moe.", storage)
            else:
                yield from storage.linear(at + names.gate, self.intermediate, self.hidden)
                yield from storage.linear(at + names.up, self.intermediate, self.hidden)
                yield from storage.linear(at + names.down, self.hidden, self.intermediate)
            yield storage.plain(at + names.attention_norm, self.hidden)
            yield storage.plain(at + names.mlp_norm, self.hidden)

    def _experts(self, at: str, storage: Storage) -> Iterator[Tensor]:
        yield storage.plain(f"{at}gate", self.experts, self.hidden)
        for expert in range(self.experts):
            yield from storage.linear(f"{at}experts.{expert}.w1", self.intermediate, self.hidden)
            yield from storage.linear(f"{at}experts.{expert}.w2", self.hidden, self.intermediate)
            yield from storage.linear(f"{at}experts.{expert}.w3", self.intermediate, self.hidden)


def hf_tensors(config: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the tensors of ``model*.safetensors``.

    Parameters
    ----------
    config
        A parsed config.json.

    Raises
    ------
    KeyError
        When a dimension is missing.
    ValueError
        For a dtype or quantisation that cannot be laid out.
    """
    storage = Storage.from_config(config)
    text = config.get("text_config", config)
    outer = ""
    if "vision_config" in config:
        outer = "language_model."
        yield from _hf_vision(config, Blocks.from_config(text).hidden, storage)
    # A bare decoder (embedding models) is saved without the prefix of its wrapper and without a head.
    bare = "MistralModel" in config.get("architectures", ())
    prefix = "" if bare else f"{outer}model."
    yield storage.plain(f"{prefix}embed_tokens", text["vocab_size"], text["hidden_size"])
    yield from Blocks.from_config(text).tensors(prefix, _HF_BLOCK, storage)
    yield storage.plain(f"{prefix}norm", text["hidden_size"])
    if not bare and not text.get("tie_word_embeddings", config.get("tie_word_embeddings", False)):
        yield storage.plain(f"{outer}lm_head", text["vocab_size"], text["hidden_size"])


def _hf_vision(config: Mapping[str, Any], text_hidden: int, storage: Storage) -> Iterator[Tensor]:
    vision = config["vision_config"]
    hidden, patch = vision["hidden_size"], vision["patch_size"]
    yield storage.plain("vision_tower.patch_conv", hidden, vision["num_channels"], patch, patch)
    yield storage.plain("vision_tower.ln_pre", hidden)
    yield from Blocks.from_config(vision).tensors("vision_tower.transformer.", _HF_VISION_BLOCK, storage)
    at, merged = "multi_modal_projector", hidden * config["spatial_merge_size"] ** 2
    yield storage.plain(f"{at}.norm", hidden)
    yield from storage.linear(f"{at}.patch_merger.merging_layer", hidden, merged)
    for name, inputs in (("linear_1", hidden), ("linear_2", text_hidden)):
        yield from storage.linear(f"{at}.{name}", text_hidden, inputs)
        if config.get("multimodal_projector_bias", False):
            yield Tensor(f"{at}.{name}.bias", storage.dtype, (text_hidden,))


def mistral_tensors(params: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the tensors of ``consolidated.safetensors``.

    Parameters
    ----------
    params
        A parsed params.json of a dense model.

    Raises
    ------
    KeyError
        When a dimension is missing.
    ValueError
        For a mixture of experts, or a quantisation that cannot be laid out.
    """
    if params.get("moe"):
        raise ValueError("consolidated weights of a mixture of experts cannot be laid out")
    storage = Storage.from_params(params)
    dim = params["dim"]
    yield storage.plain("tok_embeddings", params["vocab_size"], dim)
    yield from Blocks.from_params(params).tensors("", _MISTRAL_BLOCK, storage)
    yield storage.plain("norm", dim)
    if not params.get("tied_embeddings", False):
        yield storage.plain("output", params["vocab_size"], dim)
    if "vision_encoder" in params:
        yield from _mistral_vision(params["vision_encoder"], dim, storage)


def _mistral_vision(vision: Mapping[str, Any], text_hidden: int, storage: Storage) -> Iterator[Tensor]:
    hidden, patch = vision["hidden_size"], vision["patch_size"]
    yield storage.plain("vision_encoder.patch_conv", hidden, vision["num_channels"], patch, patch)
    yield storage.plain("vision_encoder.ln_pre", hidden)
    yield from Blocks.from_config(vision).tensors("vision_encoder.transformer.", _MISTRAL_BLOCK, storage)
    if vision.get("add_pre_mm_projector_layer_norm", False):
        yield storage.plain("pre_mm_projector_norm", hidden)
    if vision.get("mm_projector_id") == "patch_merge":
        yield from storage.linear("patch_merger.merging_layer", hidden, hidden * vision["spatial_merge_size"] ** 2)
    for name, inputs in (("w_in", hidden), ("w_out", text_hidden)):
        yield from storage.linear(f"vision_language_adapter.{name}", text_hidden, inputs)
        # vLLM's VisionEncoderArgs takes a missing adapter_bias for true.
        if vision.get("adapter_bias", True):
            yield Tensor(f"vision_language_adapter.{name}.bias", storage.dtype, (text_hidden,))
