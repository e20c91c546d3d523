"""The GPUs of nodes, as their labels and allocatable resources tell."""

from typing import Any

import pytest

from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import (
    UNREADABLE,
    Inventory,
    gpus_of_node,
    inventory_of,
    memory_label,
    product_label,
)
from mistral_vllm.backends import ComputeCapability
from unit.planning_on_clusters import A100, H200, L4

MIB = 2**20
LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-H200",
    "nvidia.com/gpu.memory": "143771",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
}
MIG = {"nvidia.com/mig-3g.71gb.product": "NVIDIA-H200-MIG-3g.71gb", "nvidia.com/mig-3g.71gb.memory": "71424"}
FULL = GpuClass(143771 * MIB, ComputeCapability(9, 0), "NVIDIA-H200", "nvidia.com/gpu", 8)
SLICE = GpuClass(71424 * MIB, ComputeCapability(9, 0), "NVIDIA-H200-MIG-3g.71gb", "nvidia.com/mig-3g.71gb", 2)


def without(*names: str) -> dict[str, str]:
    """Return the labels of a node less some."""
    return {name: value for name, value in LABELS.items() if name not in names}


@pytest.mark.parametrize(
    ("labels", "allocatable", "found"),
    [
        pytest.param(LABELS, {"nvidia.com/gpu": "8", "cpu": "96"}, {FULL}, id="GPUs"),
        pytest.param(LABELS | MIG, {"nvidia.com/gpu": "8", "nvidia.com/mig-3g.71gb": "2"}, {FULL, SLICE}, id="and MIG"),
        pytest.param(LABELS, {"nvidia.com/mig-3g.71gb": "2"}, set(), id="a profile that nothing describes"),
        pytest.param(
            LABELS | {"nvidia.com/gpu.memory": "9" * 63}, {"nvidia.com/gpu": "8"},
            {GpuClass(None, ComputeCapability(9, 0), "NVIDIA-H200", "nvidia.com/gpu", 8)},
            id="memory of no GPU",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.product": "NVIDIA-H200-SHARED"}, {"nvidia.com/gpu.shared": "4"},
            {GpuClass(143771 * MIB, ComputeCapability(9, 0), "NVIDIA-H200-SHARED", "nvidia.com/gpu.shared", 4)},
            id="time-sliced under a name of its own",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.product": "NVIDIA-H200-SHARED", "nvidia.com/gpu.replicas": "4",
                      "nvidia.com/gpu.sharing-strategy": "time-slicing"},
            {"nvidia.com/gpu": "32"},
            {GpuClass(143771 * MIB, ComputeCapability(9, 0), "NVIDIA-H200-SHARED", "nvidia.com/gpu", 8, 4)},
            id="time-sliced: 32 are 8 GPUs",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "mps"},
            {"nvidia.com/gpu.shared": "32"},
            {GpuClass(143771 * MIB, ComputeCapability(9, 0), "NVIDIA-H200", "nvidia.com/gpu.shared", 8, 4)},
            id="shared by MPS under a name of its own",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.replicas": "4"}, {"nvidia.com/gpu": "3"},
            {GpuClass(143771 * MIB, ComputeCapability(9, 0), "NVIDIA-H200", "nvidia.com/gpu", 1, 4)},
            id="less than one is left",
        ),
        pytest.param(LABELS | {"nvidia.com/gpu.replicas": "0"}, {"nvidia.com/gpu": "8"}, {FULL}, id="sharing is off"),
        pytest.param(LABELS | {"nvidia.com/gpu.replicas": "x"}, {"nvidia.com/gpu": "8"}, {FULL}, id="no number"),
        pytest.param(
            LABELS | MIG | {"nvidia.com/mig-3g.71gb.replicas": "2"}, {"nvidia.com/mig-3g.71gb": "4"},
            {GpuClass(71424 * MIB, ComputeCapability(9, 0), "NVIDIA-H200-MIG-3g.71gb", "nvidia.com/mig-3g.71gb", 2, 2)},
            id="a profile that is time-sliced",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.product": "NVIDIA-H200-MIG-1g.18gb", "nvidia.com/gpu.memory": "16384"},
            {"nvidia.com/gpu": "56"},
            {GpuClass(16384 * MIB, ComputeCapability(9, 0), "NVIDIA-H200-MIG-1g.18gb", "nvidia.com/gpu", 56)},
            id="MIG in single strategy: profiles under the GPUs' own name",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.product": "NVIDIA-B300", "nvidia.com/gpu.compute.major": "10",
                      "nvidia.com/gpu.compute.minor": "3"},
            {"nvidia.com/gpu": "8"},
            {GpuClass(143771 * MIB, ComputeCapability(10, 3), "NVIDIA-B300", "nvidia.com/gpu", 8)},
            id="a product that nobody knows",
        ),
        pytest.param({}, {"nvidia.com/gpu": "8"}, set(), id="no GPU Feature Discovery"),
        pytest.param(LABELS, {"nvidia.com/gpu": "0"}, set(), id="none that works"),
        pytest.param(LABELS, {"nvidia.com/gpu": "many"}, set(), id="no number"),
        pytest.param(LABELS, {"cpu": "96", "amd.com/gpu": "8"}, set(), id="none of NVIDIA's"),
        pytest.param(LABELS, {}, set(), id="nothing"),
        pytest.param(
            without("nvidia.com/gpu.memory"), {"nvidia.com/gpu": "8"},
            {GpuClass(None, ComputeCapability(9, 0), "NVIDIA-H200", "nvidia.com/gpu", 8)},
            id="memory that no label tells",
        ),
        pytest.param(
            without("nvidia.com/gpu.compute.minor"), {"nvidia.com/gpu": "8"},
            {GpuClass(143771 * MIB, None, "NVIDIA-H200", "nvidia.com/gpu", 8)}, id="half a capability is none",
        ),
        pytest.param(
            LABELS | {"nvidia.com/gpu.memory": "lots"}, {"nvidia.com/gpu": "8"},
            {GpuClass(None, ComputeCapability(9, 0), "NVIDIA-H200", "nvidia.com/gpu", 8)},
            id="a label that is no number",
        ),
    ],
)  # fmt: skip
def test_one_node(labels: dict[str, str], allocatable: dict[str, Any], found: set[GpuClass]) -> None:
    """Only what labels describe is counted: a plan on a guess is not honest."""
    assert gpus_of_node({"metadata": {"labels": labels}, "status": {"allocatable": allocatable}}) == found


@pytest.mark.parametrize("node", [{}, {"metadata": {"labels": None}, "status": {"allocatable": None}}, {"status": {}}])
def test_a_node_that_says_nothing(node: dict[str, Any]) -> None:
    """A node that has only just come has neither labels nor resources."""
    assert gpus_of_node(node) == frozenset()


def test_of_nodes_that_are_alike_the_largest_counts() -> None:
    """A pod of eight GPUs finds its node among many small ones."""
    small, large = (GpuClass(1, None, "X", "nvidia.com/gpu", count) for count in (1, 8))
    assert inventory_of([frozenset({small}), frozenset({large}), frozenset({small})]).classes == {large}


def test_the_most_capable_comes_first() -> None:
    """Within one resource; others are not mixed in."""
    mig = GpuClass(1, ComputeCapability(12, 0), "M", "nvidia.com/mig-1g.10gb", 1)
    inventory = Inventory(frozenset({L4, H200, A100, mig}))
    assert inventory.of_resource("nvidia.com/gpu") == (H200, L4, A100)
    assert inventory.of_resource("nvidia.com/mig-1g.10gb") == (mig,)
    assert inventory.of_resource("nvidia.com/other") == ()


def test_no_nodes_are_not_unreadable_nodes() -> None:
    """Both are empty, and only one of them may be planned against."""
    assert inventory_of(()) != UNREADABLE
    assert inventory_of(()).readable


@pytest.mark.parametrize(
    ("resource", "prefix"),
    [
        ("nvidia.com/gpu", "nvidia.com/gpu"),
        ("nvidia.com/gpu.shared", "nvidia.com/gpu"),
        ("nvidia.com/mig-3g.71gb", "nvidia.com/mig-3g.71gb"),
        ("nvidia.com/mig-3g.71gb.shared", "nvidia.com/mig-3g.71gb"),
    ],
)
def test_labels(resource: str, prefix: str) -> None:
    """The labels that a pod's affinity names are those that the node was read by."""
    assert (product_label(resource), memory_label(resource)) == (f"{prefix}.product", f"{prefix}.memory")
