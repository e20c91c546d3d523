"""The longest sequence where nobody asks for one: the model's own, or else what fits, and then it is said.

A length that somebody asks for is never changed: it fits, or the plan is refused.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mistral_operator.api.conditions import Reason
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.fit import (
    Remedies,
    gpus_in_words,
    gpus_of_a_pod,
    length_to_set,
    smallest_gpu_count,
    what_is_too_large,
)
from mistral_operator.planning.plan import Plan, make_plan
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.profiles import Profile
from mistral_vllm.reasons import Finding

_ALIKE: Final = 0.9
"""Share of the longest length that another class of GPU must hold, for the length to be set to what both hold."""


def plan_what_fits(facts: ModelFacts, request: PlanRequest, profiles: Sequence[Profile], remedies: Remedies) -> Plan:
    """Plan a model on one class of GPU, with the longest sequence that fits where none is asked for.

    A plan is returned even where nothing fits: ``plan.memory.fits`` says so.

    Raises
    ------
    Unplannable
        As :func:`mistral_operator.planning.plan.make_plan`.
    """
    plan = make_plan(facts, request, profiles)
    if request.max_model_len_tokens is not None or not (length := length_to_set(plan)):
        return plan
    shorter = make_plan(facts, replace(request, max_model_len_tokens=length), profiles)
    return shortened(shorter, plan, remedies)


def deciding(plans: Sequence[Plan]) -> Plan | None:
    """Return which of the plans that do not fit decides the length to set; None where nothing would fit on any.

    The length is the longest that any class of GPU holds. A class that holds nearly as much lowers it to what both
    hold: cards of one size differ by some hundred MiB, and nobody wants half of them to stand idle for that.
    """
    longest = max(map(length_to_set, plans), default=0)
    enough = [plan for plan in plans if longest and length_to_set(plan) >= _ALIKE * longest]
    return min(enough, key=length_to_set, default=None)


def shortened(plan: Plan, full: Plan, remedies: Remedies) -> Plan:
    """Return a plan with the warning that its longest sequence is shorter than the model's own, as ``full`` has it."""
    if full.memory is None:
        return plan
    gpus = smallest_gpu_count(full)
    enough = ""
    if gpus is not None and gpus <= gpus_of_a_pod(full):
        enough = f"; to have them all, {remedies.more_gpus.format(gpus=gpus)}"
    message = (
        f"{remedies.length} is not set, and the model's own {full.max_model_len_tokens:,} tokens do not fit on "
        f"{gpus_in_words(full, full.memory)}: {what_is_too_large(full, full.memory)}. "
        f"It is set to {plan.max_model_len_tokens:,}{enough}"
    )
    return replace(plan, findings=(*plan.findings, Finding(Reason.MAX_MODEL_LEN_REDUCED, message)))
