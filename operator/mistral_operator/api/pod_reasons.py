"""Why pods do not answer: every reason that :mod:`mistral_operator.status.diagnosis` may find."""

from enum import StrEnum


class PodReason(StrEnum):
    """Why no pod answers: stable words, safe to match on.

    Below each stands what it means and, after ``Next:``, what to do; docs/troubleshooting.md is made of it.
    """

    # No node takes the pod
    INSUFFICIENT_GPU = "InsufficientGPU"
    """No node has as many free GPUs as a pod wants. Next: Free some, add a node, or lower `replicas` or
    `parallelism`."""
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    """No node has as much free memory as `spec.resources` requests. Next: Lower the request, or add a node."""
    INSUFFICIENT_CPU = "InsufficientCPU"
    """No node has as many free CPUs as `spec.resources` requests. Next: Lower the request, or add a node."""
    INSUFFICIENT_RESOURCES = "InsufficientResources"
    """The same of disk, ports or the number of pods. Next: Lower what `spec.resources` asks for, or add a node."""
    UNTOLERATED_TAINT = "UntoleratedTaint"
    """Nodes that would do have a taint that pods do not tolerate. Next: Name it in `spec.tolerations`."""
    AFFINITY_UNMATCHED = "AffinityUnmatched"
    """No node meets `nodeSelector`, `affinity`, the topology spread or the plan's GPUs. Next: Correct it, or label a
    node."""
    NODES_CORDONED = "NodesCordoned"
    """Every node that would do is cordoned. Next: `kubectl uncordon` one."""
    SCHEDULING_GATED = "SchedulingGated"
    """A queue such as Kueue holds the pod back. Next: Ask the queue."""
    UNSCHEDULABLE = "Unschedulable"
    """The scheduler gives another reason, which the message repeats. Next: `kubectl describe pod`."""
    # Its volumes are not there
    CLAIM_MISSING = "ClaimMissing"
    """The PersistentVolumeClaim is not there, or is being deleted. Next: Create it, or correct `storage.pvc.name`."""
    CLAIM_PENDING = "ClaimPending"
    """The claim has no volume yet; the message repeats why. Next: Name a storage class that exists."""
    VOLUME_ELSEWHERE = "VolumeElsewhere"
    """The volume is in another zone, or on another node, than the GPUs. Next: Use a claim where the GPUs are."""
    VOLUME_IN_USE = "VolumeInUse"
    """Another pod or node has the volume. Next: Use a claim with `ReadWriteMany`, or fewer replicas."""
    VOLUME_NOT_MOUNTED = "VolumeNotMounted"
    """The kubelet cannot mount a volume; the message repeats why. Next: Correct `storage` or `volumes`, or mend the
    storage."""
    # Its image is not there
    IMAGE_PULLING = "ImagePulling"
    """The image is being pulled; a vLLM image is about 10 GB. Next: Wait."""
    IMAGE_MISSING = "ImageMissing"
    """The registry has no such image, tag, digest or platform. Next: Correct `spec.image`, or push it."""
    IMAGE_ACCESS_DENIED = "ImageAccessDenied"
    """The registry wants other credentials. Next: Name a Secret in `imagePullSecrets`."""
    IMAGE_NAME_INVALID = "ImageNameInvalid"
    """The image's name is none. Next: Correct `spec.image`."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """The registry cannot be reached, or says "later". Next: It is tried again; see that the node reaches the
    registry."""
    # Its container cannot be made
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    """A Secret that the pod refers to is not there. Next: Create it, or correct the reference."""
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    """A Secret that the pod refers to lacks the key. Next: Add the key, or correct the reference."""
    CONFIG_MAP_MISSING = "ConfigMapMissing"
    """A ConfigMap that the pod refers to is not there. Next: Create it, or correct the reference."""
    CONFIG_MAP_KEY_MISSING = "ConfigMapKeyMissing"
    """A ConfigMap that the pod refers to lacks the key. Next: Add the key, or correct the reference."""
    CONTAINER_CONFIG_INVALID = "ContainerConfigInvalid"
    """The kubelet refuses the container's configuration. Next: Correct what the message names."""
    CONTAINER_CANNOT_START = "ContainerCannotStart"
    """The container cannot be created, or its program is not in the image. Next: `image.runtime` must say what the
    image contains."""
    SANDBOX_FAILED = "SandboxFailed"
    """The pod gets no network or no sandbox. Next: Mend the node's network plugin or container runtime."""
    # Its container ended
    OOM_KILLED = "OOMKilled"
    """A container took more memory than its limit. Next: Raise `resources.limits.memory`."""
    PROCESS_KILLED = "ProcessKilled"
    """One of vLLM's processes was killed, most likely for memory. Next: Raise `resources.limits.memory`."""
    CONTAINER_CRASHED = "ContainerCrashed"
    """A container ended, and its words are not among those below. Next: `kubectl logs --previous`."""
    INIT_CONTAINER_FAILED = "InitContainerFailed"
    """An init container, which somebody injects, failed. Next: `kubectl logs --previous -c` that container."""
    # vLLM said why it ended
    WEIGHTS_GATED = "WeightsGated"
    """The hub refuses the pod: no licence accepted, or no token. Next: Accept it with the account of
    `hfTokenSecretRef`."""
    WEIGHTS_NOT_FOUND = "WeightsNotFound"
    """The hub shows the pod no such model or revision. Next: Correct `model`, or use a token that may read it."""
    WEIGHTS_UNREACHABLE = "WeightsUnreachable"
    """Pods cannot reach the hub. Next: DNS, proxy, NetworkPolicy, or a mirror in `env`."""
    WEIGHTS_MISSING = "WeightsMissing"
    """There are no weights where vLLM looks for them. Next: Put them at `model.path`, or use another revision."""
    MODEL_UNSUPPORTED = "ModelUnsupported"
    """This vLLM release does not know the architecture. Next: Use another release in `image`."""
    CUDA_OUT_OF_MEMORY = "CUDAOutOfMemory"
    """The GPU's memory did not suffice. Next: Lower `maxNumSeqs`, `maxNumBatchedTokens` or `gpuMemoryUtilization`, or
    raise `parallelism.tensor`."""
    CUDA_ERROR = "CUDAError"
    """The GPU, its driver or a collective of several GPUs failed, and not for memory. Next: With `parallelism.tensor`,
    see [NVLink multicast](sizing.md#without-nvlink-multicast); else look for Xid errors in the node's kernel log."""
    GPU_MEMORY_TAKEN = "GPUMemoryTaken"
    """Somebody else has memory of that GPU. Next: End it, or lower `gpuMemoryUtilization`."""
    KV_CACHE_TOO_SMALL = "KVCacheTooSmall"
    """Not one sequence of `maxModelLen` fits; the message has vLLM's own numbers. Next: Set `maxModelLen` to its
    estimate."""
    MAX_MODEL_LEN_TOO_LONG = "MaxModelLenTooLong"
    """`maxModelLen` is more than the model was made for. Next: Lower it."""
    BACKEND_UNSUPPORTED = "BackendUnsupported"
    """vLLM refuses the attention backend; the message has its reasons. Next: `attentionBackend: Auto`, or change what
    they name."""
    DTYPE_UNSUPPORTED = "DTypeUnsupported"
    """The GPU has no bfloat16. Next: `dtype: float16`, or `gpu.minComputeCapability`."""
    DRIVER_TOO_OLD = "DriverTooOld"
    """The node's NVIDIA driver is too old for the image's CUDA. Next: Update it."""
    NO_GPU_IN_POD = "NoGPUInPod"
    """vLLM, or the container runtime, finds no GPU. Next: Mend driver and container toolkit, or set
    `runtimeClassName`."""
    PORT_IN_USE = "PortInUse"
    """Something else in the pod's network listens on vLLM's port. Next: Take it out of there."""
    ARGUMENT_UNKNOWN = "ArgumentUnknown"
    """This vLLM release does not know an argument. Next: Correct `extraArgs`, or `image.runtime.version`."""
    ARGUMENT_INVALID = "ArgumentInvalid"
    """vLLM refuses an argument's value. Next: Correct `extraArgs`, or `engine`."""
    PLUGIN_RELEASE_MISMATCH = "PluginReleaseMismatch"
    """The image has another vLLM than its plugin was written for. Next: Use `mistral-vllm` as it is built."""
    PLUGIN_REFUSED = "PluginRefused"
    """The plugin cannot do its work; the message says why. Next: Use `mistral-vllm` as it is built."""
    WINDOW_MISMATCH = "WindowMismatch"
    """Layers would not get the window that the config means, so nothing is served. Next: Correct `--hf-overrides`, or
    the model's config."""
    DISK_FULL = "DiskFull"
    """The volume for the weights, or the node's disk, is full. Next: `storage.emptyDir.sizeLimit`, a larger claim, or
    free disk."""
    VOLUME_NOT_WRITABLE = "VolumeNotWritable"
    """A volume cannot be written by group 2000. Next: `podSecurityContext.fsGroup`, or another volume."""
    # Its probes fail
    STARTUP_TIMED_OUT = "StartupTimedOut"
    """vLLM did not answer within its start-up time and was ended. Next: A faster disk or a claim; see where it
    hangs."""
    LIVENESS_FAILED = "LivenessFailed"
    """vLLM stopped answering for two minutes and was ended. Next: See in `kubectl logs --previous` where it hangs."""
    READINESS_FAILED = "ReadinessFailed"
    """vLLM runs and does not answer. Next: `kubectl logs`."""
    # Its node gave it up
    NODE_LOST = "NodeLost"
    """Nothing is heard of the pod's node. Next: Mend or delete the node; after 5 minutes the pod is made anew."""
    EVICTED = "Evicted"
    """The node ran out of disk or memory; shown while the pod's successor begins. Next: What the message names."""
    NODE_REFUSED_POD = "NodeRefusedPod"
    """The node took a pod and ended it: its GPU is broken, it shuts down. Next: `kubectl describe node`."""
    # The API server takes no pod
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A ResourceQuota allows no more pods. Next: Raise it, or ask for less."""
    POD_SECURITY_REFUSED = "PodSecurityRefused"
    """The namespace's Pod Security level refuses the pods. Next: Correct the security contexts, or the namespace's
    level."""
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    """`serviceAccountName` is not there. Next: Create it."""
    ADMISSION_REFUSED = "AdmissionRefused"
    """A policy, a webhook or a LimitRange refuses the pods. Next: What the message says."""
