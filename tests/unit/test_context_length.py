"""The longest sequence that nobody asked for: the model's own, else what fits, and then it is said."""

from typing import Any

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.planning.facts import GpuClass, ModelFacts, WeightFormat, Weights
from mistral_operator.planning.inventory import UNREADABLE, Inventory
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.plan import Plan
from mistral_operator.planning.problems import Unplannable
from unit.planning_on_clusters import COMMIT, DEFAULTS, GIB, gpus, spec

NEMO = {
    "model_type": "mistral", "architectures": ["MistralForCausalLM"], "dtype": "bfloat16", "sliding_window": None,
    "hidden_size": 5120, "intermediate_size": 14336, "num_hidden_layers": 40, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 131072, "max_position_embeddings": 131072,
}  # fmt: skip
NEMO_BYTES = 24_495_564_800
CARD_80, CARD_48, CARD_40, CARD_32 = (gpus(f"X-{size}", "8.9", size) for size in (80, 48, 40, 32))
CARD_24 = gpus("X-24", "8.9", 24)


def nemo(weights_bytes: int = NEMO_BYTES, **config: Any) -> ModelFacts:
    """Return Mistral-Nemo: 160 KiB of KV cache a token, 20 GiB for its 131,072."""
    weights = Weights(WeightFormat.HF, weights_bytes, ("model.safetensors",))
    return ModelFacts("mistralai/Mistral-Nemo", "main", COMMIT, NEMO | config, None, (weights,))


def placed(*classes: GpuClass, facts: ModelFacts | None = None, **fields: Any) -> Placement:
    """Plan it on a cluster with these GPUs."""
    return place(facts or nemo(), spec(**fields), Inventory(frozenset(classes)), DEFAULTS)


def products(placement: Placement) -> list[str | None]:
    """Return the products that a plan holds for."""
    return [gpu.product for gpu in placement.classes]


def warning(plan: Plan) -> str | None:
    """Return the warning that the length is not the model's own."""
    return next((found.message for found in plan.findings if found.reason is Reason.MAX_MODEL_LEN_REDUCED), None)


def test_the_models_own_length_where_it_fits() -> None:
    """Nothing is set, and nothing is said."""
    plan = placed(CARD_80).plan
    assert (plan.max_model_len_tokens, warning(plan)) == (131072, None)


def test_the_length_is_set_to_what_fits() -> None:
    """Whole blocks, 5 % of the cache left over; the warning has the numbers, and the change that gives all of them."""
    placement = placed(CARD_40)
    plan, memory = placement.plan, placement.memory
    assert memory is not None
    assert memory.fits
    assert plan.max_model_len_tokens == memory.advised_max_model_len_tokens == 79280
    assert plan.max_model_len_tokens % memory.kv_cache.block_size_tokens == 0
    assert memory.kv_cache.blocks_per_request <= 0.95 * memory.kv_cache.blocks < memory.kv_cache.blocks_per_request + 1
    assert plan.args[plan.args.index("--max-model-len") + 1] == "79280"
    assert warning(plan) == (
        "spec.engine.maxModelLen is not set, and the model's own 131,072 tokens do not fit on 1 X-40 of 40.0 GiB: a "
        "sequence of 131,072 tokens needs 8,192 KV cache blocks, and 5,216 fit. It is set to 79,280; to have them all, "
        "raise spec.parallelism.tensor to 2"
    )


def test_no_advice_that_no_node_can_follow() -> None:
    """Where a node has one GPU alone, two of them are not the way to a longer sequence."""
    told = warning(placed(gpus("X", "8.9", 40, per_node=1)).plan)
    assert told is not None
    assert told.endswith("It is set to 79,280")


def test_a_length_that_is_asked_for_is_never_changed() -> None:
    """It fits, or it is refused with the numbers and what would do."""
    assert placed(CARD_40, engine={"maxModelLen": 80000}).plan.max_model_len_tokens == 80000
    with pytest.raises(Unplannable) as refusal:
        placed(CARD_40, engine={"maxModelLen": 131072})
    assert refusal.value.reason == Reason.DOES_NOT_FIT
    assert refusal.value.message == (
        "mistralai/Mistral-Nemo does not fit on 1 X-40 of 40.0 GiB: a sequence of 131,072 tokens needs 8,192 KV cache "
        "blocks, and 5,216 fit"
    )
    assert refusal.value.next_step == (
        "Set spec.engine.maxModelLen to 83456 or less, raise spec.parallelism.tensor to 2, or add larger GPUs"
    )
    assert placed(CARD_40, engine={"maxModelLen": 83456}).memory is not None
    with pytest.raises(Unplannable):
        placed(CARD_40, engine={"maxModelLen": 83457})
    assert placed(CARD_40, engine={"maxModelLen": 131072}, parallelism={"tensor": 2}).memory is not None


@pytest.mark.parametrize(
    ("left_gib", "outcome"),
    [
        pytest.param(0.36, 2176, id="just above the least"),
        pytest.param(0.33, "below 2,048 tokens is set only when it is asked for", id="just below"),
        pytest.param(0.0, "leave too little", id="nothing left"),
    ],
)
def test_the_least_that_is_set_by_itself(left_gib: float, outcome: int | str) -> None:
    """A server of a few hundred tokens is nobody's wish: it is refused, and whoever wants it asks for it."""
    working = 2048 * (3 * 14336 + 4 * 5120) * 2 + GIB
    card = gpus("X", "8.9", ((NEMO_BYTES + working) / GIB + left_gib) / 0.92)
    if isinstance(outcome, int):
        assert placed(card).plan.max_model_len_tokens == outcome
        return
    with pytest.raises(Unplannable, match=outcome) as refusal:
        placed(card)
    assert "raise spec.parallelism.tensor to 2, or add larger gpus" in refusal.value.next_step.lower()


def test_a_model_that_is_short_itself() -> None:
    """The least is the model's own length where that is shorter: it fits whole, or it is refused."""
    card = gpus("X", "8.9", (NEMO_BYTES / GIB + 1.15) / 0.92)
    with pytest.raises(Unplannable, match="512 tokens"):
        placed(card, facts=nemo(max_position_embeddings=512), engine={"maxNumBatchedTokens": 1024, "maxNumSeqs": 64})


@pytest.mark.parametrize(
    ("classes", "admitted", "length"),
    [
        pytest.param([CARD_40, CARD_80], ["X-80"], 131072, id="it fits on one: no class shortens it"),
        pytest.param([CARD_40, CARD_48], ["X-48"], 131072, id="even a little larger"),
        pytest.param([CARD_32, CARD_40], ["X-40"], 79280, id="on none: the longest that any holds"),
        pytest.param([CARD_40, gpus("Y", "8.0", 39.5)], ["X-40", "Y"], 76416, id="cards of one size share a length"),
        pytest.param([CARD_24, CARD_40], ["X-40"], 79280, id="one holds nothing at all"),
    ],
)
def test_several_classes(classes: list[GpuClass], admitted: list[str], length: int) -> None:
    """The longest sequence counts more than the number of nodes; only cards that are nearly alike share one."""
    placement = placed(*classes)
    assert (products(placement), placement.plan.max_model_len_tokens) == (admitted, length)
    assert len(placement.left_out) == len(classes) - len(admitted)
    assert all(left.reason == Reason.DOES_NOT_FIT for left in placement.left_out)
    assert placement.memory is not None
    assert placement.memory.fits


def test_a_shorter_context_than_the_window() -> None:
    """What is set may be shorter than the window, which then never bites: the backend follows from it."""
    windowed = nemo(sliding_window=100_000)
    plan = placed(CARD_40, facts=windowed).plan
    assert plan.max_model_len_tokens < 100_000
    assert set(plan.decision.backends.values()) == {"Auto"}
    assert warning(plan) is not None


@pytest.mark.parametrize("inventory", [Inventory(), UNREADABLE], ids=["no nodes", "unreadable"])
def test_on_the_spec_alone(inventory: Inventory) -> None:
    """What spec.gpu says is planned on in the same way."""
    placement = place(nemo(), spec(gpu={"minMemory": "40Gi"}), inventory, DEFAULTS)
    assert placement.plan.max_model_len_tokens == 79280
    assert "1 GPU of 40.0 GiB" in (warning(placement.plan) or "")
    with pytest.raises(Unplannable, match=r"1 GPU of 16\.0 GiB"):
        place(nemo(), spec(gpu={"minMemory": "16Gi"}), inventory, DEFAULTS)
