"""Condition types, phases and every reason a condition may give.

Reasons of the model's layout, of backends and of the hub are constants where they arise
(:mod:`mistral_vllm.reasons`, :mod:`mistral_operator.hub.errors`); those of the resource itself stand here.
"""

from enum import StrEnum
from typing import NamedTuple


class ConditionType(StrEnum):
    """Facts about a MistralDeployment; every one is good news when True."""

    READY = "Ready"  # the roll-up of the others
    MODEL_RESOLVED = "ModelResolved"
    BACKEND_SELECTED = "BackendSelected"
    HARDWARE_COMPATIBLE = "HardwareCompatible"
    AVAILABLE = "Available"
    UP_TO_DATE = "UpToDate"
    ATTENTION_VERIFIED = "AttentionVerified"
    PLAN_CURRENT = "PlanCurrent"


class ConditionStatus(StrEnum):
    """Kubernetes' three values."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionValue(NamedTuple):
    """What is known about one fact."""

    status: ConditionStatus
    reason: str
    message: str
    passing: bool = False  # whether it may well mend itself: a hub that does not answer, a rollout that goes on

    @property
    def is_true(self) -> bool:
        """Whether the fact is established."""
        return self.status is ConditionStatus.TRUE

    @property
    def is_false(self) -> bool:
        """Whether the opposite of the fact is established."""
        return self.status is ConditionStatus.FALSE


def true(reason: str, message: str) -> ConditionValue:
    """Establish a fact."""
    return ConditionValue(ConditionStatus.TRUE, str(reason), message)


def false(reason: str, message: str, *, passing: bool = False) -> ConditionValue:
    """Establish the opposite of a fact."""
    return ConditionValue(ConditionStatus.FALSE, str(reason), message, passing)


def unknown(reason: str, message: str, *, passing: bool = False) -> ConditionValue:
    """Leave a fact open."""
    return ConditionValue(ConditionStatus.UNKNOWN, str(reason), message, passing)


class Reason(StrEnum):
    """Reasons of the resource's own conditions: stable words, safe to match on."""

    # Ready
    SERVING = "Serving"
    PAUSED = "Paused"
    CHILD_NOT_OWNED = "ChildNotOwned"
    CHILD_REFUSED = "ChildRefused"
    SPEC_INVALID = "SpecInvalid"
    # ModelResolved
    MODEL_READ = "ModelRead"
    MODEL_NOT_CHECKED = "ModelNotChecked"  # the plan stands, and the hub could not be asked again
    TOKEN_SECRET_MISSING = "TokenSecretMissing"  # noqa: S105 - a reason, not a secret
    TOKEN_SECRET_UNREADABLE = "TokenSecretUnreadable"  # noqa: S105
    # BackendSelected
    NOT_PLANNED = "NotPlanned"
    # HardwareCompatible
    GPU_FOUND = "GPUFound"
    GPU_NOT_DESCRIBED = "GPUNotDescribed"  # it is there, and no label tells its memory
    NO_GPU_NEEDED = "NoGPUNeeded"
    NO_MATCHING_GPU = "NoMatchingGPU"
    DOES_NOT_FIT = "DoesNotFit"
    NO_GPU_NODES = "NoGPUNodes"
    NODES_NOT_READABLE = "NodesNotReadable"
    # Available and UpToDate
    PODS_AVAILABLE = "PodsAvailable"
    NO_POD_AVAILABLE = "NoPodAvailable"
    SCALED_TO_ZERO = "ScaledToZero"
    NOT_DEPLOYED = "NotDeployed"
    ROLLED_OUT = "RolledOut"
    ROLLING_OUT = "RollingOut"
    ROLLOUT_STALLED = "RolloutStalled"
    # AttentionVerified
    ATTENTION_AS_PLANNED = "AttentionAsPlanned"
    ATTENTION_DIFFERS = "AttentionDiffers"
    NOT_ASKED_YET = "NotAskedYet"
    IMAGE_CANNOT_TELL = "ImageCannotTell"
    POD_CANNOT_TELL = "PodCannotTell"  # it answers, and not with a report
    POD_UNREACHABLE = "PodUnreachable"
    KEY_MISSING = "KeyMissing"
    KEY_REFUSED = "KeyRefused"
    # PlanCurrent
    PLAN_FROZEN = "PlanFrozen"
    PLAN_IS_CURRENT = "PlanIsCurrent"
    PLAN_OUTDATED = "PlanOutdated"
    PLAN_PENDING = "PlanPending"  # the spec asks for another plan, and none could be made yet
    # warnings
    MAX_MODEL_LEN_REDUCED = "MaxModelLenReduced"  # nobody asked for a length, and the model's own does not fit
    DEPLOYMENT_SCALED_BY_OTHERS = "DeploymentScaledByOthers"


class PodReason(StrEnum):
    """Why no pod answers, as :mod:`mistral_operator.status.diagnosis` tells it: stable words, safe to match on."""

    # no node takes the pod
    INSUFFICIENT_GPU = "InsufficientGPU"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    INSUFFICIENT_CPU = "InsufficientCPU"
    INSUFFICIENT_RESOURCES = "InsufficientResources"
    UNTOLERATED_TAINT = "UntoleratedTaint"
    AFFINITY_UNMATCHED = "AffinityUnmatched"
    NODES_CORDONED = "NodesCordoned"
    SCHEDULING_GATED = "SchedulingGated"
    UNSCHEDULABLE = "Unschedulable"
    # its volumes are not there
    CLAIM_MISSING = "ClaimMissing"
    CLAIM_PENDING = "ClaimPending"
    VOLUME_ELSEWHERE = "VolumeElsewhere"
    VOLUME_IN_USE = "VolumeInUse"
    VOLUME_NOT_MOUNTED = "VolumeNotMounted"
    # its image is not there
    IMAGE_PULLING = "ImagePulling"
    IMAGE_MISSING = "ImageMissing"
    IMAGE_ACCESS_DENIED = "ImageAccessDenied"
    IMAGE_NAME_INVALID = "ImageNameInvalid"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    # its container cannot be made
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    CONFIG_MAP_MISSING = "ConfigMapMissing"
    CONFIG_MAP_KEY_MISSING = "ConfigMapKeyMissing"
    CONTAINER_CONFIG_INVALID = "ContainerConfigInvalid"
    CONTAINER_CANNOT_START = "ContainerCannotStart"
    SANDBOX_FAILED = "SandboxFailed"
    # its container ended
    OOM_KILLED = "OOMKilled"
    PROCESS_KILLED = "ProcessKilled"
    CONTAINER_CRASHED = "ContainerCrashed"
    INIT_CONTAINER_FAILED = "InitContainerFailed"
    # vLLM said why it ended
    WEIGHTS_GATED = "WeightsGated"
    WEIGHTS_NOT_FOUND = "WeightsNotFound"
    WEIGHTS_UNREACHABLE = "WeightsUnreachable"
    WEIGHTS_MISSING = "WeightsMissing"
    MODEL_UNSUPPORTED = "ModelUnsupported"
    CUDA_OUT_OF_MEMORY = "CUDAOutOfMemory"
    GPU_MEMORY_TAKEN = "GPUMemoryTaken"
    KV_CACHE_TOO_SMALL = "KVCacheTooSmall"
    MAX_MODEL_LEN_TOO_LONG = "MaxModelLenTooLong"
    BACKEND_UNSUPPORTED = "BackendUnsupported"
    DTYPE_UNSUPPORTED = "DTypeUnsupported"
    DRIVER_TOO_OLD = "DriverTooOld"
    NO_GPU_IN_POD = "NoGPUInPod"
    PORT_IN_USE = "PortInUse"
    ARGUMENT_UNKNOWN = "ArgumentUnknown"
    ARGUMENT_INVALID = "ArgumentInvalid"
    PLUGIN_RELEASE_MISMATCH = "PluginReleaseMismatch"
    PLUGIN_REFUSED = "PluginRefused"
    WINDOW_MISMATCH = "WindowMismatch"
    DISK_FULL = "DiskFull"
    VOLUME_NOT_WRITABLE = "VolumeNotWritable"
    # its probes fail
    STARTUP_TIMED_OUT = "StartupTimedOut"
    LIVENESS_FAILED = "LivenessFailed"
    READINESS_FAILED = "ReadinessFailed"
    # its node gave it up
    NODE_LOST = "NodeLost"
    EVICTED = "Evicted"
    NODE_REFUSED_POD = "NodeRefusedPod"
    # the API server takes no pod
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_SECURITY_REFUSED = "PodSecurityRefused"
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    ADMISSION_REFUSED = "AdmissionRefused"


class Phase(StrEnum):
    """One word for people, derived from the conditions and never read by the operator."""

    PENDING = "Pending"
    RESOLVING = "Resolving"
    SCHEDULING = "Scheduling"
    PULLING = "Pulling"
    LOADING = "Loading"  # and downloading: nothing about a pod tells them apart
    READY = "Ready"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    STOPPED = "Stopped"
