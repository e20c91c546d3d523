"""The operator's memory plan against vLLM's own functions: its reading of the config, its groups, its blocks."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "devcluster/devcluster/hub/models"
MISTRAL_7B, NEMO = "mistralai__Mistral-7B-v0.1", "mistralai__Mistral-Nemo-Instruct-2407"
MINISTRAL = "mistralai__Ministral-8B-Instruct-2410--with-layer_types"
AT_128K = ("--max-model-len", "131072")


def plan(folder: Path, *arguments: str) -> dict[str, Any]:
    """Plan a model on 80 GiB GPUs; what does not fit is printed as well."""
    command = [
        str(ROOT / ".venv/bin/mistral-operator"),
        "plan",
        str(folder),
        "--gpu-memory",
        "80Gi",
        "-o",
        "json",
        *arguments,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    assert done.stdout, done.stderr
    planned: dict[str, Any] = json.loads(done.stdout)
    return planned


def reserved(folder: Path, planned: dict[str, Any]) -> tuple[int, int]:
    """Return vLLM's num_gpu_blocks and kv_cache_size_tokens for the bytes that the plan leaves to the cache."""
    import torch  # noqa: PLC0415 - vLLM takes long to import, and other tests of this folder start it as a process
    from vllm.config import ModelConfig  # noqa: PLC0415
    from vllm.v1.core import kv_cache_utils  # noqa: PLC0415
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheSpec, SlidingWindowSpec  # noqa: PLC0415

    memory, length = planned["memory"], planned["model"]["maxModelLen"]
    overrides = {"max_position_embeddings": length}
    model = ModelConfig(model=str(folder), skip_tokenizer_init=True, dtype="bfloat16", hf_overrides=overrides)
    parallel = SimpleNamespace(
        tensor_parallel_size=memory["gpus"], pipeline_parallel_size=1, decode_context_parallel_size=1,
        prefill_context_parallel_size=1,
    )  # fmt: skip
    batched = int(planned["args"][planned["args"].index("--max-num-batched-tokens") + 1])
    config: Any = SimpleNamespace(
        model_config=SimpleNamespace(max_model_len=length),
        parallel_config=parallel,
        cache_config=SimpleNamespace(num_gpu_blocks_override=None, block_size=memory["kvCacheBlockSize"]),
        scheduler_config=SimpleNamespace(disable_hybrid_kv_cache_manager=False),
        max_in_flight_tokens=2 * batched,  # async scheduling
        kv_transfer_config=None,
        speculative_config=None,
    )
    heads = model.get_num_kv_heads(parallel)
    shape: dict[str, Any] = {
        "block_size": memory["kvCacheBlockSize"], "num_kv_heads": heads, "head_size": model.get_head_size(),
        "dtype": torch.bfloat16,
    }  # fmt: skip
    window = model.get_sliding_window()
    default = "full_attention" if window is None else "sliding_attention"
    kinds: Sequence[str] = getattr(model.hf_text_config, "layer_types", None) or [default] * (
        model.hf_text_config.num_hidden_layers
    )
    specs: dict[str, KVCacheSpec] = {
        str(number): SlidingWindowSpec(sliding_window=window, **shape)
        if kind == "sliding_attention"
        else FullAttentionSpec(**shape)
        for number, kind in enumerate(kinds)
    }
    groups = kv_cache_utils.get_kv_cache_groups(config, specs)
    cache = kv_cache_utils.get_kv_cache_config_from_groups(config, groups, memory["kvCache"])
    return cache.num_blocks, kv_cache_utils.get_kv_cache_capacity(config, cache)[0]


@pytest.mark.parametrize("gpus", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        pytest.param(MISTRAL_7B, (), id="all sliding"),
        pytest.param(MISTRAL_7B, ("--runtime", "vllm"), id="all sliding, blocks of 16"),
        pytest.param(MINISTRAL, AT_128K, id="interleaved"),
        pytest.param(MINISTRAL, (*AT_128K, "--runtime", "vllm"), id="interleaved, blocks of 16"),
        pytest.param(NEMO, (), id="full"),
        pytest.param("mistralai__Mixtral-8x7B-Instruct-v0.1", (), id="experts"),
    ],
)
def test_blocks_and_tokens(model: str, arguments: tuple[str, ...], gpus: int) -> None:
    """As many GPUs as may be: the blocks and tokens of one GPU's cache are vLLM's own, to the block."""
    planned = plan(MODELS / model, "--gpus", str(gpus), *arguments)
    memory = planned["memory"]
    assert memory["gpus"] == gpus
    blocks, tokens = reserved(MODELS / model, planned)
    assert memory["kvCacheBlocks"] == blocks
    assert abs(memory["kvCacheTokens"] - tokens) <= 1  # vLLM's floats lose a token now and then


_TABLES = """
import json
from mistral_operator.planning import quantization
print(json.dumps([quantization.MIN_CAPABILITY, quantization.MODELOPT_CAPABILITY, quantization.SCHEME_CAPABILITY]))
"""


@pytest.fixture(scope="module")
def tables() -> list[dict[str, list[int]]]:
    """Return what the operator says of methods, of ModelOpt's algorithms and of compressed-tensors' schemes."""
    command = [str(ROOT / ".venv/bin/python"), "-c", _TABLES]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own interpreter
    read: list[dict[str, list[int]]] = json.loads(done.stdout)
    return read


def test_capabilities_of_methods(tables: list[dict[str, list[int]]]) -> None:
    """What a method asks of a GPU is what vLLM's class for it says."""
    from vllm.model_executor.layers.quantization import get_quantization_config  # noqa: PLC0415

    classes = {
        "FP8": "modelopt",
        "NVFP4": "modelopt_fp4",
        "MXFP8": "modelopt_mxfp8",
        "MIXED_PRECISION": "modelopt_mixed",
    }
    classes |= dict.fromkeys(("FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO"), "modelopt") | {"W4A16_NVFP4": "modelopt_fp4"}
    methods, algorithms, _ = tables
    said = {name: major * 10 + minor for name, (major, minor) in {**methods, **algorithms}.items()}
    assert said == {name: get_quantization_config(classes.get(name, name)).get_min_capability() for name in said}


def test_capabilities_of_schemes(tables: list[dict[str, list[int]]]) -> None:
    """What a scheme of compressed-tensors asks of a GPU; an fp8 activation falls back to a plain one on older GPUs."""
    from vllm.model_executor.layers.quantization.compressed_tensors import schemes  # noqa: PLC0415

    classes = {
        "NVFP4": schemes.CompressedTensorsW4A4Fp4,
        "NVFP4A16": schemes.CompressedTensorsW4A4Fp4,
        "MXFP4": schemes.CompressedTensorsW4A4Mxfp4,
        "W8A8-FP8": schemes.CompressedTensorsW8A16Fp8,
        "W8A16-FP8": schemes.CompressedTensorsW8A16Fp8,
        "W4A8-FP8": schemes.CompressedTensorsW4A8Fp8,
        "W8A8-INT8": schemes.CompressedTensorsW8A8Int8,
        "W4A16": schemes.CompressedTensorsWNA16,
        "W8A16": schemes.CompressedTensorsWNA16,
    }
    said = {name: major * 10 + minor for name, (major, minor) in tables[2].items()}
    assert said == {name: scheme.get_min_capability() for name, scheme in classes.items()}
