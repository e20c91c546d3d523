"""Whether an operator runs: its Lease is held, and the holder is alive."""

from collections.abc import Iterator

from mistral_operator.cli.doctor.facts import LeaseSeen, Unread
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason
from mistral_operator.controller.settings import LeaseSettings


def check_operator(seen: LeaseSeen) -> Iterator[Finding]:
    """Yield one finding."""
    about = f"Lease {seen.namespace}/{seen.name}"
    if isinstance(seen.lease, Unread):
        message = f"may not be read, so that nobody can tell whether an operator runs: {seen.lease.why}"
        step = f"Use a context that may get Leases in namespace {seen.namespace}"
        yield warning(Check.OPERATOR, about, DoctorReason.LEASE_NOT_READABLE, message, step)
    elif seen.lease is None:
        message = "does not exist: no operator ever ran here, and nobody looks at MistralDeployments"
        step = f"{_start(seen)}; if it runs in another namespace, name it with --service-account"
        yield problem(Check.OPERATOR, about, DoctorReason.OPERATOR_NEVER_RAN, message, step)
    elif not seen.holder:
        message = (
            "is free: the operator was stopped and none took its place; what it made keeps serving, and nothing changes"
        )
        yield problem(Check.OPERATOR, about, DoctorReason.OPERATOR_STOPPED, message, _start(seen))
    elif not seen.alive:
        message = (
            f"is held by {seen.holder}, who has not renewed it since {seen.renewed}: that operator died or is cut off"
        )
        step = f"Look at that process and its log, or start another. {_start(seen)}"
        yield problem(Check.OPERATOR, about, DoctorReason.OPERATOR_SILENT, message, step)
    else:
        yield ok(Check.OPERATOR, about, DoctorReason.OPERATOR_RUNS, f"is held by {seen.holder}, who renews it")


def _start(seen: LeaseSeen) -> str:
    flags = f" --lease-namespace {seen.namespace}" if seen.namespace != LeaseSettings.namespace else ""
    flags += f" --lease-name {seen.name}" if seen.name != LeaseSettings.name else ""
    return f"Run `mistral-operator run{flags}` where it may stay"
