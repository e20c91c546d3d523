"""What several GPUs must be able to divide among them: vLLM gives each the same share, to the element."""

from typing import Final

from mistral_operator.planning.geometry import Geometry
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.quantization import Quantization

MOST_GPUS: Final = 16
"""How many GPUs a server has at most."""
_VOCABULARY_PADDING: Final = 64  # vllm/model_executor/layers/vocab_parallel_embedding.py


def refuse_uneven(model: str, geometry: Geometry, gpus: int, quantization: Quantization | None) -> None:
    """Refuse a number of GPUs that cannot share a model.

    Raises
    ------
    Unplannable
        Naming what does not divide, and the numbers that do.
    """
    why = uneven(geometry, gpus, quantization)
    if why is None:
        return
    counts = [str(count) for count in range(1, MOST_GPUS + 1) if uneven(geometry, count, quantization) is None]
    raise Unplannable(
        Problem.PLACEMENT,
        PlanReason.PARALLELISM_INVALID,
        f"{model} has {why}, which {gpus} GPUs cannot share",
        f"Choose a number of GPUs that can: {', '.join(counts)}",
    )


def uneven(geometry: Geometry, gpus: int, quantization: Quantization | None) -> str | None:
    """Name what of a model that many GPUs cannot share; None where they can."""
    heads, kv_heads = geometry.heads, geometry.kv_heads
    if heads % gpus or (kv_heads % gpus and gpus % kv_heads):
        return f"{heads} attention heads and {kv_heads} KV heads"
    if geometry.intermediate_size % gpus:
        return f"an MLP of {geometry.intermediate_size:,} elements"
    if -(-geometry.vocab_size // _VOCABULARY_PADDING) * _VOCABULARY_PADDING % gpus:
        return f"a vocabulary of {geometry.vocab_size:,} tokens"
    return None if quantization is None or gpus == 1 else _cut_group(geometry, gpus, quantization)


def _cut_group(geometry: Geometry, gpus: int, quantization: Quantization) -> str | None:
    """Name the layer in which a share would end inside a group of weights that have one scale."""
    attention = geometry.heads * geometry.head_size
    for group in (quantization.input_group, quantization.output_group):
        for layer, width in (("an MLP", geometry.intermediate_size), ("attention", attention)):
            if group is not None and group < width and width // gpus % group:
                return f"{layer} of {width:,} elements quantised in groups of {group}"
    return None
