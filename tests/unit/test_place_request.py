"""A model planned on a cluster's GPUs without a spec: any product will do, and the most capable leads."""

from dataclasses import replace

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.fit import Remedies
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import Placement, place, place_request
from mistral_operator.planning.problems import Problem, Unplannable
from mistral_operator.planning.request import PlanRequest
from mistral_vllm.backends import ComputeCapability
from mistral_vllm.runtimes import RuntimeName, get_runtime
from unit.planning_on_clusters import A100, DEFAULTS, GIB, H200, L4, T4, facts, spec

REMEDIES = Remedies("say {tokens}", "take {gpus}", "buy larger", "Ask for what there is", "length", "say {part}")
ANY = GpuClass(None, None)


def placed(*classes: GpuClass, runtime: RuntimeName = RuntimeName.MISTRAL_VLLM, gpus: int = 1) -> Placement:
    """Plan Mistral-7B on these GPUs."""
    request = PlanRequest(get_runtime(runtime, "0.26.0"), ANY, tensor_parallel=gpus)
    return place_request(facts(), request, Inventory(frozenset(classes)), (), REMEDIES)


def test_the_most_capable_class_leads() -> None:
    """The plan is made for it, and holds for those that would run the same."""
    placement = placed(A100, H200, T4)
    assert [gpu.product for gpu in placement.classes] == ["NVIDIA-H200", "NVIDIA-A100-SXM4-80GB"]
    assert placement.plan.request.gpu == H200
    assert [left.gpu for left in placement.left_out] == [T4]


def test_a_node_with_too_few_is_left_out() -> None:
    """A pod's GPUs are those of one node."""
    placement = placed(L4, A100, gpus=8)
    assert [left.message for left in placement.left_out] == ["a node has at most 1 of them, a pod needs 8"]


def test_a_shared_gpu_is_left_out_in_the_words_of_whoever_asks() -> None:
    """There is no spec whose fields could be set."""
    placement = placed(replace(H200, product="shared", shared_by=4), A100)
    assert [left.message for left in placement.left_out] == [
        "shared by 4 pods, of which vLLM would take 92% of the memory: say 0.25"
    ]


@pytest.mark.parametrize(
    ("classes", "gpus", "reason", "next_step"),
    [
        pytest.param([], 1, Reason.NO_GPU_NODES, "Ask for what there is", id="no GPU"),
        pytest.param([L4], 2, Reason.NO_MATCHING_GPU, "Ask for what there is", id="too few"),
        pytest.param(
            [T4], 1, Reason.DOES_NOT_FIT, "Take 2 and add nodes with 2 of them, or buy larger", id="too small"
        ),
    ],
)
def test_refusals(classes: list[GpuClass], gpus: int, reason: Reason, next_step: str) -> None:
    """What cannot be is refused in the words of whoever asks."""
    with pytest.raises(Unplannable, match=next_step) as refusal:
        placed(*classes, gpus=gpus)
    assert (refusal.value.problem, refusal.value.reason) == (Problem.HARDWARE, reason)


def test_a_cpu_image_needs_no_gpu() -> None:
    """No GPU is looked at, whether there is one or not."""
    assert placed(runtime=RuntimeName.VLLM_CPU).reason is Reason.NO_GPU_NEEDED


def test_a_described_gpu_stands_for_the_products_of_the_spec() -> None:
    """Flags describe a GPU without a product: the spec's products do not rule it out, its least memory does."""
    described = GpuClass(80 * GIB, ComputeCapability.parse("9.0"), per_node=1)
    inventory = Inventory(frozenset({described}))
    assert place(facts(), spec(gpu={"products": ["NVIDIA-L40"]}), inventory, DEFAULTS).classes == (described,)
    with pytest.raises(Unplannable, match=r"less memory than spec\.gpu\.minMemory 141Gi"):
        place(facts(), spec(gpu={"minMemory": "141Gi"}), inventory, DEFAULTS)
