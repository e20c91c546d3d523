"""Objects that fail, each in its own way: what is wrong with them, and how it is put right."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from cluster.live import Body, Live
from devcluster.controlplane import L4, NodeKind
from mistral_vllm.telling.root_cause import root_cause

ANNOTATION: Final = "devcluster.mistral-operator.io"
FATE: Final = f"{ANNOTATION}/fate"
LOGS: Final = Path(__file__).parents[1] / "unit" / "vllm_logs"
TAINTED: Final = NodeKind("b300", "NVIDIA-B300", 8, 294912, "10.3", "blackwell")
SINGLE: Final = "single-0"  # a node with one GPU
LOST: Final = "lost-0"
ROOMY: Final = {f"roomy-{number}": NodeKind("roomy", "NVIDIA-H100-80GB-HBM3", 8, 81559, "9.0", "hopper")
                for number in range(8)}  # fmt: skip
NODES: Final = {**ROOMY, SINGLE: L4, LOST: L4, "tainted-0": TAINTED}
ON_ROOMY: Final[dict[str, Any]] = {"gpu": {"products": ["NVIDIA-H100-80GB-HBM3"]}}


class Case(NamedTuple):
    """One way to fail."""

    name: str
    reason: str
    phase: str
    spec: dict[str, Any]
    heal: Callable[[Live, str], None] | None = None
    namespace: str = ""  # what is special about it
    seconds: float = 30  # until it can be told


def respec(live: Live, name: str, **spec: Any) -> None:
    """Put an object right by changing its spec."""
    live.patch("MistralDeployment", name, {"spec": spec})


def release(live: Live, name: str) -> None:
    """Let the pods live whose fate it was to fail."""
    for pod in live.pods(name):
        live.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": {FATE: None}}})


def remove(kind: str, other: str, live: Live, _: str) -> None:
    """Take away what stands in the way."""
    live.delete(kind, other)


def fated(fate: str, **annotations: str) -> dict[str, Any]:
    """Return the spec of an object whose pods have a fate."""
    told = {f"{ANNOTATION}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {**ON_ROOMY, "podAnnotations": {FATE: fate, **told}}


def waits(name: str, reason: str, phase: str = "Failed", fate: str = "", seconds: float = 30) -> Case:
    """Return a case that the kubelet tells of."""
    return Case(name, reason, phase, fated(fate or name), release, seconds=seconds)


def says(name: str, reason: str, words: str = "", code: int = 1) -> Case:
    """Return a case that vLLM tells of, in our image's termination message."""
    text = words or root_cause((LOGS / f"{name.replace('-', '_')}.log").read_text(encoding="utf-8"), code)
    return Case(name, reason, "Failed", fated("ends", last_words=text, exit_code=str(code)), release)


def claim(name: str, **spec: Any) -> Body:
    """Return a claim."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted | spec}


def volume(name: str, namespace: str, **spec: Any) -> Body:
    """Return a volume for a claim of that name."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{name}"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": "/models"},
            "claimRef": {"namespace": namespace, "name": name},
            **spec,
        },
    }


def volume_nowhere(name: str, namespace: str) -> Body:
    """Return a volume that is where no node is."""
    nowhere = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["nowhere"]}
    terms = [{"matchExpressions": [nowhere]}]
    return volume(name, namespace, nodeAffinity={"required": {"nodeSelectorTerms": terms}})


def provide(live: Live, name: str) -> None:
    """Give a claim its volume."""
    live.plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump(volume(name, live.namespace)))


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
    waits("run-as-root", "ContainerConfigInvalid"),
    waits("driver-too-old", "DriverTooOld"),
    waits("no-program", "ContainerCannotStart"),
    waits("cannot-mount", "VolumeNotMounted", seconds=60),
    waits("out-of-memory", "OOMKilled", fate="oom"),
    waits("init-out-of-memory", "OOMKilled", fate="init-oom"),
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
    says("cuda-error", "CUDAError"),
    says("old-driver", "DriverTooOld"),
    says("port-in-use", "PortInUse"),
    says("windows", "WindowMismatch", WINDOWS),
    # another image's: its termination message is the end of its log, and blames another process
    Case("other-image", "KVCacheTooSmall", "Failed",
         {**fated("ends", last_words=KV_CACHE[-2048:]), "image": OTHER_IMAGE}, release),
)  # fmt: skip
