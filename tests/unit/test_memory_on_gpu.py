"""The memory plan against what vLLM 0.26.0 allocated on a real GPU (``bench/kv_cache_on_gpu.py``)."""

import json
from pathlib import Path
from typing import Any

import pytest

from devcluster.hub import MODELS
from mistral_operator.planning.facts import GpuClass, ModelFacts
from mistral_operator.planning.plan import make_plan
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.runtimes import get_runtime

RESULTS = Path(__file__).parents[2] / "bench/results/kv-cache-h100.json"
MEASURED: list[dict[str, Any]] = json.loads(RESULTS.read_text())["measured"]


@pytest.mark.parametrize("measured", MEASURED, ids=lambda row: f"{row['model']}, {row['max_num_batched_tokens']}")
def test_within_five_percent_of_vllm(measured: dict[str, Any]) -> None:
    """Planned KV cache tokens differ from what vLLM allocated by less than 5 %, working memory's estimate included."""
    config = json.loads((MODELS / measured["model"] / "config.json").read_text())
    request = PlanRequest(
        runtime=get_runtime("vllm", measured["vllm"]),
        gpu=GpuClass(measured["gpu_bytes"], ComputeCapability(9, 0), measured["gpu"]),
        max_model_len_tokens=measured["max_model_len"],
        max_num_batched_tokens=measured["max_num_batched_tokens"],
        max_num_seqs=measured["max_num_seqs"],
    )
    memory = make_plan(ModelFacts("measured", "local", None, config, None), request).memory
    assert memory is not None
    assert memory.kv_cache.block_size_tokens == measured["block_size"]
    assert memory.kv_cache.tokens == pytest.approx(measured["kv_cache_size_tokens"], rel=0.05)
