"""What is known before anything is decided: one revision of one model, and one class of GPU.

``ModelFacts`` is filled by :mod:`mistral_operator.hub` and read by the rest of :mod:`mistral_operator.planning`. It
holds the files as they are, not what they mean: meaning is :mod:`mistral_vllm.layout`'s business, so that the operator
and the pod cannot read the same file differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mistral_vllm.backends import ComputeCapability


class WeightFormat(StrEnum):
    """vLLM's names for the layouts a checkpoint may come in (``--load-format``)."""

    HF = "hf"  # model*.safetensors, else pytorch_model*.bin
    MISTRAL = "mistral"  # consolidated*.safetensors


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight files of one format, sized without downloading them.

    ``size_bytes`` is what the tensors occupy as stored, so quantised checkpoints count as what they are.
    ``parameters`` counts stored elements, which is the number of parameters only where ``dtypes`` holds no packed type.
    """

    format: WeightFormat
    size_bytes: int
    files: tuple[str, ...]
    parameters: int | None = None
    dtypes: Mapping[str, int] = field(default_factory=dict)  # safetensors' dtype name -> stored elements


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One revision of one model, as its repository or folder holds it."""

    id: str  # hub id, or the folder as the user wrote it
    revision: str  # what was asked for: a branch, a tag, a commit
    commit: str | None  # 40 hex digits; None for a local folder
    config: Mapping[str, Any] | None  # config.json
    params: Mapping[str, Any] | None  # params.json
    weights: tuple[Weights, ...] = ()
    tokenizer_files: frozenset[str] = frozenset()  # base names: tekken.json, tokenizer.model.v3, tokenizer.json, …
    quantization: Mapping[str, Any] | None = None  # hf_quant_config.json: what ModelOpt once kept out of config.json
    other_weights: frozenset[str] = frozenset()  # names of weight files vLLM's two formats do not read: *.gguf, …

    def weights_in(self, weight_format: WeightFormat) -> Weights | None:
        """Return the weights stored in that format, if the model has them."""
        return next((weights for weights in self.weights if weights.format is weight_format), None)


@dataclass(frozen=True, slots=True)
class GpuClass:
    """GPUs that are alike: what one class of nodes offers, or what the flags of ``plan`` describe."""

    memory_bytes: int | None  # None: no label tells
    compute_capability: ComputeCapability | None  # None: no GPU, or one that no label describes
    product: str | None = None  # GPU Feature Discovery's nvidia.com/gpu.product, such as NVIDIA-H200
    resource_name: str = "nvidia.com/gpu"
    per_node: int | None = None  # the most that one node offers of them
    shared_by: int = 1  # pods that one GPU is handed to at a time: the device plugin's replicas, by time-slicing or MPS

    @property
    def is_mig(self) -> bool:
        """Whether these are MIG profiles; in "single" strategy they are offered under the name of whole GPUs."""
        return self.resource_name.startswith("nvidia.com/mig-") or "-MIG-" in (self.product or "")

    @property
    def only_one_a_pod(self) -> bool:
        """Whether a pod can use but one: CUDA shows a process one MIG profile, and shared GPUs may be the same one."""
        return self.is_mig or self.shared_by > 1

    def __str__(self) -> str:
        memory = "unknown memory" if self.memory_bytes is None else f"{self.memory_bytes / 2**30:.0f} GiB"
        capability = self.compute_capability or "unknown"
        shared = f", shared by {self.shared_by} pods" if self.shared_by > 1 else ""
        return f"{self.product or self.resource_name} ({memory}, compute capability {capability}{shared})"
