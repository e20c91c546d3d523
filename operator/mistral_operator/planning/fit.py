"""Whether a plan fits on its GPUs: why not, with the numbers, and what would make it fit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from mistral_operator.planning.memory import MemoryPlan
from mistral_operator.planning.parallelism import MOST_GPUS, uneven
from mistral_operator.planning.plan import Plan
from mistral_operator.planning.quantity import gib
from mistral_operator.planning.request import PlanRequest
from mistral_operator.planning.sizing import size_memory
from mistral_vllm.attention_facts import features_of

SHORTEST_TOKENS: Final = 2048
"""A max_model_len below this is never set by itself: such a server refuses most of what people send."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """What a user can change, in the words of where wishes are said: a spec's fields, or a command's flags."""

    shorter: str  # has a place for {tokens}
    more_gpus: str  # has a place for {gpus}
    larger_gpus: str
    match: str  # a whole sentence: for when no class of GPU meets the constraints
    length: str  # what the longest sequence is called
    shared: str  # has a place for {part}: for a GPU that several pods share


def why_it_does_not_fit(plan: Plan, memory: MemoryPlan) -> str:
    """Say which model is too large for what."""
    return f"{plan.facts.id} does not fit on {gpus_in_words(plan, memory)}: {what_is_too_large(plan, memory)}"


def gpus_in_words(plan: Plan, memory: MemoryPlan) -> str:
    """Say on which GPUs a plan is meant to run: how many of what size."""
    count, product = plan.request.tensor_parallel, plan.request.gpu.product
    return f"{count} {product or ('GPUs' if count > 1 else 'GPU')} of {gib(memory.total_bytes)}"


def what_is_too_large(plan: Plan, memory: MemoryPlan) -> str:
    """Hold what a plan needs against what there is: the weights, else the KV cache of its longest sequence."""
    cache, longest = memory.kv_cache, memory.largest_max_model_len_tokens
    if not longest:
        taken = f"weights {gib(memory.weights_bytes)} and working memory {gib(memory.working_bytes)} a GPU"
        return f"{taken} leave too little of {gib(memory.usable_bytes)} for a KV cache"
    needed = f"a sequence of {plan.max_model_len_tokens:,} tokens needs {cache.blocks_per_request:,} KV cache blocks"
    told = f"{needed}, and {cache.blocks:,} fit"
    if plan.request.max_model_len_tokens is None and not _is_long_enough(plan, memory):
        return f"{told}; a longest sequence below {SHORTEST_TOKENS:,} tokens is set only when it is asked for"
    return told


def what_would_fit(plan: Plan, memory: MemoryPlan, remedies: Remedies) -> str:
    """Say what to change; a shorter context and more GPUs only where they would do."""
    longest = memory.largest_max_model_len_tokens
    steps = [remedies.shorter.format(tokens=longest)] if longest else []
    steps += _more_gpus(plan, remedies)
    told = ", or ".join([", ".join(steps), remedies.larger_gpus] if steps else [remedies.larger_gpus])
    return told[0].upper() + told[1:]


def _more_gpus(plan: Plan, remedies: Remedies) -> Iterator[str]:
    """Say on how many GPUs it would fit; where the length is open, fewer may do than for the model's own."""
    enough, some = smallest_gpu_count(plan), smallest_gpu_count(plan, shortened=True)
    count = enough if plan.request.max_model_len_tokens is not None else some
    if count is None or plan.request.gpu.only_one_a_pod:
        return
    told = remedies.more_gpus.format(gpus=count)
    if count > gpus_of_a_pod(plan):
        told += f" and add nodes with {count} of them"
    if enough is not None and enough != count:
        told += f" ({enough} for all of the {plan.max_model_len_tokens:,} tokens)"
    yield told


def smallest_gpu_count(plan: Plan, *, shortened: bool = False) -> int | None:
    """Return on how many of its GPUs a plan fits at least; None where memory is not planned, or no server has them.

    ``shortened`` counts a plan as fitting whose longest sequence could be set to what fits.
    """
    for count in range(1, MOST_GPUS + 1):
        if uneven(plan.geometry, count, plan.precision.quantized) is not None:
            continue
        memory = memory_as(plan, replace(plan.request, tensor_parallel=count))
        if memory is None or memory.fits or (shortened and _is_long_enough(plan, memory)):
            return None if memory is None else count
    return None


def gpus_of_a_pod(plan: Plan) -> int:
    """Return how many of a plan's GPUs a pod could have; of a GPU that is only described, as many as a server may."""
    gpu = plan.request.gpu
    if gpu.only_one_a_pod:
        return 1
    return MOST_GPUS if gpu.product is None or gpu.per_node is None else gpu.per_node


def length_to_set(plan: Plan) -> int:
    """Return the max_model_len that is set where none is asked for and the model's own does not fit; 0 if none is."""
    memory = plan.memory
    if memory is None or memory.fits or not _is_long_enough(plan, memory):
        return 0
    return memory.advised_max_model_len_tokens


def _is_long_enough(plan: Plan, memory: MemoryPlan) -> bool:
    return memory.advised_max_model_len_tokens >= min(SHORTEST_TOKENS, plan.max_model_len_tokens)


def memory_as(plan: Plan, request: PlanRequest) -> MemoryPlan | None:
    """Lay out the same plan's memory as if other batches or another number of GPUs had been asked for.

    The GPU's size stays that of the plan's own memory.
    """
    size = plan.request.gpu.memory_bytes if plan.memory is None else plan.memory.total_bytes
    return size_memory(
        replace(request, gpu=replace(plan.request.gpu, memory_bytes=size)),
        plan.layout,
        plan.geometry,
        plan.precision,
        plan.decision,
        features_of(plan.request.extra_args, plan.request.env),
        plan.max_model_len_tokens,
        plan.weights_bytes,
    )
