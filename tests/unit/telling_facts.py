"""What the tests of telling share: the facts that a worker gathers of a 7B model."""

from typing import Any

from mistral_vllm.telling.facts import LayerFacts, RankFacts

SPLIT_K = {"kernel": "xformers_splitk", "splitK": 32, "numWarps": 4, "numStages": 2}
TABLE = [{"batch": 1, **SPLIT_K}, {"batch": 8, **SPLIT_K, "splitK": 8}]


def kernels(*, warnings: tuple[str, ...] = (), **changed: Any) -> dict[str, Any]:
    """Return what our backend tells of its kernels."""
    told = {
        "prefillKernel": "flash_attn",
        "decodeKernel": "xformers_splitk",
        "decodeTable": TABLE,
        "decodeTableSource": "Measured",
        "warnings": list(warnings),
    }
    return told | changed


def layer(window: int | None = 4096, backend: str = "CUSTOM", told: dict[str, Any] | None = None) -> LayerFacts:
    """Return one layer of a 7B model."""
    return {
        "window": window,
        "backend": backend,
        "headSize": 128,
        "queryHeads": 32,
        "kvHeads": 8,
        "kernels": kernels() if told is None and backend == "CUSTOM" else told,
    }


FULL = layer(None, "FLASH_ATTN")


def rank(
    number: int = 0, *layers: LayerFacts, stage: int = 0, first: int = 0, xformers: str = "Available"
) -> RankFacts:
    """Return one rank's facts, of layers numbered from the first."""
    return {
        "rank": number,
        "stage": stage,
        "versions": {"vllm": "0.26.0", "torch": "2.11.0+cu130", "xformers": "0.0.35", "plugin": "0.1.0"},
        "xformers": xformers,
        "layers": {f"model.layers.{place}.self_attn.attn": one for place, one in enumerate(layers, first)},
    }
