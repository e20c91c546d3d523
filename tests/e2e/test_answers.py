"""A model that is served: what its status says, and what it answers."""

from devcluster.node.images import VLLM_CPU
from e2e.served import Served
from e2e.toolbox import Expected

WINDOW_TOKENS = 16
LAYERS = 4


def test_what_was_planned(served: Served) -> None:
    """The release's image, and the one backend that the CPU has, for the layers and the window of the config."""
    status = served.status()
    assert status["phase"] == "Ready"
    assert status["resolved"]["image"] == VLLM_CPU.tag
    attention = status["attention"]
    assert attention["slidingWindow"] == WINDOW_TOKENS
    assert attention["layers"] == {"sliding": LAYERS, "full": 0}
    assert attention["backends"] == {"sliding_attention": "CPU_ATTN"}


def test_the_pod_tells_the_same(served: Served) -> None:
    """AttentionVerified rests on what the pod itself reports."""
    served.until("AttentionVerified", lambda: served.condition("AttentionVerified").get("status") == "True")
    observed = served.status()["attention"]["observed"]
    assert observed["backends"] == {"sliding_attention": "CPU_ATTN"}
    assert observed["slidingWindow"] == WINDOW_TOKENS
    assert observed["verifiedAt"]


def test_it_answers_as_transformers_does(served: Served, expected: Expected) -> None:
    """Through its Service, by the name in the status: with the window, token by token."""
    assert expected.tokens != expected.windowless
    assert served.complete(expected) == expected.tokens
