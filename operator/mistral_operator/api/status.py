"""``status``: what the operator answers. The docstring below each field is what ``kubectl explain`` shows."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from mistral_operator.api.conditions import ConditionStatus, Phase
from mistral_operator.api.core_type import CoreType
from mistral_operator.api.plain_text import Words
from mistral_operator.api.spec import ApiModel, RuntimeSpec

_INT64: Final = 2**63  # the API server refuses a status with a number beyond


def _within_int64(number: int) -> int:
    return min(max(number, -_INT64), _INT64 - 1)


Int64 = Annotated[int, AfterValidator(_within_int64)]
Bytes = Annotated[int, Field(ge=0), AfterValidator(_within_int64)]


class Condition(ApiModel):
    """One fact about the object, as Kubernetes' own kinds report it."""

    type: str
    """Name of the fact; True is good news."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: str
    """One CamelCase word: stable, safe to match on."""
    message: Words
    """One sentence: the object, the cause and the next step."""
    observed_generation: Int64
    """The spec's generation that this is about."""
    last_transition_time: Annotated[str, CoreType("io.k8s.apimachinery.pkg.apis.meta.v1.Time")]
    """When the status last changed."""


class ResolvedGpuClass(ApiModel):
    """GPUs that are alike, and that the plan holds for."""

    product: str | None = None
    """nvidia.com/gpu.product"""
    memory: Bytes | None = None
    """Bytes of one GPU."""
    compute_capability: str | None = None
    """CUDA compute capability."""


class Resolved(ApiModel):
    """The frozen plan: pods are rendered from it and from the spec, and from nothing else."""

    generation: Int64
    """The spec's generation it was last found right for."""
    inputs: str
    """Digest of those parts of the spec that a plan depends on; a new digest is a new plan."""
    replan: str | None = None
    """Value of the annotation mistral-operator.io/replan that this plan answers."""
    scheduled: bool = False
    """Whether a pod of it was ever scheduled; until then, new facts make a new plan."""
    commit: str | None = None
    """The model's commit that pods run."""
    image: str
    """The vLLM image."""
    runtime: RuntimeSpec
    """What the image contains."""
    backends: dict[str, str]
    """Attention backend by kind of layer."""
    max_model_len: Int64
    """Longest sequence, in tokens."""
    weights: Bytes | None = None
    """Bytes of the weights as stored; the start-up deadline follows from it."""
    gpu_classes: list[ResolvedGpuClass] = Field(default_factory=list)
    """GPUs that pods may run on; empty where the cluster's are not known, or none is needed."""
    args: list[str]
    """vLLM's arguments."""
    env: dict[str, str] = Field(default_factory=dict)
    """vLLM's environment, as far as it is the plan's."""


class ModelStatus(ApiModel):
    """The model that was read."""

    commit: str | None = None
    """The commit that the pods run."""
    architecture: Words | None = None
    """First of the config's architectures."""
    parameters: Int64 | None = None
    """Number of parameters."""
    weights: str | None = None
    """Size of the weights as stored."""
    source: str | None = None
    """The file that counted: config.json or params.json."""


class Layers(ApiModel):
    """How many layers are of which kind."""

    sliding: Int64
    """Layers with a sliding window."""
    full: Int64
    """Layers that attend to everything."""


class RejectedBackend(ApiModel):
    """A backend that was not chosen."""

    backend: str
    """Its name."""
    reason: str
    """One CamelCase word."""
    message: Words
    """Why."""


class ObservedAttention(ApiModel):
    """What a pod says that it really runs."""

    sliding_window: Int64 | None = None
    """Tokens; absent when no layer has a window."""
    backends: dict[str, str]
    """Attention backend by kind of layer."""
    verified_at: Annotated[str, CoreType("io.k8s.apimachinery.pkg.apis.meta.v1.Time")]
    """When it was first found so."""


class AttentionStatus(ApiModel):
    """What was decided about attention, and why."""

    sliding_window: Int64 | None = None
    """Tokens; absent when no layer has a window."""
    layers: Layers
    """How many layers are of which kind."""
    backend: str
    """The backends in one word, that of the sliding layers first."""
    backends: dict[str, str]
    """Attention backend by kind of layer; Auto is the engine's own choice."""
    reason: str
    """The rule that decided: one CamelCase word."""
    message: Words
    """Why, in one sentence."""
    rejected: list[RejectedBackend] = Field(default_factory=list)
    """Backends that were not chosen, each with its reason."""
    xformers: str
    """Whether XFormers can be used at all."""
    observed: ObservedAttention | None = None
    """What pods themselves report; moves only when the verdict on it does."""


class MemoryStatus(ApiModel):
    """One GPU's memory, on the smallest GPU that the plan holds for."""

    weights: str
    """What the weights take."""
    kv_cache_per_token: str
    """KV cache of one token over all layers."""
    kv_cache_tokens: Int64
    """Tokens the KV cache holds, as vLLM counts them."""
    per_gpu: str = Field(alias="perGPU")
    """The GPU's memory."""
    fits: bool
    """Whether one sequence of the longest length fits."""


class PlanWarning(ApiModel):
    """Something a person should know although there is a plan."""

    reason: str
    """One CamelCase word."""
    message: Words
    """One sentence."""


class MistralDeploymentStatus(ApiModel):
    """What the operator found, decided and sees running."""

    observed_generation: Int64 | None = None
    """The spec's generation that this is about."""
    phase: Phase | None = None
    """One word for people, derived from the conditions."""
    replicas: Int64 = 0
    """Pods there are; read by the scale subresource."""
    ready_replicas: Int64 = 0
    """Pods that answer."""
    selector: str | None = None
    """Label selector of the pods; read by the scale subresource."""
    url: str | None = None
    """Base URL of the OpenAI API inside the cluster."""
    gpu: str | None = None
    """Products of the GPUs that pods may run on, in one word."""
    model: ModelStatus | None = None
    """The model that was read."""
    attention: AttentionStatus | None = None
    """What was decided about attention, and why."""
    memory: MemoryStatus | None = None
    """One GPU's memory."""
    warnings: list[PlanWarning] = Field(default_factory=list)
    """What a person should know although there is a plan."""
    resolved: Resolved | None = None
    """The frozen plan."""
    conditions: list[Condition] = Field(default_factory=list)
    """Facts, each with its reason."""
