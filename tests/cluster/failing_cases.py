"""Objects that fail, each in its own way: in whose words, for which reason, and how it is put right."""

from functools import partial
from typing import Any, Final

from cluster.failing import (
    LOGS,
    ON_ROOMY,
    ROOMY,
    Case,
    admit,
    fated,
    provide,
    release,
    remove,
    respec,
    says,
    waits,
)
from devcluster.controlplane import L4, NodeKind

TAINTED: Final = NodeKind("b300", "NVIDIA-B300", 8, 294912, "10.3", "blackwell")
OLD: Final = NodeKind("l40", "NVIDIA-L40", 8, 46068, "8.9", "ada-lovelace")
SINGLE: Final = "single-0"  # a node with one GPU
LOST: Final = "lost-0"
CORDONED: Final = "cordoned-0"
_ROOMY: Final = {f"roomy-{number}": NodeKind("roomy", ROOMY, 8, 81559, "9.0", "hopper")
                for number in range(16)}  # fmt: skip
NODES: Final = {**_ROOMY, SINGLE: L4, LOST: L4, "tainted-0": TAINTED, CORDONED: OLD}
SINGLE_NODE: Final[dict[str, Any]] = {"nodeSelector": {"kubernetes.io/hostname": SINGLE}}
PRIVILEGED: Final[dict[str, Any]] = {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
OTHER_IMAGE: Final = {
    "repository": "vllm/vllm-openai",
    "tag": "v0.26.0",
    "runtime": {"name": "vllm", "version": "0.26.0"},
}
KV_CACHE: Final = (LOGS / "kv_cache_too_small.log").read_text(encoding="utf-8")
WINDOWS: Final = (
    "WindowMismatch: refusing to serve: 32 of 32 attention layers did not get the window that the model's config means "
    "(config.json): model.layers.0.self_attn.attn has no window instead of a window of 4096 and 31 more; correct "
    "--hf-overrides, or the model's sliding_window and layer_types"
)

CASES: Final = (
    # the scheduler's own words: it is the real one
    Case("gpu", "InsufficientGPU", "Scheduling", SINGLE_NODE, partial(remove, "MistralDeployment", "holder")),
    Case(
        "memory", "InsufficientMemory", "Scheduling", {**ON_ROOMY, "resources": {"requests": {"memory": "600Gi"}}},
        partial(respec, resources=None),
    ),
    Case(
        "cpu", "InsufficientCPU", "Scheduling", {**ON_ROOMY, "resources": {"requests": {"cpu": "100"}}},
        partial(respec, resources=None),
    ),
    Case(
        "disk", "InsufficientResources", "Scheduling",
        {**ON_ROOMY, "resources": {"requests": {"ephemeral-storage": "9Ti"}}}, partial(respec, resources=None),
    ),
    Case(
        "cordoned", "NodesCordoned", "Scheduling",
        {"gpu": {"products": [OLD.product]}, "tolerations": [{"key": "dedicated", "operator": "Exists"}]},
        partial(respec, gpu=ON_ROOMY["gpu"]),
    ),
    Case("gate", "SchedulingGated", "Scheduling", {**ON_ROOMY, "podLabels": {"queue": "team-a"}}, admit),
    Case(
        "taint", "UntoleratedTaint", "Scheduling", {"gpu": {"products": [TAINTED.product]}},
        partial(respec, tolerations=[{"key": "dedicated", "operator": "Exists"}]),
    ),
    Case(
        "affinity", "AffinityUnmatched", "Scheduling", {**ON_ROOMY, "nodeSelector": {"zone": "nowhere"}},
        partial(respec, nodeSelector=None),
    ),
    Case(
        "claim-missing", "ClaimMissing", "Scheduling", {**ON_ROOMY, "storage": {"pvc": {"name": "nothing"}}},
        partial(respec, storage=None),
    ),
    Case(
        "claim-pending", "ClaimPending", "Scheduling", {**ON_ROOMY, "storage": {"pvc": {"create": {"size": "20Gi"}}}},
        provide, seconds=90,
    ),
    Case(
        "zone", "VolumeElsewhere", "Scheduling", {**ON_ROOMY, "storage": {"pvc": {"name": "elsewhere"}}},
        partial(respec, storage=None),
    ),
    Case(
        "volume-in-use", "VolumeInUse", "Scheduling", {**ON_ROOMY, "storage": {"pvc": {"name": "once"}}},
        partial(remove, "MistralDeployment", "once-holder"),
    ),
    # the API server's
    Case("quota", "QuotaExceeded", "Scheduling", ON_ROOMY, partial(respec, replicas=0), "quota"),
    Case("pod-security", "PodSecurityRefused", "Failed", {**ON_ROOMY, **PRIVILEGED}, partial(respec, volumes=None),
         "restricted"),
    Case("service-account", "ServiceAccountMissing", "Failed", {**ON_ROOMY, "serviceAccountName": "robot"},
         partial(respec, serviceAccountName="default")),
    Case("policy", "AdmissionRefused", "Failed", {**ON_ROOMY, "podLabels": {"refuse": "me"}},
         partial(respec, podLabels=None)),
    # the kubelet's
    waits("image-missing", "ImageMissing"),
    waits("image-denied", "ImageAccessDenied"),
    waits("image-unreachable", "ImagePullFailed", "Pulling"),
    waits("image-name", "ImageNameInvalid"),
    waits("image-pulling", "ImagePulling", "Pulling", "pulls", 60),
    waits("secret-missing", "SecretMissing"),
    waits("secret-key-missing", "SecretKeyMissing"),
    waits("config-map-missing", "ConfigMapMissing"),
    waits("config-map-key-missing", "ConfigMapKeyMissing"),
    waits("run-as-root", "ContainerConfigInvalid"),
    waits("driver-too-old", "DriverTooOld"),
    waits("no-program", "ContainerCannotStart"),
    waits("cannot-mount", "VolumeNotMounted", seconds=60),
    waits("out-of-memory", "OOMKilled", fate="oom"),
    waits("init-out-of-memory", "OOMKilled", fate="init-oom"),
    Case("ended-by-nobody", "ContainerCrashed", "Failed", fated("ends", exit_code="137"), release),
    waits("init-fails", "InitContainerFailed"),
    waits("no-network", "SandboxFailed", "Pulling", seconds=60),
    waits("liveness", "LivenessFailed"),
    waits("startup-deadline", "StartupTimedOut"),
    waits("does-not-answer", "ReadinessFailed", seconds=60),
    # vLLM's
    says("gated", "WeightsGated"),
    says("no-such-repository", "WeightsNotFound"),
    says("hub-unreachable", "WeightsUnreachable"),
    says("no-weights", "WeightsMissing"),
    says("only-worker-out-of-memory", "CUDAOutOfMemory"),
    says("kv-cache-too-small", "KVCacheTooSmall"),
    says("unknown-backend", "BackendUnsupported"),
    says("no-gpu", "NoGPUInPod"),
    says("unknown-argument", "ArgumentUnknown", code=2),
    says("wrong-release", "PluginReleaseMismatch"),
    says("worker-killed", "ProcessKilled"),
    says("gpu-memory-taken", "GPUMemoryTaken",
         "ValueError: Free memory on device cuda:0 (3.21/79.18 GiB) on startup is less than desired GPU memory "
         "utilization (0.92, 72.85 GiB). Decrease GPU memory utilization or reduce GPU memory used"
         " by other processes."),
    says("max-model-len", "MaxModelLenTooLong"),
    says("invalid-choice", "ArgumentInvalid", code=2),
    says("architecture", "ModelUnsupported",
         "ValueError: Model architectures ['Mistral9ForCausalLM'] are not supported for now. Supported architectures: "
         "dict_keys(['AfmoeForCausalLM', 'ApertusForCausalLM'])"),
    says("dtype", "DTypeUnsupported",
         "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU "
         "has compute capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI, for "
         "example: --dtype=half."),
    says("plugin", "PluginRefused",
         "PluginError: mistral_vllm cannot do its work, and MISTRAL_VLLM_REQUIRED=1 forbids its fallback: xFormers is "
         "not installed, and --attention-backend CUSTOM must be left out"),
    says("disk-full", "DiskFull", "OSError: [Errno 28] No space left on device: '/models/hub/blobs/9f2b'"),
    says("not-writable", "VolumeNotWritable", "PermissionError: [Errno 13] Permission denied: '/models/hub'"),
    says("cuda-error", "CUDAError"),
    says("old-driver", "DriverTooOld"),
    says("port-in-use", "PortInUse"),
    says("windows", "WindowMismatch", WINDOWS),
    # another image's: its termination message is the end of its log, and blames another process
    Case("other-image", "KVCacheTooSmall", "Failed",
         {**fated("ends", last_words=KV_CACHE[-2048:]), "image": OTHER_IMAGE}, release),
)  # fmt: skip
UNPROVOKED: Final = {
    "Unschedulable": "words of a scheduler that is not Kubernetes' own, or of a later release",
}
