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
from mistral_operator.status.diagnosis import finding as diagnosed
from mistral_operator.status.diagnosis.images import no_image
from mistral_operator.status.diagnosis.pods import containers_of

_ABOUT: Final = "Pods"
_PULL_TYPES: Final = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
_LONGEST: Final = 300  # characters of a cause, most of which a kubelet says
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
    waiting: dict[tuple[str, str], list[tuple[str, diagnosed.Finding]]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["namespace"], pod["metadata"]["name"])):
        for container in containers_of(pod):
            why = no_image(container, ())
            if why is not None:
                where = (str(pod["metadata"]["namespace"]), str(container.status.get("image")))
                waiting[where].append((pod["metadata"]["name"], why))
    for (namespace, _), found in waiting.items():
        name, why = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        message, step = shortened(diagnosed.steady(why.cause), _LONGEST), why.next_step[:1].upper() + why.next_step[1:]
        yield problem(Check.IMAGES, f"Pod {namespace}/{name}{more}", why.reason, message, step)


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
