"""Whether nodes get the images, and whether the Secrets exist that they are to pull them with.

Whether an image can be pulled is known only where a node has tried: a registry is never asked from here.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from mistral_operator.api.shortening import shortened
from mistral_operator.cli.doctor.facts import Body, PullSecret, Unread
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason

_ABOUT: Final = "Pods"
_PULL_TYPES: Final = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
# the kubelet's words: pkg/kubelet/images/types.go and pkg/kubelet/container/sync_result.go
_PULL_REASONS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
     "RegistryUnavailable", "SignatureValidationFailed"}
)  # fmt: skip
_LONGEST: Final = 300  # characters of what a kubelet says
_SHOWN: Final = 3


def check_images(pods: Sequence[Body] | Unread, secrets: Sequence[PullSecret]) -> Iterator[Finding]:
    """Yield at least one finding."""
    if isinstance(pods, Unread):
        message = f"whether nodes get their images cannot be told: {pods.why}"
        yield warning(Check.IMAGES, _ABOUT, DoctorReason.PODS_NOT_READABLE, message, "Use a context that may list pods")
    else:
        stuck = [*_stuck(pods)]
        yield from stuck
        if not stuck:
            known = f"none of {len(pods)} waits for an image that cannot be pulled" if pods else "there is none"
            message = f"{known}; whether a node can pull an image shows when it tries, and is not tested from here"
            yield ok(Check.IMAGES, _ABOUT, DoctorReason.NO_PULL_FAILS, message)
    for secret in secrets:
        yield from _of_secret(secret)


def _stuck(pods: Sequence[Body]) -> Iterator[Finding]:
    """Yield a finding for each image that pods of one namespace wait for; the first pod speaks."""
    waiting: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["namespace"], pod["metadata"]["name"])):
        status = pod.get("status", {})
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            state = (container.get("state") or {}).get("waiting") or {}
            if state.get("reason") in _PULL_REASONS:
                where = (str(pod["metadata"]["namespace"]), str(container.get("image")))
                waiting[where].append((pod["metadata"]["name"], state["reason"], state.get("message") or ""))
    for (namespace, image), found in waiting.items():
        name, reason, words = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        message = f"cannot pull {image}: {shortened(' '.join(words.split()), _LONGEST) or reason}"
        step = (
            "Check that this image exists and that the node reaches its registry; a private one needs "
            "spec.imagePullSecrets"
        )
        yield problem(Check.IMAGES, f"Pod {namespace}/{name}{more}", reason, message, step)


def _of_secret(secret: PullSecret) -> Iterator[Finding]:
    about = f"Secret {secret.namespace}/{secret.name}"
    more = ", …" if len(secret.wanted_by) > _SHOWN else ""
    wanted = f"spec.imagePullSecrets of {', '.join(secret.wanted_by[:_SHOWN])}{more}"
    create = (
        f"Create it: `kubectl create secret docker-registry {secret.name} -n {secret.namespace} --docker-server=… "
        "--docker-username=… --docker-password=…`"
    )
    if isinstance(secret.kind, Unread):
        message = f"whether it exists cannot be told ({wanted}): {secret.kind.why}"
        step = f"Use a context that may get Secrets in namespace {secret.namespace}"
        yield warning(Check.IMAGES, about, DoctorReason.PULL_SECRET_NOT_READABLE, message, step)
    elif secret.kind is None:
        message = f"does not exist, and {wanted} names it: the image is pulled without"
        yield problem(Check.IMAGES, about, DoctorReason.PULL_SECRET_MISSING, message, create)
    elif secret.kind not in _PULL_TYPES:
        message = f"is of type {secret.kind}, which nodes do not pull with ({wanted})"
        yield problem(Check.IMAGES, about, DoctorReason.PULL_SECRET_OF_OTHER_TYPE, message, create)
