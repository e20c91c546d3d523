"""What the tests of planning on a cluster share: a model with a window, GPUs of four kinds, a way to write specs."""

from typing import Any

from mistral_operator.api.mistral_deployment import read_spec
from mistral_operator.api.spec import MistralDeploymentSpec, RuntimeSpec
from mistral_operator.planning.facts import GpuClass, ModelFacts, WeightFormat, Weights
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.verdict import Circumstances, ModelAnswer
from mistral_operator.planning.wishes import Defaults
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.runtimes import RuntimeName

GIB = 2**30
COMMIT = "26bca36bde8333b5d7f72e9ed20ccda6a618af24"
NEXT_COMMIT = "7231864981174d9bee8c7687c24c8344414eae6b"
DEFAULTS = Defaults("mistral-vllm", "0.26.0", RuntimeSpec(name=RuntimeName.MISTRAL_VLLM, version="0.26.0"))


def gpus(
    product: str, capability: str, gibibytes: float, per_node: int = 8, resource: str = "nvidia.com/gpu"
) -> GpuClass:
    """Return a class of GPUs."""
    return GpuClass(int(gibibytes * GIB), ComputeCapability.parse(capability), product, resource, per_node)


H200 = gpus("NVIDIA-H200", "9.0", 140.4)
A100 = gpus("NVIDIA-A100-SXM4-80GB", "8.0", 80)
L4 = gpus("NVIDIA-L4", "8.9", 22.5, per_node=1)
T4 = gpus("Tesla-T4", "7.5", 15, per_node=1)


def facts(commit: str = COMMIT, **config: Any) -> ModelFacts:
    """Return Mistral-7B-v0.1, with a window on every layer unless the config says otherwise."""
    weights = Weights(WeightFormat.HF, 14_483_464_192, ("model.safetensors",), 7_241_732_096, {"BF16": 7_241_732_096})
    read = {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "torch_dtype": "bfloat16"} | config
    return ModelFacts("mistralai/Mistral-7B-v0.1", "main", commit, read, None, (weights,))


def spec(**fields: Any) -> MistralDeploymentSpec:
    """Return a spec as a user writes it."""
    return read_spec({"model": {"id": "mistralai/Mistral-7B-v0.1"}} | fields, strict=True)


def circumstances(*classes: GpuClass, read: ModelFacts | None = None, defaults: Defaults = DEFAULTS) -> Circumstances:
    """Return a cluster with these GPUs, and a hub that answers."""
    return Circumstances(ModelAnswer(read or facts()), Inventory(frozenset(classes)), defaults)
