"""What vLLM itself makes of one GPU's memory, to hold the plan against: needs a GPU and vLLM 0.26.

Starts the engine on a model folder with random weights and prints what it allocated, as one JSON object a line::

    python bench/kv_cache_on_gpu.py FOLDER BACKEND MAX_MODEL_LEN MAX_NUM_BATCHED_TOKENS MAX_NUM_SEQS [HF_OVERRIDES]

``AUTO`` as BACKEND leaves the choice to vLLM. One engine a process: its memory is not given back.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Start one engine and print what it allocated."""
    os.environ.update(HF_HUB_OFFLINE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0")
    # Here, since vLLM reads the environment when it is imported
    import torch  # noqa: PLC0415
    import vllm  # noqa: PLC0415

    folder, backend, *numbers = sys.argv[1:6]
    length, batched_tokens, seqs = (int(number) for number in numbers)
    chosen = {} if backend == "AUTO" else {"attention_backend": backend}
    engine = vllm.LLM(
        folder,
        skip_tokenizer_init=True,
        load_format="dummy",
        gpu_memory_utilization=0.92,
        max_model_len=length,
        max_num_batched_tokens=batched_tokens,
        max_num_seqs=seqs,
        hf_overrides=json.loads(sys.argv[6]) if len(sys.argv) > 6 else {},
        **chosen,
    )
    cache = engine.llm_engine.vllm_config.cache_config
    allocated = {
        "model": Path(folder).name,
        "gpu": torch.cuda.get_device_name(0),
        "gpu_bytes": torch.cuda.get_device_properties(0).total_memory,
        "vllm": vllm.__version__,
        "attention_backend": backend,
        "max_model_len": length,
        "max_num_batched_tokens": batched_tokens,
        "max_num_seqs": seqs,
        "block_size": cache.block_size,
        "num_gpu_blocks": cache.num_gpu_blocks,
        "kv_cache_size_tokens": cache.kv_cache_size_tokens,
    }
    print(json.dumps(allocated))  # noqa: T201


if __name__ == "__main__":
    main()
