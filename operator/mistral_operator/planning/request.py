"""What a user asked for, whether by flags of ``plan`` or by the spec of a MistralDeployment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mistral_operator.api.rendered import PLAN_FLAGS
from mistral_operator.planning.facts import GpuClass
from mistral_vllm.runtimes import Runtime


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The wishes a plan must meet. ``None`` leaves a value to the plan, which says what it took."""

    runtime: Runtime
    gpu: GpuClass
    tensor_parallel: int = 1  # GPUs of one pod
    attention_backend: str | None = None
    xformers_installed: bool = True
    max_model_len_tokens: int | None = None
    dtype: str | None = None
    kv_cache_dtype: str = "auto"
    gpu_memory_utilization: float = 0.92  # vLLM 0.26's own default (config/cache.py)
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool = False
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    hf_endpoint: str | None = None
    weights_path: str | None = None  # a folder in the pod that holds the model; None: the pod asks the hub
    refused_flags: frozenset[str] = frozenset(PLAN_FLAGS)  # what extra_args may not say
    assumptions: tuple[str, ...] = ()  # what no flag told, one sentence each
