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

RESULTS = sorted((Path(__file__).parents[2] / "bench/results").glob("kv-cache-*.json"))
MEASURED: list[dict[str, Any]] = [row for path in RESULTS for row in json.loads(path.read_text())["measured"]]


def named(row: dict[str, Any]) -> str:
    """Name one measurement."""
    how = (row["max_num_batched_tokens"], row.get("tensor_parallel", 1), row.get("kv_cache_dtype", "auto"))
    return f"{row['model']} on {row['gpu']}, {', '.join(map(str, how))}"


@pytest.mark.parametrize("measured", MEASURED, ids=named)
def test_within_five_percent_of_vllm(measured: dict[str, Any]) -> None:
    """Planned KV cache tokens differ from what vLLM allocated by less than 5 %, working memory's estimate included."""
    config = json.loads((MODELS / measured["model"] / "config.json").read_text())
    capability = ComputeCapability.parse(measured.get("compute_capability", "9.0"))
    request = PlanRequest(
        runtime=get_runtime("vllm", measured["vllm"]),
        gpu=GpuClass(measured["gpu_bytes"], capability, measured["gpu"]),
        tensor_parallel=measured.get("tensor_parallel", 1),
        kv_cache_dtype=measured.get("kv_cache_dtype", "auto"),
        max_model_len_tokens=measured["max_model_len"],
        max_num_batched_tokens=measured["max_num_batched_tokens"],
        max_num_seqs=measured["max_num_seqs"],
    )
    memory = make_plan(ModelFacts("measured", "local", None, config, None), request).memory
    assert memory is not None
    assert memory.kv_cache.block_size_tokens == measured["block_size"]
    assert memory.kv_cache.tokens == pytest.approx(measured["kv_cache_size_tokens"], rel=0.05)
    for available_bytes in measured.get("available_kv_cache_bytes", []):  # one of each rank
        assert memory.kv_cache_bytes == pytest.approx(available_bytes, rel=0.05)
