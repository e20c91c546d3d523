"""Condition types, phases and every reason a condition may give.

Reasons of the model's layout, of backends and of the hub are constants where they arise
(:mod:`mistral_vllm.reasons`, :mod:`mistral_operator.hub.errors`), those of pods in
:mod:`mistral_operator.api.pod_reasons`; those of the resource itself stand here.
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
    """Reasons of the resource's own conditions: stable words, safe to match on.

    Below each stands what it means and, after ``Next:``, what to do; docs/troubleshooting.md is made of it.
    """

    # Ready
    SERVING = "Serving"
    """Pods of the newest spec answer."""
    CHILD_NOT_OWNED = "ChildNotOwned"
    """A Deployment, Service or claim of that name is somebody else's. Next: Rename or delete it, or this object."""
    CHILD_REFUSED = "ChildRefused"
    """The API server, a quota or a policy refuses a child. Next: What the message says; it is tried again."""
    SPEC_INVALID = "SpecInvalid"
    """The spec was written for another release of the CRD. Next: Correct the field that is named."""
    STATUS_REFUSED = "StatusRefused"
    """The API server refuses the status: plan and messages are those of the last one that it took, the other conditions
    are of now. Next: What the message says: shorten or remove what the API server names; else report it."""
    OPERATOR_FAULT = "OperatorFault"
    """The operator failed at this object: what runs goes on, and it is tried again. Next: Report it, with the traceback
    in the operator's log."""
    # ModelResolved
    MODEL_READ = "ModelRead"
    """The model's config and the size of its weights are known, at the commit that is named."""
    MODEL_NOT_CHECKED = "ModelNotChecked"
    """The plan stands, and the hub could not be asked again. Next: Nothing, if it lasts for minutes; else see why."""
    TOKEN_SECRET_MISSING = "TokenSecretMissing"  # noqa: S105 - a reason, not a secret
    """The Secret of `hfTokenSecretRef`, or its key, is not there. Next: Create it; it is noticed within a minute."""
    TOKEN_SECRET_UNREADABLE = "TokenSecretUnreadable"  # noqa: S105
    """That Secret may not be read, or holds no text. Next: `mistral-operator rbac` prints the right; store text."""
    # BackendSelected
    PLAN_FROZEN = "PlanFrozen"
    """The backend of the frozen plan; the status does not tell any more why it was chosen."""
    NOT_PLANNED = "NotPlanned"
    """There is no plan yet. Next: See ModelResolved and HardwareCompatible; a paused object is not planned at all."""
    # HardwareCompatible
    GPU_FOUND = "GPUFound"
    """The cluster has GPUs that the plan holds for; the message names them, and why others are left out."""
    NO_GPU_NEEDED = "NoGPUNeeded"
    """The runtime runs on the CPU."""
    NO_MATCHING_GPU = "NoMatchingGPU"
    """No GPU meets `spec.gpu`, or those of the plan are gone. Next: Widen `spec.gpu`, add a node, or replan."""
    DOES_NOT_FIT = "DoesNotFit"
    """The weights and one sequence are more than the GPUs hold. Next: What the message says: a shorter
    `engine.maxModelLen`, or `parallelism.tensor` raised to so many."""
    NO_GPU_NODES = "NoGPUNodes"
    """No node offers the GPU resource with labels. Next: Install GPU Feature Discovery and the device plugin, or name
    products in `spec.gpu`."""
    GPU_NOT_DESCRIBED = "GPUNotDescribed"
    """The GPU is there, and no label tells its memory. Next: Let GPU Feature Discovery label the node."""
    NODES_NOT_READABLE = "NodesNotReadable"
    """The operator may not read nodes. Next: `mistral-operator rbac` prints the right (the chart's `rbac.nodes`)."""
    # Available and UpToDate
    PODS_AVAILABLE = "PodsAvailable"
    """At least one replica answers."""
    NO_POD_AVAILABLE = "NoPodAvailable"
    """No pod answers, and nothing is known to be wrong: they begin, or load. Next: Wait."""
    SCALED_TO_ZERO = "ScaledToZero"
    """`spec.replicas` is 0. Next: `kubectl scale mdep NAME --replicas=1`, when the model is wanted."""
    NOT_DEPLOYED = "NotDeployed"
    """There is no Deployment yet. Next: See the conditions before it: without a plan there is none."""
    ROLLED_OUT = "RolledOut"
    """Every replica is of the newest spec and answers."""
    ROLLING_OUT = "RollingOut"
    """Pods are being replaced. Next: Wait; the message counts."""
    ROLLOUT_STALLED = "RolloutStalled"
    """Pods did not answer within the deadline. Next: Look at that pod; where a cause is known, the message or Available
    says it."""
    # AttentionVerified
    ATTENTION_AS_PLANNED = "AttentionAsPlanned"
    """Every pod that was asked runs the plan; the first warning of a report is repeated."""
    ATTENTION_DIFFERS = "AttentionDiffers"
    """A pod runs other layers, another window or another backend, or its ranks do not agree. Next: Look at that pod's
    log, and at what its image is."""
    NOT_ASKED_YET = "NotAskedYet"
    """No pod of the plan has been Ready yet, or the operator may not get ReplicaSets. Next: Wait; `mistral-operator
    rbac` prints the right."""
    IMAGE_CANNOT_TELL = "ImageCannotTell"
    """A stock image, or one without the plugin. Next: Use the runtime `mistral-vllm` where that matters."""
    POD_CANNOT_TELL = "PodCannotTell"
    """The pod answers, and not with a report. Next: What the message says."""
    POD_UNREACHABLE = "PodUnreachable"
    """No answer within 2 s. Next: Let the operator's pods in with your NetworkPolicy, port 8000."""
    KEY_MISSING = "KeyMissing"
    """The Secret of `apiKeySecretRef` or its key is not there, may not be read, or holds no text. Next: Put the Secret
    right."""
    KEY_REFUSED = "KeyRefused"
    """The pod has another key: it reads the Secret only when it starts. Next: `kubectl delete pod` it, one by one."""
    # PlanCurrent
    PLAN_IS_CURRENT = "PlanIsCurrent"
    """A plan of today's facts would be the same."""
    PLAN_OUTDATED = "PlanOutdated"
    """A plan of today's facts would differ; the message says in what. Next: Replan when it suits."""
    PLAN_PENDING = "PlanPending"
    """Another plan is needed, and none can be made yet. Next: See BackendSelected and its neighbours."""
    PAUSED = "Paused"
    """The annotation `mistral-operator.io/paused` is there: nothing is planned or applied. Next: Remove it to go on."""
    # Warnings of the resource
    MAX_MODEL_LEN_REDUCED = "MaxModelLenReduced"
    """Nobody asked for a length, and the model's own does not fit. Next: Set `engine.maxModelLen`, or what the message
    says would give all of it."""
    DEPLOYMENT_SCALED_BY_OTHERS = "DeploymentScaledByOthers"
    """An autoscaler scales the Deployment, which is set back whenever the operator applies it. Next: Let it target the
    MistralDeployment."""


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
