"""Which classes of GPU one plan holds for, what is said of the others, and what where none is left."""

from typing import Any

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.problems import PlanReason, Unplannable
from unit.planning_on_clusters import A100, DEFAULTS, H200, L4, T4, facts, gpus, spec

FULL = {"sliding_window": None}
"""Mistral-7B without a window: vLLM chooses the backend on every GPU."""


def placed(*classes: GpuClass, config: dict[str, Any] | None = None, **fields: Any) -> Placement:
    """Plan Mistral-7B on a cluster with these GPUs."""
    return place(facts(**config or {}), spec(**fields), Inventory(frozenset(classes)), DEFAULTS)


def test_another_dtype_is_another_plan() -> None:
    """A T4 has no bfloat16: replicas on it would answer otherwise than those on an H200."""
    placement = placed(H200, T4, config=FULL, engine={"maxModelLen": 4096})
    assert placement.classes == (H200,)
    [left] = placement.left_out
    assert left.gpu == T4
    both = placed(H200, gpus("T4-LARGE", "7.5", 48), config=FULL, engine={"maxModelLen": 4096})
    assert [(left.reason, left.message) for left in both.left_out] == [
        (PlanReason.ANOTHER_PLAN, "would run Auto in float16 instead of Auto in bfloat16")
    ]


def test_batch_sizes_of_the_leader_are_told() -> None:
    """VLLM would take smaller batches on an L4: it gets the H200's, its memory is planned with them, and it is said."""
    placement = placed(H200, L4)
    assert placement.classes == (H200, L4)
    told = ", all with the batches that vLLM has for NVIDIA-H200: 8,192 tokens, 1,024 sequences"
    assert placement.message == f"planned for {H200} and {L4}{told}"
    assert placement.memory is not None
    assert placement.memory.total_bytes == L4.memory_bytes
    assert placement.memory.kv_cache.sliding_tokens_per_request == 4095 + 2 * 8192
    assert placement.memory.fits


@pytest.mark.parametrize(
    ("classes", "engine"),
    [
        pytest.param([H200], {}, id="one class"),
        pytest.param([L4, A100], {}, id="classes that vLLM treats alike"),
        pytest.param([H200, L4], {"maxNumBatchedTokens": 4096, "maxNumSeqs": 128}, id="sizes that the spec says"),
    ],
)
def test_batch_sizes_that_need_no_word(classes: list[GpuClass], engine: dict[str, Any]) -> None:
    """Nothing is said where nobody gets other batches than expected."""
    assert "batches" not in placed(*classes, engine=engine).message


def test_a_class_that_the_leaders_batches_do_not_fit_on() -> None:
    """Alone it would be planned with smaller batches; beside the leader it is left out."""
    small = gpus("SMALL", "8.9", 17.6)
    assert placed(small).classes == (small,)
    placement = placed(H200, small)
    assert placement.classes == (H200,)
    message = placement.left_out[0].message
    assert message.startswith("does not fit: ")
    assert message.endswith("; with the batches that vLLM has for it, 2,048 tokens, 256 sequences, it would")
    asked = {"maxNumBatchedTokens": 2048, "maxNumSeqs": 256}
    assert placed(H200, small, engine=asked).classes == (H200, small)
    assert "it would" not in placed(H200, T4).left_out[0].message


def test_nowhere_the_nearest_speaks() -> None:
    """It is the class that needs the fewest GPUs among those whose nodes have them; the others are named."""
    with pytest.raises(Unplannable) as refusal:
        placed(gpus("SMALL", "9.0", 10), T4, gpus("LONELY", "9.0", 13, per_node=1))
    assert refusal.value.reason == Reason.DOES_NOT_FIT
    assert refusal.value.message == (
        "mistralai/Mistral-7B-v0.1 does not fit on 1 SMALL of 10.0 GiB: weights 13.5 GiB and working memory 1.2 GiB a "
        "GPU leave too little of 9.2 GiB for a KV cache; nor on 1 Tesla-T4 of 15.0 GiB, 1 LONELY of 13.0 GiB"
    )
    assert refusal.value.next_step == "Raise spec.parallelism.tensor to 2, or add larger GPUs"


def test_nowhere_for_different_reasons() -> None:
    """A class that is too small speaks before one that is too old, which is told as well."""
    with pytest.raises(Unplannable, match=r"does not fit on 1 Tesla-T4 .*; V100 .*: .* needs compute capability 7\.5"):
        placed(T4, gpus("V100", "7.0", 32))


def test_the_same_reason_is_told_once() -> None:
    """What is wrong with the spec is wrong on every class."""
    with pytest.raises(Unplannable) as refusal:
        placed(H200, A100, L4, extraArgs=["--max-model"])
    assert refusal.value.message == "extra argument --max-model repeats what the plan renders itself"


def test_a_gpu_that_no_label_describes() -> None:
    """It may be asked for, and whether the model fits on it stays open; one that is described is enough to know."""
    unknown = GpuClass(None, None, "NVIDIA-X", "nvidia.com/gpu", 8)
    placement = placed(unknown)
    assert (placement.reason, placement.known, placement.memory) == (Reason.GPU_NOT_DESCRIBED, False, None)
    assert placement.message == (
        "planned for NVIDIA-X (unknown memory, compute capability unknown); no label tells the GPU's memory, so "
        "whether the model fits is not known"
    )
    assert placed(unknown, H200, engine={"maxNumBatchedTokens": 2048, "maxNumSeqs": 256}).reason is Reason.GPU_FOUND


SHARED = GpuClass(T4.memory_bytes, T4.compute_capability, "Tesla-T4-SHARED", "nvidia.com/gpu", 4, shared_by=4)
LARGE_SHARED = GpuClass(H200.memory_bytes, H200.compute_capability, "NVIDIA-H200-SHARED", "nvidia.com/gpu", 8, 4)


def test_a_shared_gpu_is_left_out() -> None:
    """VLLM would take the memory of all who share it; what to do about that is told."""
    placement = placed(H200, LARGE_SHARED)
    assert placement.classes == (H200,)
    assert placement.left_out[0].message == (
        "shared by 4 pods, of which vLLM would take 92% of the memory: set spec.engine.gpuMemoryUtilization to 0.25 or "
        "less, or name the product in spec.gpu.products to take it all the same"
    )
    with pytest.raises(Unplannable, match=r"Tesla-T4-SHARED .*shared by 4 pods"):
        placed(SHARED)


def test_a_share_of_a_shared_gpu() -> None:
    """Who takes no more than a share is admitted, and planned on that share."""
    placement = placed(LARGE_SHARED, engine={"gpuMemoryUtilization": 0.25})
    assert placement.classes == (LARGE_SHARED,)
    assert placement.memory is not None
    assert placement.memory.usable_bytes == int((H200.memory_bytes or 0) * 0.25)


def test_a_shared_gpu_that_is_named() -> None:
    """Who names it wants it whole; several of them may be one and the same."""
    named = {"products": ["NVIDIA-H200-SHARED"]}
    assert placed(LARGE_SHARED, gpu=named).classes == (LARGE_SHARED,)
    with pytest.raises(Unplannable, match="one that needs 2 may be handed the same GPU twice"):
        placed(LARGE_SHARED, gpu=named, parallelism={"tensor": 2})


@pytest.mark.parametrize(
    ("product", "resource"),
    [
        pytest.param("NVIDIA-H200-MIG-1g.18gb", "nvidia.com/mig-1g.18gb", id="mixed strategy"),
        pytest.param("NVIDIA-H200-MIG-1g.18gb", "nvidia.com/gpu", id="single strategy"),
    ],
)
def test_a_mig_profile(product: str, resource: str) -> None:
    """It is a GPU with a memory of its own, one to a pod: no advice asks for two."""
    large, small = (gpus(product, "9.0", size, 7, resource) for size in (20, 16))
    wanted = {"resourceName": resource}
    assert placed(large, gpu=wanted).classes == (large,)
    with pytest.raises(Unplannable, match="a MIG profile, of which CUDA shows a process one, and a pod needs 2"):
        placed(large, gpu=wanted, parallelism={"tensor": 2})
    with pytest.raises(Unplannable, match="does not fit") as refusal:
        placed(small, gpu=wanted)
    assert refusal.value.next_step.endswith("dd larger GPUs")
    assert "tensor" not in refusal.value.next_step
