"""The memory of one GPU for one plan: what the parts of a plan mean to :mod:`mistral_operator.planning.memory`."""

from mistral_operator.planning.geometry import Geometry
from mistral_operator.planning.memory import MemoryPlan, plan_memory
from mistral_operator.planning.precision import Precision
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.attention_facts import EngineFeatures
from mistral_vllm.backends import XFORMERS, Platform
from mistral_vllm.decision import BackendDecision
from mistral_vllm.layout import AttentionLayout


def size_memory(
    request: PlanRequest,
    layout: AttentionLayout,
    geometry: Geometry,
    precision: Precision,
    decision: BackendDecision,
    features: EngineFeatures,
    max_model_len: int,
    weights_bytes: int | None,
) -> MemoryPlan | None:
    """Lay out the memory of one of the request's GPUs; None where no GPU is used, or a size is not known."""
    gpu_bytes = request.gpu.memory_bytes
    if weights_bytes is None or gpu_bytes is None or request.runtime.platform is not Platform.CUDA:
        return None
    backend = request.runtime.backend(XFORMERS) if decision.uses_xformers else None
    return plan_memory(
        layout,
        geometry,
        gpu_bytes=gpu_bytes,
        utilization=request.gpu_memory_utilization,
        weights_bytes=weights_bytes,
        tensor_parallel=request.tensor_parallel,
        dtype_bytes=precision.dtype_bytes,
        kv_dtype_bytes=precision.kv_cache_dtype_bytes,
        block_size_tokens=features.block_size_tokens or (backend.kernel_block_size if backend else 16),
        max_model_len_tokens=max_model_len,
        max_num_batched_tokens=request.max_num_batched_tokens or 0,
        max_num_seqs=request.max_num_seqs or 0,
    )


def memory_assumptions(request: PlanRequest, memory: MemoryPlan | None) -> tuple[str, ...]:
    """Say what is not known of the memory before vLLM runs."""
    if request.runtime.platform is Platform.CPU:
        return ("memory: not planned for the CPU runtime, whose KV cache is sized by VLLM_CPU_KVCACHE_SPACE",)
    if memory is None:
        return ()
    working = ("working memory (activations, CUDA graphs, CUDA context): estimated; vLLM measures it when it starts",)
    if request.runtime.release is None or request.runtime.release.first_minor != 26:
        return (*working, f"KV cache: reserved by vLLM 0.26's rules; those of {request.runtime.version} were not read")
    return working
