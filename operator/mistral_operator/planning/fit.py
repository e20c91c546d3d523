"""Why a plan does not fit on its GPU, with the numbers, and what would make it fit."""

from dataclasses import dataclass

from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.plan import Plan
from mistral_operator.planning.quantity import gib


@dataclass(frozen=True, slots=True)
class Remedies:
    """What a user can change, in the words of where wishes are said: a spec's fields, or a command's flags."""

    shorter: str  # has a place for {tokens}
    more_gpus: str
    larger_gpus: str
    match: str  # a whole sentence: for when no class of GPU meets the constraints


def why_it_does_not_fit(plan: Plan, memory: MemoryPlan) -> str:
    """Say what is too large for what."""
    count, cache = plan.request.tensor_parallel, memory.kv_cache
    where = f"{plan.facts.id} does not fit on {count} GPU{'s' if count > 1 else ''} of {gib(memory.total_bytes)}"
    if not memory.largest_max_model_len_tokens:
        taken = f"weights {gib(memory.weights_bytes)} and working memory {gib(memory.working_bytes)} a GPU"
        return f"{where}: {taken} leave too little of {gib(memory.usable_bytes)} for a KV cache"
    needed = f"a sequence of {plan.max_model_len_tokens:,} tokens needs {cache.blocks_per_request:,} KV cache blocks"
    return f"{where}: {needed}, and {cache.blocks:,} fit"


def what_would_fit(memory: MemoryPlan, remedies: Remedies) -> str:
    """Say what to change; a shorter context only where one would do."""
    longest = memory.largest_max_model_len_tokens
    shorter = f"{remedies.shorter.format(tokens=longest)}, " if longest else ""
    told = f"{shorter}{remedies.more_gpus}, or {remedies.larger_gpus}"
    return told[0].upper() + told[1:]
