"""Claims and volumes: what the scheduler, the volume controllers and the kubelet say of them."""

import re
from collections.abc import Sequence
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, steady
from mistral_operator.status.evidence import Evidence, ObjectEvent

CLAIM_PATTERNS: Final = (
    Pattern(
        PodReason.CLAIM_MISSING,
        re.compile(r'persistentvolumeclaim "[^"]{1,253}" (not found|is being deleted)'),
        "create the claim, or correct spec.storage.pvc.name",
    ),
    Pattern(
        PodReason.VOLUME_ELSEWHERE,
        re.compile(r"volume node affinity conflict|PersistentVolume's node affinity|no available volume zone"),
        "use a claim whose volume is where the GPUs are",
    ),
    Pattern(
        PodReason.VOLUME_IN_USE,
        re.compile(r"ReadWriteOncePod|no available disk"),
        "use a claim with ReadWriteMany, or lower spec.replicas",
    ),
    Pattern(
        PodReason.CLAIM_PENDING,
        re.compile(
            r"unbound immediate PersistentVolumeClaims|available persistent volumes to bind"
            r"|enough free storage|bound to non-existent"
        ),
        "name a storage class in spec.storage.pvc.create, or see `kubectl describe pvc`",
    ),
)
CLAIM_REASONS: Final = frozenset({PodReason.CLAIM_PENDING})
_TELLS_OF_CLAIMS: Final = frozenset({"ProvisioningFailed", "FailedBinding", "ExternalProvisioning", "Provisioning"})
_MOUNTS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_STILL: Final = re.compile(r"timed out waiting for the condition|context deadline exceeded")


def with_claim(finding: Finding, evidence: Evidence) -> Finding:
    """Name the claim that is waited for, and say what its own Events say."""
    if finding.reason not in CLAIM_REASONS:
        return finding._replace(passing=True)
    claim = f"claim {evidence.claim}" if evidence.claim else "a claim"
    told = next((event for event in evidence.claim_events if event.reason in _TELLS_OF_CLAIMS), None)
    cause = f"{claim} is not bound" + (f": {steady(told.message)}" if told is not None else "")
    return finding._replace(cause=cause, passing=True)


def not_mounted(events: Sequence[ObjectEvent]) -> Finding | None:
    """Return why a volume is not mounted, from the newest Events of a pod that has not begun."""
    mounts = [event for event in events if event.reason in _MOUNTS]
    if not mounts:
        return None
    # the summary that something still is not mounted names no cause, and comes beside one that does
    words = next((event.message for event in mounts if not _STILL.search(event.message)), mounts[0].message)
    if "Multi-Attach error" in words:
        return Finding(
            PodReason.VOLUME_IN_USE,
            words,
            "use a claim with ReadWriteMany, or wait until the other pod is gone",
            passing=True,
        )
    return Finding(PodReason.VOLUME_NOT_MOUNTED, words, "correct spec.storage or spec.volumes, or mend the storage")
