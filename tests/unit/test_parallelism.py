"""What several GPUs can share, and what not."""

import pytest

from mistral_operator.planning.geometry import Geometry
from mistral_operator.planning.parallelism import refuse_uneven, uneven
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from mistral_operator.planning.quantization import Quantization

GROUPS_OF_128 = Quantization("awq", input_group=128)
BLOCKS = Quantization("fp8", input_group=128, output_group=128)


def geometry(heads: int = 32, kv_heads: int = 8, mlp: int = 14336, vocabulary: int = 32000) -> Geometry:
    """Return a decoder with heads of 128."""
    return Geometry(32, heads * 128, heads, kv_heads, 128, mlp, vocabulary, 32768, rope_scaled=False)


@pytest.mark.parametrize(
    ("decoder", "gpus", "quantization", "why"),
    [
        pytest.param(geometry(), 1, None, None, id="one"),
        pytest.param(geometry(), 8, None, None, id="as many as KV heads"),
        pytest.param(geometry(), 16, None, None, id="more than KV heads, which are copied"),
        pytest.param(geometry(), 3, None, "32 attention heads and 8 KV heads", id="heads"),
        pytest.param(geometry(heads=48), 6, None, "48 attention heads and 8 KV heads", id="KV heads"),
        pytest.param(geometry(mlp=14340), 8, None, "an MLP of 14,340 elements", id="MLP"),
        pytest.param(geometry(heads=48, kv_heads=48), 3, None, "an MLP of 14,336 elements", id="MLP, three GPUs"),
        pytest.param(
            geometry(heads=48, kv_heads=48, mlp=3 * 4096), 3, None, "a vocabulary of 32,000 tokens", id="vocabulary"
        ),
        pytest.param(geometry(vocabulary=32001), 8, None, None, id="vLLM pads the vocabulary to 64"),
        pytest.param(geometry(), 8, GROUPS_OF_128, None, id="groups of 128 in shares of 1,792"),
        pytest.param(
            geometry(mlp=11008), 4, GROUPS_OF_128, "an MLP of 11,008 elements quantised in groups of 128", id="groups"
        ),
        pytest.param(geometry(mlp=11008), 2, GROUPS_OF_128, None, id="groups, two GPUs"),
        pytest.param(geometry(mlp=11008), 4, None, None, id="not quantised"),
        pytest.param(geometry(mlp=11008), 4, BLOCKS, "an MLP of 11,008 elements quantised in groups of 128", id="fp8"),
        pytest.param(
            geometry(heads=8, mlp=32768), 16, GROUPS_OF_128, "8 attention heads and 8 KV heads", id="more than heads"
        ),
        pytest.param(
            geometry(), 16, Quantization("awq", input_group=512),
            "an MLP of 14,336 elements quantised in groups of 512", id="groups of 512",
        ),
        pytest.param(geometry(), 16, Quantization("awq", input_group=65536), None, id="one group for the whole layer"),
    ],
)  # fmt: skip
def test_what_does_not_divide(decoder: Geometry, gpus: int, quantization: Quantization | None, why: str | None) -> None:
    """Heads, MLP, vocabulary and groups of quantised weights: the first that cannot be shared is named."""
    assert uneven(decoder, gpus, quantization) == why


def test_a_refusal_names_the_numbers_that_do() -> None:
    """All up to what a server has."""
    with pytest.raises(Unplannable, match=r"a/model has 32 attention heads .* which 3 GPUs cannot share") as refusal:
        refuse_uneven("a/model", geometry(), 3, None)
    assert refusal.value.next_step == "Choose a number of GPUs that can: 1, 2, 4, 8, 16"
    assert (refusal.value.problem, refusal.value.reason) == (Problem.PLACEMENT, PlanReason.PARALLELISM_INVALID)
