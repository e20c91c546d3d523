"""What the backend declines, hands to FlashAttention, or must not inherit from it."""

from typing import Any

import pytest
import torch
from vllm.config import set_current_vllm_config
from vllm.platforms.interface import DeviceCapability
from vllm.v1.attention.backend import AttentionCGSupport, AttentionType

from bench.attention.batch import Batch
from bench.attention.geometry import Geometry
from bench.attention.layers import backend_class, engine_config
from bench.attention.scheduling import Request, decodes
from gpu.conftest import Check, Layers

SMALL = Geometry(8, 2)
SPECULATIVE = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}
GOOD: dict[str, Any] = {
    "head_size": 128,
    "dtype": torch.bfloat16,
    "kv_cache_dtype": "auto",
    "block_size": 64,
    "use_mla": False,
    "has_sink": False,
    "use_sparse": False,
    "use_mm_prefix": False,
    "use_per_head_quant_scales": False,
    "device_capability": DeviceCapability(9, 0),
    "attn_type": AttentionType.DECODER,
    "has_sliding_window": True,
}


@pytest.fixture(autouse=True)
def _needs_a_gpu(on_cpu: bool) -> None:
    if on_cpu:
        pytest.skip("the backend needs a GPU to be imported")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kv_cache_dtype": "fp8"}, "kv_cache_dtype"),
        ({"kv_cache_dtype": "fp8_e4m3"}, "kv_cache_dtype"),
        ({"has_sink": True}, "sinks"),
        ({"use_mm_prefix": True}, "multimodal"),
        ({"use_per_head_quant_scales": True}, "per-head"),
        ({"use_non_causal": True}, "non-causal"),
        ({"use_batch_invariant": True}, "batch invariance"),
        ({"use_kv_connector": True}, "KV connector"),
        ({"use_mla": True}, "MLA"),
        ({"attn_type": AttentionType.ENCODER_ONLY}, "attention type"),
        ({"attn_type": AttentionType.ENCODER_DECODER}, "attention type"),
        ({"dtype": torch.float32}, "dtype"),
        ({"block_size": 16}, "block_size"),
        ({"head_size": 512}, "head_size"),
        ({"head_size": 256}, "head_size"),  # FlashAttention 3 gets a chunk of prefill with a window wrong
        ({"device_capability": DeviceCapability(7, 5)}, "compute capability"),
    ],
)
def test_vllm_is_told_what_is_not_supported(changes: dict[str, Any], reason: str, device: Any) -> None:
    """Each of these ends in vLLM's own error with the reason, or lets it choose another backend."""
    assert device.type == "cuda"
    backend = backend_class("XFORMERS")
    assert backend.validate_configuration(**GOOD) == []
    reasons = backend.validate_configuration(**{**GOOD, **changes})
    assert any(reason in found for found in reasons), reasons


@pytest.mark.parametrize(
    "changes", [{"attn_type": AttentionType.ENCODER_ONLY}, {"sinks": torch.zeros(8)}], ids=["encoder", "sinks"]
)
def test_a_layer_that_cannot_be_served_says_so(changes: dict[str, Any], tmp_path: Any, device: Any) -> None:
    """What never passes through vLLM's validation is refused by the layer, with the next step."""
    assert device.type == "cuda"
    with pytest.raises(NotImplementedError, match="--attention-backend FLASH_ATTN"):
        _impl(tmp_path, **changes)


@pytest.mark.parametrize("changes", [{"alibi_slopes": [0.5] * 8}, {"logits_soft_cap": 30.0}], ids=["alibi", "softcap"])
def test_what_split_k_lacks_is_decoded_by_flash_attention(changes: dict[str, Any], tmp_path: Any, device: Any) -> None:
    """ALiBi and capped logits are no parameters of vLLM's validation: such layers take FlashAttention's decode."""
    assert device.type == "cuda"
    assert _impl(tmp_path, **changes).told()["decodeKernel"] == "flash_attn"


def test_several_draft_tokens_a_step(layers: Layers, check: Check) -> None:
    """With speculative decoding every step is FlashAttention's, and so is what the graphs may capture."""
    (group,) = layers("XFORMERS", SMALL, [100], engine={"speculative_config": SPECULATIVE})
    for requests in ([Request(4, tokens) for tokens in (4, 99, 101, 700)], decodes(5, 99, 700)):
        batch = Batch(group, requests)
        batch.fill_caches()
        check(batch, batch.forward())
    assert group.told["decodeKernel"] == "flash_attn"
    ours, theirs = group.builder, backend_class("FLASH_ATTN").get_builder_cls()
    support = ours.get_cudagraph_support(ours.vllm_config, ours.kv_cache_spec)
    assert support == theirs.get_cudagraph_support(ours.vllm_config, ours.kv_cache_spec)


def test_several_tokens_each_are_no_decode_step(layers: Layers, check: Check) -> None:
    """A uniform step of more than one token each is right also without a speculative configuration."""
    (group,) = layers("XFORMERS", SMALL, [100])
    batch = Batch(group, [Request(4, tokens) for tokens in (4, 99, 101, 700)])
    batch.fill_caches()
    check(batch, batch.forward())


def test_graphs_of_decode_alone(layers: Layers) -> None:
    """Full graphs are captured for decode; mixed steps run piecewise."""
    (group,) = layers("XFORMERS", SMALL, [100])
    builder = group.builder
    support = builder.get_cudagraph_support(builder.vllm_config, builder.kv_cache_spec)
    assert support == AttentionCGSupport.UNIFORM_SINGLE_TOKEN_DECODE


def _impl(folder: Any, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "num_heads": 8,
        "head_size": 128,
        "scale": 0.1,
        "num_kv_heads": 2,
        "alibi_slopes": None,
        "sliding_window": 100,
        "kv_cache_dtype": "auto",
    }
    with set_current_vllm_config(engine_config(SMALL, folder, layers=1, max_model_len=1024)):
        return backend_class("XFORMERS").get_impl_cls()(**{**arguments, **changes})


@pytest.mark.skipif(torch.cuda.is_available() and torch.cuda.get_device_capability() != (9, 0), reason="seen on 9.0")
@pytest.mark.xfail(strict=True, reason="a fault of FlashAttention 3 in vLLM 0.26: the reason why 256 is declined")
def test_flash_attention_with_heads_of_256(layers: Layers, check: Check) -> None:
    """Chunks of prefill over two windows of cached context; once this passes, 256 may be served."""
    (group,) = layers("FLASH_ATTN", Geometry(8, 2, 256), [100])
    batch = Batch(group, [Request(70, tokens) for tokens in (199, 200, 201)])
    batch.fill_caches()
    check(batch, batch.forward())
