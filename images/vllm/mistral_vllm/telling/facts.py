"""What one rank tells of its attention layers: plain JSON data, because it crosses two process boundaries."""

from typing import Any, Final, TypedDict, final

PENDING: Final = "Pending"  # decodeTableSource before a layer's first step


class Versions(TypedDict):
    """Releases of what runs; None where it is not installed."""

    vllm: str
    torch: str
    xformers: str | None
    plugin: str | None


class LayerFacts(TypedDict):
    """One attention layer as the engine built it."""

    window: int | None  # tokens, the current one among them
    backend: str  # the engine's own name: CUSTOM is ours
    headSize: int
    queryHeads: int  # of this rank
    kvHeads: int  # of this rank
    kernels: dict[str, Any] | None  # what the backend tells of its kernels; None where it tells nothing


@final  # told apart by their keys
class RankFacts(TypedDict):
    """All attention layers that one rank holds."""

    rank: int
    stage: int  # of the pipeline: ranks of one stage hold the same layers
    versions: Versions
    xformers: str  # "Available", or one sentence why it is not
    layers: dict[str, LayerFacts]


@final
class UntoldRank(TypedDict):
    """A rank that could not tell, and why."""

    rank: int
    error: str
