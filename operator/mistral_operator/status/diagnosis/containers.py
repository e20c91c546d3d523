"""Why a container cannot be made or started: a Secret that is missing, a program that is not in the image."""

import re
from collections.abc import Sequence
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, first_found
from mistral_operator.status.diagnosis.pods import Container, words_of
from mistral_operator.status.evidence import ObjectEvent

NEVER_RAN: Final = frozenset({"StartError", "ContainerCannotRun"})
# words of pkg/kubelet/kubelet_pods.go and pkg/volume/{secret,configmap}, of runc and of NVIDIA's container toolkit
_PATTERNS: Final = (
    Pattern(
        PodReason.SECRET_KEY_MISSING,
        re.compile(r"couldn't find key (\S{1,253}) in Secret (\S{1,253}?)/(\S+)"),
        lambda match: f"add the key {match[1]} to Secret {match[3]}, or correct the reference in spec",
        lambda match: f"Secret {match[3]} has no key {match[1]}",
    ),
    Pattern(
        PodReason.SECRET_KEY_MISSING,
        re.compile(r"references non-existent secret key: (\S+)"),
        "add the key to the Secret, or correct the reference in spec",
    ),
    Pattern(
        PodReason.SECRET_MISSING,
        re.compile(r'secrets? "([^"]{1,253})" not found'),
        lambda match: f"create Secret {match[1]} in this namespace, or correct the reference in spec",
        lambda match: f"Secret {match[1]} is not there",
    ),
    Pattern(
        PodReason.CONFIG_MAP_KEY_MISSING,
        re.compile(r"couldn't find key (\S{1,253}) in ConfigMap (\S{1,253}?)/(\S+)"),
        lambda match: f"add the key {match[1]} to ConfigMap {match[3]}, or correct the reference in spec",
        lambda match: f"ConfigMap {match[3]} has no key {match[1]}",
    ),
    Pattern(
        PodReason.CONFIG_MAP_MISSING,
        re.compile(r'configmaps? "([^"]{1,253})" not found'),
        lambda match: f"create ConfigMap {match[1]} in this namespace, or correct the reference in spec",
        lambda match: f"ConfigMap {match[1]} is not there",
    ),
    Pattern(
        PodReason.CONFIG_MAP_KEY_MISSING,
        re.compile(r"configmap references non-existent config key: (\S+)"),
        "add the key to the ConfigMap, or correct the reference in spec",
    ),
    Pattern(
        PodReason.DRIVER_TOO_OLD,
        re.compile(r"unsatisfied condition: cuda\s?[<>=]{1,2}\s?[\d.]+"),
        "update the NVIDIA driver of the node, or use an image for an older CUDA",
        lambda match: f"the node's NVIDIA driver is too old for the image ({match[0]})",
    ),
    Pattern(
        PodReason.NO_GPU_IN_POD,
        re.compile(r"nvidia-container-cli: [^,;]*|could not select device driver[^,;]*|unresolvable CDI devices \S+"),
        "see that the NVIDIA driver and container toolkit work on the node",
    ),
    Pattern(
        PodReason.CONTAINER_CANNOT_START,
        re.compile(
            r'exec: "([^"]{1,256})": '
            r"(executable file not found in \$PATH|stat [^\s:]{1,256}: no such file or directory)"
        ),
        "correct spec.image.runtime: it says what the image contains",
        lambda match: f"the image has no program {match[1]}",
    ),
)


def cannot_be_made(container: Container) -> Finding | None:
    """Return why a container is waiting although its image is there, or why its program could not be run."""
    reason, message = container.waiting
    end = container.ended
    if not reason and end.get("reason") in NEVER_RAN:
        reason, message = words_of(end, "reason"), words_of(end, "message")
    if not reason:
        return None
    found = missing(message)
    if found is not None:
        return found
    words = f"{container.title} cannot be started ({reason}): {message or 'no reason is given'}"
    if reason == "CreateContainerConfigError":
        return Finding(PodReason.CONTAINER_CONFIG_INVALID, words, "correct what it names in spec")
    return Finding(PodReason.CONTAINER_CANNOT_START, words, "correct spec.image, or mend the node's container runtime")


def missing(words: str) -> Finding | None:
    """Return what is missing, in a container's words or in those of an Event."""
    text = " ".join(words.split())
    return first_found(_PATTERNS, text)


def no_sandbox(events: Sequence[ObjectEvent]) -> Finding | None:
    """Return why a pod gets no network or no sandbox, from the newest Events of one that has not begun."""
    event = next((event for event in events if event.reason == "FailedCreatePodSandBox"), None)
    if event is None:
        return None
    found = missing(event.message)
    step = "mend the network plugin or the container runtime of the node"
    return found or Finding(PodReason.SANDBOX_FAILED, event.message, step, passing=True)
