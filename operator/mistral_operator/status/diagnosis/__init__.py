"""Why no pod answers: pure functions from pods, their Events, their logs and their nodes to a reason and a next step.

Each file knows one kind of cause and returns a :class:`Finding` or None; here they are asked in the order in which
causes come before consequences, and the worst of all pods speaks.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from mistral_operator.status.diagnosis.containers import cannot_be_made, missing, no_sandbox
from mistral_operator.status.diagnosis.crashes import crashed, is_explained
from mistral_operator.status.diagnosis.finding import Finding, say
from mistral_operator.status.diagnosis.images import no_image, pulling, says_why
from mistral_operator.status.diagnosis.nodes import given_up, lost
from mistral_operator.status.diagnosis.pods import Body, Container, begins, containers_of, speaks
from mistral_operator.status.diagnosis.policy import refused
from mistral_operator.status.diagnosis.probes import killed_by_probe, not_answering
from mistral_operator.status.diagnosis.scheduling import unscheduled
from mistral_operator.status.diagnosis.storage import CLAIM_REASONS, not_mounted
from mistral_operator.status.evidence import NO_EVIDENCE, Evidence, ObjectEvent
from mistral_operator.status.observed import is_leaving, is_ready

__all__ = [
    "Diagnosis",
    "LogWanted",
    "Wanted",
    "diagnose",
    "log_wanted",
    "speaks",
    "wanted_of",
    "wants_claim",
    "wants_events",
]

_MOST_PODS: Final = (
    50  # of one object that are read: what they say is as long as they like, and the others say the same
)


class Diagnosis(NamedTuple):
    """What the conditions say."""

    reason: str
    message: str
    passing: bool


class Wanted(NamedTuple):
    """Where more is said of a pod than in its own status."""

    events: bool  # about the pod
    at_once: bool  # and without patience: somebody made a container end, which only Events tell of
    claim_events: bool
    log: "LogWanted | None"


class LogWanted(NamedTuple):
    """The end of one run of a container whose log may say why."""

    container: str
    run: str  # tells it from the container's other runs
    exit_code: int
    previous: bool  # whether another run has begun, or waits to


def diagnose(
    unready: Sequence[Body], ended: Sequence[Body], refusal: str | None, evidence: Evidence
) -> Diagnosis | None:
    """Say what holds up an object; None where nothing is known to be wrong.

    Parameters
    ----------
    unready
        Pods that live and do not answer.
    ended
        Pods in phase Failed that have been replaced.
    refusal
        Why no pod can be created, in the API server's words.
    """
    unready = unready[:_MOST_PODS]
    found = [(_name(pod), finding) for pod in unready if (finding := _of_pod(pod, evidence)) is not None]
    if not found and refusal:
        found = [("pods are refused", refused(refusal))]
    if not found and not any(_has_run(pod) for pod in unready):
        found = [(_name(pod), finding) for pod in ended if (finding := given_up(pod, unready)) is not None]
    if not found:
        return None
    # what will not mend itself first; of those that are alike always the same one, for a message must not move
    subject, worst = min(found, key=lambda one: (one[1].passing, _said(one)))
    return Diagnosis(worst.reason, say(subject, worst), worst.passing)


def wanted_of(pods: Sequence[Body]) -> dict[str, Wanted]:
    """Return what is to be asked for of pods that live and do not answer, by uid."""
    unready = [pod for pod in pods if not is_leaving(pod) and not is_ready(pod)]
    return {str(pod["metadata"]["uid"]): _wanted(pod) for pod in unready[:_MOST_PODS]}


def _wanted(pod: Body) -> Wanted:
    return Wanted(wants_events(pod), ended_silently(pod), wants_claim(pod), log_wanted(pod))


def wants_events(pod: Body) -> bool:
    """Tell whether an unready pod's Events may say more than its status does."""
    if _of_pod(pod, NO_EVIDENCE) is None:
        return True
    return ended_silently(pod) or not all(says_why(one) for one in containers_of(pod))


def ended_silently(pod: Body) -> bool:
    """Tell whether somebody made a container end, which only Events tell of."""
    return any(one.told_to_end for one in containers_of(pod))


def wants_claim(pod: Body) -> bool:
    """Tell whether the Events of a pod's claim may say more."""
    found = unscheduled(pod, NO_EVIDENCE)
    return found is not None and found.reason in CLAIM_REASONS


def log_wanted(pod: Body) -> LogWanted | None:
    """Return the run whose log may say why it ended: one of vLLM's whose termination message says nothing."""
    for one in containers_of(pod):
        end = one.ended
        if end and not is_explained(one):
            run = str(end.get("containerID") or end.get("finishedAt"))
            return LogWanted(one.name, run, int(end.get("exitCode") or 0), not one.has_ended)
    return None


def _of_pod(pod: Body, evidence: Evidence) -> Finding | None:
    """Return what is wrong with one pod: the first cause, and no more."""
    uid = str(pod["metadata"]["uid"])
    events = evidence.events.get(uid, ())
    found = lost(pod, evidence) or unscheduled(pod, evidence)
    if found is not None:
        return found
    for one in containers_of(pod):
        found = _of_container(one, events, evidence, uid)
        if found is not None:
            return found
    return _of_beginning(events) if begins(pod) else None


def _of_container(one: Container, events: Sequence[ObjectEvent], evidence: Evidence, uid: str) -> Finding | None:
    if uid in evidence.unread and not is_explained(one):
        return None  # its log is being read: what is said in between would be said twice
    return (
        no_image(one, events)
        or cannot_be_made(one)
        or killed_by_probe(one, events)
        or crashed(one, evidence.causes.get(uid))
        or not_answering(one, events)
    )


def _of_beginning(events: Sequence[ObjectEvent]) -> Finding | None:
    """Return what holds up a pod that has a node and whose containers have not begun."""
    found = pulling(events) or no_sandbox(events) or not_mounted(events)
    if found is None:
        return None
    return missing(found.cause) or found


def _has_run(pod: Body) -> bool:
    return any(one.ended or one.status.get("restartCount") for one in containers_of(pod))


def _name(pod: Body) -> str:
    return f"pod {pod['metadata']['name']}"


def _said(one: tuple[str, Finding]) -> str:
    return say(*one)
