"""What vLLM itself makes of one GPU's memory, to hold the plan against: needs a GPU and vLLM 0.26.

Starts the engine on a model folder with random weights and prints what it allocated, as one JSON object a line::

    python bench/kv_cache_on_gpu.py FOLDER BACKEND MAX_MODEL_LEN MAX_NUM_BATCHED_TOKENS MAX_NUM_SEQS [HF_OVERRIDES]
        [--tensor-parallel N] [--kv-cache-dtype fp8]

``AUTO`` as BACKEND leaves the choice to vLLM. One engine a process: its memory is not given back. The whole list of
runs is ``bench/kv_cache_runs.py``.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any


def main() -> None:
    """Start one engine and print what it allocated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("backend")
    parser.add_argument("length", type=int)
    parser.add_argument("batched_tokens", type=int)
    parser.add_argument("seqs", type=int)
    parser.add_argument("hf_overrides", nargs="?", default="{}", type=json.loads)
    parser.add_argument("--tensor-parallel", type=int, default=1)
    parser.add_argument("--kv-cache-dtype", default="auto")
    asked = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0")
    # Here, since vLLM reads the environment when it is imported
    import torch  # noqa: PLC0415
    import vllm  # noqa: PLC0415

    chosen = {} if asked.backend == "AUTO" else {"attention_backend": asked.backend}
    engine = vllm.LLM(
        asked.folder,
        skip_tokenizer_init=True,
        load_format="dummy",
        gpu_memory_utilization=0.92,
        max_model_len=asked.length,
        max_num_batched_tokens=asked.batched_tokens,
        max_num_seqs=asked.seqs,
        hf_overrides=asked.hf_overrides,
        tensor_parallel_size=asked.tensor_parallel,
        kv_cache_dtype=asked.kv_cache_dtype,
        **chosen,
    )
    cache = engine.llm_engine.vllm_config.cache_config
    allocated = {
        "model": Path(asked.folder).name,
        "gpu": torch.cuda.get_device_name(0),
        "gpu_bytes": torch.cuda.get_device_properties(0).total_memory,
        "compute_capability": ".".join(map(str, torch.cuda.get_device_capability(0))),
        "vllm": vllm.__version__,
        "attention_backend": asked.backend,
        "tensor_parallel": asked.tensor_parallel,
        "kv_cache_dtype": asked.kv_cache_dtype,
        "max_model_len": asked.length,
        "max_num_batched_tokens": asked.batched_tokens,
        "max_num_seqs": asked.seqs,
        "block_size": cache.block_size,
        "num_gpu_blocks": cache.num_gpu_blocks,
        "kv_cache_size_tokens": cache.kv_cache_size_tokens,
        "available_kv_cache_bytes": engine.collective_rpc(available_kv_cache_bytes),  # of each rank
    }
    print(json.dumps(allocated))  # noqa: T201


def available_kv_cache_bytes(worker: Any) -> int:
    """Return what one rank measured that its KV cache may take; the engine takes the least of all ranks for each."""
    return int(worker.available_kv_cache_memory_bytes)


if __name__ == "__main__":
    main()
