"""Why no node takes a pod, read from what the scheduler writes into its condition PodScheduled.

A node names the first filter that it fails, so that whoever failed the last of them came closest: volumes before
resources before where a pod wants to be. Words of Kubernetes 1.27 to 1.37 (``pkg/scheduler/framework/plugins``).
"""

import re
from collections.abc import Sequence
from typing import Final

from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.status.diagnosis.finding import Finding, Pattern
from mistral_operator.status.diagnosis.pods import Body, has_node, words_of
from mistral_operator.status.diagnosis.storage import CLAIM_PATTERNS, with_claim
from mistral_operator.status.evidence import Evidence
from mistral_operator.status.observed import condition_of

_HEAD: Final = re.compile(r"^\d{1,6}/\d{1,6} nodes are available: ")
_TAIL: Final = re.compile(r"[.,]? ?(no new claims to deallocate|preemption: ).*", re.DOTALL)
_COUNT: Final = re.compile(r"^\d{1,6} ")
_NOT_FOUND: Final = re.compile(r"\. not found$")  # of the node that a failing claim could not be looked up for
_TAINT: Final = re.compile(r"untolerated taint|taints that the pod didn't tolerate|had taint ")
_CORDON: Final = re.compile(r"were unschedulable")
_AFFINITY: Final = re.compile(r"node affinity/selector|node selector|requested node name")

_GPUS: Final = "lower spec.replicas or spec.parallelism, free GPUs that others hold, or add a node with such GPUs"
_PATTERNS: Final = (
    *CLAIM_PATTERNS,
    Pattern(PodReason.INSUFFICIENT_GPU, re.compile(r"Insufficient \S{1,253}/(gpu|mig-)\S*"), _GPUS),
    Pattern(
        PodReason.INSUFFICIENT_MEMORY,
        re.compile(r"Insufficient memory"),
        "lower spec.resources.requests.memory, or add a node with more memory",
    ),
    Pattern(
        PodReason.INSUFFICIENT_CPU,
        re.compile(r"Insufficient cpu"),
        "lower spec.resources.requests.cpu, or add a node with more CPUs",
    ),
    Pattern(
        PodReason.INSUFFICIENT_RESOURCES,
        re.compile(r"Insufficient \S+|Too many pods|free ports"),
        "lower what spec.resources asks for, or add a node",
    ),
    Pattern(
        PodReason.AFFINITY_UNMATCHED,
        re.compile(r"pod (anti-)?affinity rules|anti-affinity rules|topology spread constraints"),
        "correct spec.affinity or spec.topologySpreadConstraints, or add a node that meets them",
    ),
)
_UNTOLERATED: Final = Pattern(
    PodReason.UNTOLERATED_TAINT,
    _TAINT,
    "add the taints that `kubectl describe nodes` shows to spec.tolerations, or use other nodes",
)
_UNMATCHED: Final = Pattern(
    PodReason.AFFINITY_UNMATCHED,
    _AFFINITY,
    "correct spec.nodeSelector or spec.affinity, or label a node that has the plan's GPUs",
)
_CORDONED: Final = Pattern(PodReason.NODES_CORDONED, _CORDON, "`kubectl uncordon` a node")
_UNKNOWN: Final = Pattern(PodReason.UNSCHEDULABLE, re.compile(r""), "see what `kubectl describe pod` says of it")
# the words do not say of which node, so that the one with the plan's GPUs may be any of these
_ALSO_MEANT: Final = (
    ({PodReason.AFFINITY_UNMATCHED}, _TAINT, "add its taints to spec.tolerations"),
    ({PodReason.AFFINITY_UNMATCHED, PodReason.UNTOLERATED_TAINT}, _CORDON, "`kubectl uncordon` it"),
)


def unscheduled(pod: Body, evidence: Evidence) -> Finding | None:
    """Return why a pod has no node; None where it has one, or the scheduler has not looked yet."""
    condition = condition_of(pod, "PodScheduled")
    if has_node(pod) or condition.get("status") != "False":
        return None
    words = words_of(condition, "message")
    if condition.get("reason") == "SchedulingGated":
        return Finding(
            PodReason.SCHEDULING_GATED,
            "it is held back by a scheduling gate",
            "ask whoever set it (a queue such as Kueue) to admit the pod",
            passing=True,
        )
    parts = _parts(words)
    text = ", ".join(parts)
    pattern, found = next((one, found) for one in _ranked(pod) if (found := one.find(text)) is not None)
    for reasons, also, step in _ALSO_MEANT:
        if found.reason in reasons and also.search(text):
            found = found._replace(next_step=f"{found.next_step}, or {step}")
    # what decides comes first: a long list is cut at its end
    told = ", ".join(sorted(parts, key=lambda part: pattern.words.search(part) is None))
    return with_claim(found._replace(cause=f"no node takes it: {told or 'the scheduler gives no reason'}"), evidence)


def _ranked(pod: Body) -> Sequence[Pattern]:
    # nodes without GPUs never match the plan's own affinity, so that it says little beside a taint
    narrowed = bool((pod.get("spec") or {}).get("nodeSelector"))
    last = (_UNMATCHED, _UNTOLERATED, _CORDONED) if narrowed else (_UNTOLERATED, _CORDONED, _UNMATCHED)
    return (*_PATTERNS, *last, _UNKNOWN)  # which finds anything


def _parts(words: str) -> list[str]:
    """Return the causes, those that speak of resources first, without the numbers of nodes, which move."""
    text = _NOT_FOUND.sub("", _TAIL.sub("", _HEAD.sub("", " ".join(words.split())))).rstrip(". ")
    parts = {_COUNT.sub("", part.strip()) for part in text.split(", ")}
    return sorted(parts - {""}, key=lambda part: (not part.startswith("Insufficient"), part))
