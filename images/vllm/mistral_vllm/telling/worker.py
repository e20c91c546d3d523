"""The facts that a vLLM worker gathers of its own attention layers, for ``collective_rpc``.

Read from the layers that the engine built, never from its arguments: what an argument asks for and what a platform
runs differ (a CPU ignores the backend that it is told).
"""

from typing import Any, Final

from mistral_vllm.distribution import installed_version
from mistral_vllm.telling.facts import LayerFacts, RankFacts, UntoldRank

METHOD: Final = "mistral_vllm_attention_facts"
_DECODER: Final = "decoder"  # vLLM's AttentionType.DECODER; encoders of sound and pictures are nobody's question here


def install() -> None:
    """Give every worker class of this process the method ``METHOD``; again changes nothing, and CUDA is not touched."""
    from vllm.v1.worker.worker_base import WorkerBase  # noqa: PLC0415 - vLLM is loading this plugin

    setattr(WorkerBase, METHOD, attention_facts)


def installed() -> bool:
    """Tell whether this process ran :func:`install`, as then its workers did: plugins load alike in all of them."""
    from vllm.v1.worker.worker_base import WorkerBase  # noqa: PLC0415

    return hasattr(WorkerBase, METHOD)


def attention_facts(worker: Any) -> RankFacts | UntoldRank:
    """Return what this worker's attention layers run.

    Never raises: vLLM's executor leaves the other ranks' answers in their queues when one rank fails, and the next call
    would read them as its own.
    """
    try:
        return _gather(worker)
    except Exception as error:  # noqa: BLE001 - told, by the sentence below
        return {"rank": worker.rank, "error": f"{type(error).__name__}: {error}"}


def _gather(worker: Any) -> RankFacts:
    import torch  # noqa: PLC0415
    import vllm  # noqa: PLC0415
    from vllm.distributed.parallel_state import get_pp_group  # noqa: PLC0415
    from vllm.model_executor.layers.attention import Attention, MLAAttention  # noqa: PLC0415

    from mistral_vllm.backend.availability import xformers_availability  # noqa: PLC0415

    xformers = xformers_availability()
    layers = worker.vllm_config.compilation_config.static_forward_context
    return {
        "rank": worker.rank,
        "stage": get_pp_group().rank_in_group,
        "versions": {
            "vllm": str(vllm.__version__),
            "torch": str(torch.__version__),
            "xformers": xformers.version,
            "plugin": installed_version(),
        },
        "xformers": xformers.reason,
        "layers": {
            name: _layer_facts(layer)
            for name, layer in layers.items()
            if isinstance(layer, Attention | MLAAttention) and getattr(layer, "attn_type", _DECODER) == _DECODER
        },
    }


def _layer_facts(layer: Any) -> LayerFacts:
    told = getattr(layer.impl, "told", None)
    return {
        "window": getattr(layer, "sliding_window", None),  # latent attention has none
        "backend": layer.get_attn_backend().get_name(),
        "headSize": layer.head_size,
        "queryHeads": layer.num_heads,
        "kvHeads": layer.num_kv_heads,
        "kernels": None if told is None else told(),
    }
