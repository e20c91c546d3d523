"""AttentionVerified: what pods say that they run, held against the plan that they were made from.

False is said on evidence alone, and left on evidence alone: by a pod that runs what was planned, or by another plan.
Whatever keeps pods from being asked is Unknown.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from mistral_operator.api.conditions import ConditionType, ConditionValue, Reason, false, true, unknown
from mistral_operator.api.shortening import shortened
from mistral_operator.api.status import AttentionStatus, MistralDeploymentStatus, ObservedAttention, Resolved
from mistral_operator.planning.frozen import plan_digest
from mistral_operator.status.conditions import value_of
from mistral_operator.status.pod_report import LayersAlike, PodReport
from mistral_vllm.backends import AUTO
from mistral_vllm.layer_types import LayerType

_LONGEST: Final = 400  # characters of a message
_NOT_ASKED: Final = unknown(Reason.NOT_ASKED_YET, "no pod of this plan has been ready to be asked")
_AS_PLANNED: Final = "pods run the attention that was planned"


class Untold(NamedTuple):
    """Why it is not known what a pod runs."""

    reason: Reason
    message: str


class Asked(NamedTuple):
    """A pod that can be asked, and its last answer; None while the first is still to come."""

    pod: str
    answer: PodReport | Untold | None


class Verified(NamedTuple):
    """The verdict on all pods, and what to keep in ``status.attention.observed``."""

    value: ConditionValue
    observed: ObservedAttention | None


def differences(planned: AttentionStatus, told: PodReport) -> list[str]:
    """Say what of a plan a pod does not run, one phrase each; empty when it runs all of it.

    Every planned layer must be there. More than those are none of the plan: a draft model's.
    """
    found = [
        *_missing(LayerType.SLIDING, planned.layers.sliding, planned.sliding_window, planned, told),
        *_missing(LayerType.FULL, planned.layers.full, None, planned, told),
    ]
    if not found and not told.ranks_agree:
        found.append(next(iter(told.warnings), "its ranks do not run the same"))
    return found


def verify(
    previous: MistralDeploymentStatus,
    resolved: Resolved | None,
    planned: AttentionStatus | None,
    asked: Sequence[Asked],
    now: str,
) -> Verified:
    """Return the worst of what pods say.

    Parameters
    ----------
    resolved, planned
        The plan that ``asked``, in the order of their names, were made from.
    now
        RFC 3339, in seconds.
    """
    if resolved is None or planned is None:
        return Verified(_NOT_ASKED, None)
    runtime = resolved.runtime
    if not runtime.name.tells_attention:
        message = f"{runtime.name} {runtime.version} does not tell what it runs; mistral-vllm does"
        return Verified(unknown(Reason.IMAGE_CANNOT_TELL, message), None)
    same_plan = previous.resolved is not None and plan_digest(previous.resolved) == plan_digest(resolved)
    before = value_of(previous.conditions, ConditionType.ATTENTION_VERIFIED) if same_plan else None
    kept = previous.attention.observed if same_plan and previous.attention is not None else None
    value, told = _worst(planned, asked, before)
    if told is None:
        return Verified(value, kept)
    observed = ObservedAttention(sliding_window=told.sliding_window, backends=told.backends, verified_at=now)
    stands = before is not None and before.status is value.status
    if stands and kept is not None and kept == observed.model_copy(update={"verified_at": kept.verified_at}):
        return Verified(value, kept)
    return Verified(value, observed)


def _worst(
    planned: AttentionStatus, asked: Sequence[Asked], before: ConditionValue | None
) -> tuple[ConditionValue, PodReport | None]:
    """Return the verdict, and the report that it rests on."""
    reports = [(pod, answer) for pod, answer in asked if isinstance(answer, PodReport)]
    for pod, report in reports:
        found = differences(planned, report)
        if found:
            return false(Reason.ATTENTION_DIFFERS, shortened(f"pod {pod}: {'; '.join(found)}", _LONGEST)), report
    if any(answer is None for _, answer in asked):
        return before or _NOT_ASKED, None
    for _, answer in asked:
        if isinstance(answer, Untold):
            return unknown(answer.reason, answer.message), None
    if not reports:
        return before if before is not None and before.is_false else _NOT_ASKED, None
    warned = next((f"; pod {pod} warns: {one.warnings[0]}" for pod, one in reports if one.warnings), "")
    return true(Reason.ATTENTION_AS_PLANNED, shortened(f"{_AS_PLANNED}{warned}", _LONGEST)), reports[0][1]


def _missing(kind: LayerType, wanted: int, window: int | None, planned: AttentionStatus, told: PodReport) -> list[str]:
    """Say what the layers of one kind run instead, where fewer than the wanted run what was planned."""
    backend = planned.backends.get(kind, AUTO)
    layers = [alike for alike in told.kinds if alike.kind == kind]
    right = sum(alike.layers for alike in layers if alike.sliding_window == window and backend in (AUTO, alike.backend))
    if right >= wanted:
        return []
    there = sum(alike.layers for alike in layers)
    found = [] if there >= wanted else [f"{there} layers of {kind}, not {wanted}"]
    return found + [phrase for alike in layers for phrase in _differs(alike, window, backend)]


def _differs(alike: LayersAlike, window: int | None, backend: str) -> list[str]:
    where = f"{alike.kind} runs"
    found = []
    if backend not in (AUTO, alike.backend):
        found.append(f"{where} {alike.backend}, not {backend}")
    if alike.sliding_window != window:
        found.append(f"{where} {_window(alike.sliding_window)}, not {_window(window)}")
    return found


def _window(tokens: int | None) -> str:
    return "no window" if tokens is None else f"a window of {tokens} tokens"
