"""Whether the operator's ServiceAccount may do all that the operator does."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mistral_operator.cli.doctor.facts import Rights, Unread
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason
from mistral_operator.cli.rbac import DEFAULT_ACCOUNT
from mistral_operator.cluster.access import Right
from mistral_operator.cluster.resources import NODES
from mistral_operator.controller.settings import LeaseSettings


def check_rights(rights: Rights) -> Iterator[Finding]:
    """Yield a finding for each resource with a missing right; nodes alone are not indispensable."""
    about = f"ServiceAccount {rights.namespace}/{rights.account}"
    step = f"Run `mistral-operator rbac{_flags(rights)} | kubectl apply -f -`"
    if rights.there is False:
        message = "does not exist"
        step += f", once there is a namespace {rights.namespace}; or name the operator's account with --service-account"
        yield problem(Check.RIGHTS, about, DoctorReason.SERVICE_ACCOUNT_MISSING, message, step)
        return
    if isinstance(rights.missing, Unread):
        message = f"its rights cannot be told: {rights.missing.why}"
        step = "Use a context that may create SubjectAccessReviews"
        yield warning(Check.RIGHTS, about, DoctorReason.RIGHTS_NOT_READABLE, message, step)
        return
    for (resource, namespace), missing in _by_resource(rights.missing).items():
        where = f" in namespace {namespace}" if namespace else ""
        message = f"may not {_joined([right.verb for right in missing])} {resource}{where}"
        if missing[0].resource == NODES.plural:
            message += ": plans rest on the spec alone, and not on the GPUs there are"
            yield warning(Check.RIGHTS, about, DoctorReason.RIGHTS_MISSING, message, step)
        else:
            yield problem(Check.RIGHTS, about, DoctorReason.RIGHTS_MISSING, message, step)
    if not rights.missing:
        where = f"{_namespaces(rights.watched)} {_joined(rights.watched)}" if rights.watched else "all namespaces"
        message = f"has all {rights.asked} rights that the operator needs, in {where}"
        yield ok(Check.RIGHTS, about, DoctorReason.RIGHTS_COMPLETE, message)


def _by_resource(missing: Sequence[Right]) -> dict[tuple[str, str | None], list[Right]]:
    found = defaultdict(list)
    for right in missing:
        found[str(right), right.namespace].append(right)
    return dict(found)


def _flags(rights: Rights) -> str:
    flags = f" --namespace {rights.namespace}" if rights.namespace != LeaseSettings.namespace else ""
    flags += f" --service-account {rights.account}" if rights.account != DEFAULT_ACCOUNT else ""
    return flags + (f" --lease-name {rights.lease}" if rights.lease != LeaseSettings.name else "")


def _namespaces(watched: Sequence[str]) -> str:
    return "namespace" if len(watched) == 1 else "namespaces"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
