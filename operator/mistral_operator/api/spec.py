"""``spec``: what a user may ask for. The docstring below each field is what ``kubectl explain`` shows.

Only ``model.id`` is required. ``None`` leaves a value to the plan, and ``status`` says what it took.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mistral_operator.api.core_type import CoreType
from mistral_vllm.runtimes import RuntimeName


class ApiModel(BaseModel):
    """Base of everything that stands in a MistralDeployment: camelCase in YAML, immutable in Python.

    Fields of a newer CustomResourceDefinition are ignored; the command line refuses them instead.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )


class ModelSource(StrEnum):
    """Where the pod takes the weights from."""

    HUB = "Hub"
    PVC = "PVC"


class Backend(StrEnum):
    """Attention backends by people's names; ``Auto`` leaves the choice to the plan."""

    AUTO = "Auto"
    XFORMERS = "XFORMERS"
    FLASH_ATTN = "FLASH_ATTN"
    FLASHINFER = "FLASHINFER"
    TRITON_ATTN = "TRITON_ATTN"
    FLEX_ATTENTION = "FLEX_ATTENTION"
    CPU_ATTN = "CPU_ATTN"


class ModelSpec(ApiModel):
    """Which model, at which revision, under which name."""

    id: str = Field(min_length=1, max_length=256)
    """The model's id on the hub, such as mistralai/Mistral-7B-Instruct-v0.3. Its config there decides the plan."""
    revision: str = Field("main", min_length=1, max_length=256)
    """Branch, tag or commit. Pods run the commit it meant when they were planned, not what it means later."""
    served_name: str | None = Field(None, min_length=1, max_length=256)
    """The name in requests to the API; the id when not given."""
    source: ModelSource = ModelSource.HUB
    """Where pods take the weights from: Hub downloads them, PVC reads them below storage.pvc.name at path."""
    path: str | None = Field(None, min_length=1, max_length=1024)
    """With source PVC: the model's folder, relative to the root of the volume."""


class GpuSpec(ApiModel):
    """Which GPUs may run it; everything left out admits all of them."""

    products: list[Annotated[str, Field(min_length=1, max_length=63)]] | None = Field(None, min_length=1, max_length=32)
    """Products as GPU Feature Discovery labels them (nvidia.com/gpu.product), such as NVIDIA-H200."""
    min_memory: str | None = Field(
        None, max_length=32, pattern=r"^[1-9][0-9]{0,11}(\.[0-9]{1,6})?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
    )
    """Least memory of one GPU, such as 80Gi. A GPU may have up to 5 % less: an 80 GB card reports 81,559 MiB."""
    min_compute_capability: str | None = Field(None, pattern=r"^[0-9]{1,2}\.[0-9]$")
    """Least CUDA compute capability, such as "8.0"."""
    resource_name: str = Field(
        "nvidia.com/gpu", max_length=253, pattern=r"^nvidia\.com/[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"
    )
    """The extended resource a pod asks for; a MIG profile such as nvidia.com/mig-1g.10gb works too."""


class ParallelismSpec(ApiModel):
    """How one replica is spread over GPUs. The GPUs of a pod are tensor times pipeline, said nowhere else."""

    tensor: int = Field(1, ge=1, le=64)
    """GPUs that share every layer."""
    pipeline: int = Field(1, ge=1, le=64)
    """Stages of layers. Only 1 is planned for yet."""


class EngineSpec(ApiModel):
    """vLLM's own settings, where the plan's choice is not wanted."""

    attention_backend: Backend = Backend.AUTO
    """Auto chooses by the model's config and the GPU. A backend that would ignore the model's window is refused."""
    max_model_len: int | None = Field(None, ge=1, le=2**31 - 1)
    """Longest sequence, in tokens; the config's own when not given."""
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = None
    """What the model computes in; the checkpoint's own when not given."""
    kv_cache_dtype: str | None = Field(None, min_length=1, max_length=32)
    """What the KV cache is stored in; the model's own dtype when not given."""
    gpu_memory_utilization: float = Field(0.92, gt=0, le=1)
    """Share of each GPU's memory that vLLM may take."""
    max_num_seqs: int | None = Field(None, ge=1, le=65536)
    """Sequences served at once; vLLM's default for the GPU when not given."""
    max_num_batched_tokens: int | None = Field(None, ge=1, le=2**24)
    """Tokens of one step; vLLM's default for the GPU when not given."""
    enforce_eager: bool = False
    """Run without CUDA graphs: slower, and it starts sooner."""


class RuntimeSpec(ApiModel):
    """What an image contains: tags are never parsed."""

    name: RuntimeName
    """mistral-vllm is vLLM with this project's XFORMERS backend, vllm is stock vLLM, vllm-cpu vLLM for the CPU."""
    version: str = Field(min_length=1, max_length=64, pattern=r"^v?[0-9]+\.[0-9]+([.+a-z][0-9A-Za-z.+]*)?$")
    """The vLLM release, such as 0.26.0."""


class ImageSpec(ApiModel):
    """Another image than the operator's default."""

    repository: str | None = Field(None, min_length=1, max_length=255)
    """Repository without tag or digest."""
    tag: str | None = Field(None, min_length=1, max_length=128)
    """Tag; not looked at when a digest is given."""
    digest: str | None = Field(None, pattern=r"^sha256:[0-9a-f]{64}$")
    """Digest, sha256:…"""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the kubelet pulls; Kubernetes' own rule when not given."""
    runtime: RuntimeSpec | None = None
    """What the image contains. Required whenever repository, tag or digest is given."""


class SecretKeyRef(ApiModel):
    """One key of a Secret in the object's namespace."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    """Name of the Secret."""
    key: str = Field(min_length=1, max_length=253, pattern=r"^[-._A-Za-z0-9]+$")
    """Key in it."""


class PvcCreate(ApiModel):
    """A PersistentVolumeClaim that the operator makes and that goes with the object."""

    size: Annotated[str | int, CoreType("io.k8s.apimachinery.pkg.api.resource.Quantity")]
    """How much storage to ask for, such as 100Gi."""
    storage_class_name: str | None = Field(None, min_length=1, max_length=253)
    """StorageClass; the cluster's default when not given."""
    access_modes: list[Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod", "ReadOnlyMany"]] = Field(
        ["ReadWriteOnce"], min_length=1, max_length=4
    )
    """ReadWriteMany lets replicas on several nodes share one download."""


class PvcSpec(ApiModel):
    """A volume for the weights: one that exists (name) or one to make (create)."""

    name: str | None = Field(None, min_length=1, max_length=253)
    """A PersistentVolumeClaim in the object's namespace."""
    create: PvcCreate | None = None
    """Make one, named after the object."""


class EmptyDirSpec(ApiModel):
    """The node's own disk: downloaded anew for each pod."""

    size_limit: Annotated[str | int, CoreType("io.k8s.apimachinery.pkg.api.resource.Quantity")] | None = None
    """Most that it may hold."""


class StorageSpec(ApiModel):
    """Where downloaded weights are kept; the node's own disk when not given."""

    pvc: PvcSpec | None = None
    """A PersistentVolumeClaim."""
    empty_dir: EmptyDirSpec | None = None
    """The node's own disk."""


class ServiceSpec(ApiModel):
    """The Service in front of the pods."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service."""
    port: int = Field(8000, ge=1, le=65535)
    """Port of the Service; pods listen on 8000."""
    annotations: dict[str, Annotated[str, Field(max_length=4096)]] | None = Field(None, max_length=64)
    """Annotations of the Service."""


class RolloutSpec(ApiModel):
    """How pods are replaced. Not given: one at a time and without a spare GPU (maxSurge 0, maxUnavailable 1)."""

    max_surge: Annotated[int | str, CoreType("io.k8s.apimachinery.pkg.util.intstr.IntOrString")] = 0
    """Pods above replicas during a rollout; each needs spare GPUs."""
    max_unavailable: Annotated[int | str, CoreType("io.k8s.apimachinery.pkg.util.intstr.IntOrString")] = 1
    """Pods below replicas during a rollout."""


_Labels = dict[str, Annotated[str, Field(max_length=63)]]
_Annotations = dict[str, Annotated[str, Field(max_length=4096)]]


def _core(name: str) -> Any:
    return CoreType(f"io.k8s.api.core.v1.{name}")


class MistralDeploymentSpec(ApiModel):
    """A Mistral model to serve."""

    model: ModelSpec
    """Which model."""
    replicas: int = Field(1, ge=0, le=1000)
    """Pods to run; the scale subresource writes here, so autoscalers target the MistralDeployment."""
    gpu: GpuSpec = Field(default_factory=GpuSpec)
    """Which GPUs may run it."""
    parallelism: ParallelismSpec = Field(default_factory=ParallelismSpec)
    """How one replica is spread over GPUs."""
    engine: EngineSpec = Field(default_factory=EngineSpec)
    """vLLM's own settings."""
    image: ImageSpec | None = None
    """Another image than the operator's default."""
    hf_token_secret_ref: SecretKeyRef | None = None
    """Token for the hub; read by the operator and given to pods as HF_TOKEN."""
    api_key_secret_ref: SecretKeyRef | None = None
    """Key that clients of the API must send."""
    storage: StorageSpec | None = None
    """Where downloaded weights are kept."""
    service: ServiceSpec = Field(default_factory=ServiceSpec)
    """The Service in front of the pods."""
    rollout: RolloutSpec | None = None
    """How pods are replaced."""
    resources: Annotated[dict[str, Any], _core("ResourceRequirements")] | None = None
    """CPU and memory of the vLLM container; GPUs follow from parallelism and may not be named here."""
    env: list[Annotated[dict[str, Any], _core("EnvVar")]] | None = Field(None, max_length=64)
    """Environment of the vLLM container; wins over what the operator sets, apart from what only it may set."""
    extra_args: list[Annotated[str, Field(max_length=1024)]] | None = Field(None, max_length=64)
    """Arguments for vLLM beside the plan's; what the plan renders itself is refused by name."""
    node_selector: _Labels | None = Field(None, max_length=64)
    """Labels a node must have."""
    tolerations: list[Annotated[dict[str, Any], _core("Toleration")]] | None = Field(None, max_length=64)
    """Tolerations beside the one for nvidia.com/gpu."""
    affinity: Annotated[dict[str, Any], _core("Affinity")] | None = None
    """Affinity; what the plan requires of nodes is added to each of its node selector terms."""
    topology_spread_constraints: list[Annotated[dict[str, Any], _core("TopologySpreadConstraint")]] | None = Field(
        None, max_length=16
    )
    """How replicas spread over zones and nodes."""
    priority_class_name: str | None = Field(None, max_length=253)
    """PriorityClass of the pods."""
    runtime_class_name: str | None = Field(None, max_length=253)
    """RuntimeClass of the pods, such as nvidia."""
    scheduler_name: str | None = Field(None, max_length=253)
    """Scheduler of the pods."""
    image_pull_secrets: list[Annotated[dict[str, Any], _core("LocalObjectReference")]] | None = Field(
        None, max_length=16
    )
    """Secrets to pull the image with."""
    pod_labels: _Labels | None = Field(None, max_length=64)
    """Labels of the pods beside the operator's, which win."""
    pod_annotations: _Annotations | None = Field(None, max_length=64)
    """Annotations of the pods."""
    service_account_name: str | None = Field(None, max_length=253)
    """ServiceAccount of the pods; its token is never mounted."""
    termination_grace_period_seconds: int | None = Field(None, ge=0, le=86400)
    """How long a pod may finish its requests before it is killed."""
    pod_security_context: Annotated[dict[str, Any], _core("PodSecurityContext")] | None = None
    """Merged over the operator's, which passes the restricted Pod Security level."""
    security_context: Annotated[dict[str, Any], _core("SecurityContext")] | None = None
    """Of the vLLM container, merged over the operator's."""
    volumes: list[Annotated[dict[str, Any], _core("Volume")]] | None = Field(None, max_length=32)
    """Volumes beside the operator's."""
    volume_mounts: list[Annotated[dict[str, Any], _core("VolumeMount")]] | None = Field(None, max_length=32)
    """Mounts of the vLLM container beside the operator's."""
