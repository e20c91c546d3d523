"""Why a plan does not fit on its GPU, with the numbers."""

from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.plan import Plan
from mistral_operator.planning.quantity import gib


def why_it_does_not_fit(plan: Plan, memory: MemoryPlan) -> str:
    """Say what is too large for what."""
    count, cache = plan.request.tensor_parallel, memory.kv_cache
    where = f"{plan.facts.id} does not fit on {count} GPU{'s' if count > 1 else ''} of {gib(memory.total_bytes)}"
    if not memory.largest_max_model_len_tokens:
        taken = f"weights {gib(memory.weights_bytes)} and working memory {gib(memory.working_bytes)} a GPU"
        return f"{where}: {taken} leave too little of {gib(memory.usable_bytes)} for a KV cache"
    needed = f"a sequence of {plan.max_model_len_tokens:,} tokens needs {cache.blocks_per_request:,} KV cache blocks"
    return f"{where}: {needed}, and {cache.blocks:,} fit"
