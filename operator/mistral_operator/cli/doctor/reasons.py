"""Reasons of the doctor's own findings: stable words, safe to match on.

Conditions, warnings, the hub and the kubelet have reasons of their own, which are handed on as they are.
"""

from enum import StrEnum


class DoctorReason(StrEnum):
    """One word for each thing that the doctor itself finds."""

    # api-server
    VERSION_TESTED = "VersionTested"
    VERSION_NOT_TESTED = "VersionNotTested"
    VERSION_UNKNOWN = "VersionUnknown"
    # crd
    DEFINITION_CURRENT = "DefinitionCurrent"
    DEFINITION_MISSING = "DefinitionMissing"
    DEFINITION_DIFFERS = "DefinitionDiffers"
    DEFINITION_NOT_ESTABLISHED = "DefinitionNotEstablished"
    DEFINITION_BEING_DELETED = "DefinitionBeingDeleted"
    DEFINITION_NOT_READABLE = "DefinitionNotReadable"
    VERSION_NOT_SERVED = "VersionNotServed"
    # rbac
    RIGHTS_COMPLETE = "RightsComplete"
    RIGHTS_MISSING = "RightsMissing"
    RIGHTS_NOT_READABLE = "RightsNotReadable"
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    # operator
    OPERATOR_RUNS = "OperatorRuns"
    OPERATOR_NEVER_RAN = "OperatorNeverRan"
    OPERATOR_STOPPED = "OperatorStopped"
    OPERATOR_SILENT = "OperatorSilent"
    LEASE_NOT_READABLE = "LeaseNotReadable"
    # gpu-nodes
    GPUS_FOUND = "GPUsFound"
    NO_GPUS = "NoGPUs"
    NO_GPU_LABELS = "NoGPULabels"
    NO_DEVICE_PLUGIN = "NoDevicePlugin"
    MIG_INVALID = "MIGInvalid"
    MIG_NOT_CONFIGURED = "MIGNotConfigured"
    MIG_PROFILES = "MIGProfiles"
    NODE_UNUSABLE = "NodeUnusable"
    NODES_NOT_READABLE = "NodesNotReadable"
    # hub
    HUB_ANSWERS = "HubAnswers"
    HUB_NOT_CHECKED = "HubNotChecked"
    OTHER_HUB = "OtherHub"
    TOKEN_NOT_CHECKED = "TokenNotChecked"  # noqa: S105 - a reason, not a secret
    # image-pull
    NO_PULL_FAILS = "NoPullFails"
    PULL_SECRET_MISSING = "PullSecretMissing"  # noqa: S105
    PULL_SECRET_OF_OTHER_TYPE = "PullSecretOfOtherType"  # noqa: S105
    PULL_SECRET_NOT_READABLE = "PullSecretNotReadable"  # noqa: S105
    PODS_NOT_READABLE = "PodsNotReadable"
    # deployments
    NO_DEPLOYMENTS = "NoDeployments"
    DEPLOYMENTS_NOT_READABLE = "DeploymentsNotReadable"
    NOT_YET_SEEN = "NotYetSeen"
    STATUS_NOT_UNDERSTOOD = "StatusNotUnderstood"
    BEING_DELETED = "BeingDeleted"
