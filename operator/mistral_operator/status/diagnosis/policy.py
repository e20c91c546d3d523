"""Why the API server takes no pod at all: what a ReplicaSet is told, repeated in the Deployment's ReplicaFailure."""

import re
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, first_found

# every attempt has another pod's name, and what others use of a quota moves
_NAME: Final = re.compile(r'^pods "[^"]{0,253}" is forbidden: |^Pod "[^"]{0,253}" is invalid: ')
_PATTERNS: Final = (
    Pattern(
        PodReason.QUOTA_EXCEEDED,
        re.compile(r"exceeded quota: ([^,]{1,253}), requested: (\S{1,512}) used: \S{1,512} limited: (.+)"),
        "raise the quota, or lower spec.replicas or what a pod asks for",
        lambda match: f"quota {match[1]} allows {match[3]} in all, and a pod asks for {match[2].rstrip(',')}",
        passing=True,
    ),
    Pattern(
        PodReason.QUOTA_EXCEEDED,
        re.compile(r"failed quota: ([^:]{1,253}): must specify (.+)"),
        "set them in spec.resources",
        lambda match: f"quota {match[1]} wants pods to say {match[2]}",
    ),
    Pattern(
        PodReason.POD_SECURITY_REFUSED,
        re.compile(r"violates PodSecurity .+"),
        "correct spec.securityContext or spec.podSecurityContext, or label the namespace with another level",
    ),
    Pattern(
        PodReason.SERVICE_ACCOUNT_MISSING,
        re.compile(r'serviceaccount "([^"]{1,253})" not found'),
        lambda match: f"create ServiceAccount {match[1]}, or correct spec.serviceAccountName",
        lambda match: f"ServiceAccount {match[1]} is not there",
    ),
)


def refused(message: str) -> Finding:
    """Return why no pod can be created."""
    words = _NAME.sub("", " ".join(message.split()))
    found = first_found(_PATTERNS, words)
    return found or Finding(
        PodReason.ADMISSION_REFUSED, words, "correct what it names in spec, or ask whoever set that policy"
    )
