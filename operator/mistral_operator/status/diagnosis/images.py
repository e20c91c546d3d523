"""Why an image is not there: what the kubelet and the registry say (``pkg/kubelet/images``, containerd)."""

import re
from collections.abc import Sequence
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern, first_found
from mistral_operator.status.diagnosis.pods import Container, words_of
from mistral_operator.status.evidence import ObjectEvent

_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"})
# what each layer of the kubelet, the runtime and the registry's client puts before the words that matter
_WRAPPER: Final = re.compile(
    r'(Back-off pulling image "[^"]{0,512}"(?=:|$)|Failed to pull image "[^"]{0,512}"|ErrImagePull|ImagePullBackOff'
    r'|rpc error: code = \w{1,32} desc = |failed to pull and unpack image "[^"]{0,512}"'
    r'|failed to resolve reference "[^"]{0,512}"|failed to authorize|failed to fetch \w{1,32} token'
    r"|failed to do request|Error response from daemon):? ?"
)
_PATTERNS: Final = (
    Pattern(
        PodReason.DISK_FULL,
        re.compile(r"no space left on device"),
        "free disk on the node: a vLLM image takes about 25 GB unpacked",
    ),
    Pattern(
        PodReason.IMAGE_PULL_FAILED,
        re.compile(r"toomanyrequests|429 Too Many Requests"),
        "pull with an account (spec.imagePullSecrets), or from a mirror",
        passing=True,
    ),
    Pattern(
        PodReason.IMAGE_ACCESS_DENIED,
        re.compile(r"(?i)\b40[13]\b|unauthorized|denied|forbidden|authorization failed|no basic auth|authentication"),
        "name a pull Secret for that registry in spec.imagePullSecrets",
    ),
    Pattern(
        PodReason.IMAGE_MISSING,
        re.compile(r"(?i)not found|manifest unknown|no match for platform|name unknown|no such image"),
        "correct spec.image (repository, tag, digest), or push that image",
    ),
)


def no_image(container: Container, events: Sequence[ObjectEvent]) -> Finding | None:
    """Return why a container has no image; None where it has, or is only waiting for it."""
    reason, message = container.waiting
    image = words_of(container.status, "image") or f"of {container.title}"
    if reason == "InvalidImageName":
        return Finding(PodReason.IMAGE_NAME_INVALID, f"image {image} is no name of an image", "correct spec.image")
    if reason == "ErrImageNeverPull":
        return Finding(
            PodReason.IMAGE_MISSING,
            f"image {image} is not on the node, and spec.image.pullPolicy is Never",
            "load it there, or set pullPolicy to IfNotPresent",
        )
    if reason not in _PULL:
        return None
    # before Kubernetes 1.32 a back-off does not say what it is for
    words = _unwrapped(message) or next(
        (_unwrapped(event.message) for event in events if event.reason == "Failed" and "pull" in event.message), ""
    )
    cause = f"image {image} cannot be pulled: {words}" if words else f"image {image} cannot be pulled"
    found = first_found(_PATTERNS, words)
    if found is None:
        step = "see that the node reaches the registry"
        return Finding(PodReason.IMAGE_PULL_FAILED, cause, step, passing=True)
    return found._replace(cause=cause)


def says_why(container: Container) -> bool:
    """Tell whether a container without an image says why itself."""
    reason, message = container.waiting
    return reason not in _PULL or bool(_unwrapped(message))


def pulling(events: Sequence[ObjectEvent]) -> Finding | None:
    """Return that an image is being pulled, if that is what the newest Events of a pod say."""
    newest = next((event for event in events if event.reason in ("Pulling", "Pulled")), None)
    if newest is None or newest.reason != "Pulling":
        return None
    return Finding(
        PodReason.IMAGE_PULLING,
        newest.message[:1].lower() + newest.message[1:],
        "a vLLM image is about 10 GB: wait, or pull it to the nodes beforehand",
        passing=True,
    )


def _unwrapped(message: str) -> str:
    text = " ".join(message.split())
    place = 0
    while match := _WRAPPER.match(text, place):
        place = match.end()
    return text[place:].strip()
