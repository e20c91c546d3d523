"""The GPUs of a cluster, as its nodes' labels tell: what a deployment may land on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mistral_operator.planning.facts import GpuClass
from mistral_vllm.backends import ComputeCapability

_VENDOR: Final = "nvidia.com/"
MIG: Final = "nvidia.com/mig-"
"""What the resources of MIG profiles begin with, where the device plugin's strategy is "mixed"."""
_SHARED: Final = ".shared"  # the device plugin's name for time-sliced GPUs


@dataclass(frozen=True, slots=True)
class Inventory:
    """The classes of GPU in a cluster; ``readable`` is False where nodes may not be read at all."""

    classes: frozenset[GpuClass] = frozenset()
    readable: bool = True

    def of_resource(self, resource_name: str) -> tuple[GpuClass, ...]:
        """Return the classes that one extended resource stands for, the most capable first."""
        found = (gpu for gpu in self.classes if gpu.resource_name == resource_name)
        return tuple(sorted(found, key=_capability, reverse=True))


UNREADABLE: Final = Inventory(readable=False)


def inventory_of(nodes: Iterable[frozenset[GpuClass]]) -> Inventory:
    """Merge the classes of single nodes; of classes that are alike, the largest node counts."""
    largest: dict[GpuClass, int] = {}
    for gpus in nodes:
        for gpu in gpus:
            alike = replace(gpu, per_node=None)
            largest[alike] = max(largest.get(alike, 0), gpu.per_node or 0)
    return Inventory(frozenset(replace(gpu, per_node=count) for gpu, count in largest.items()))


_MOST_MIB: Final = 100 * 2**20  # a label that says more is no GPU's: anybody who may label nodes writes it


def gpus_of_node(node: Mapping[str, Any]) -> frozenset[GpuClass]:
    """Read one node: a class for each of NVIDIA's extended resources that it can allocate and that labels describe.

    Labels are GPU Feature Discovery's (nvidia.com/gpu.product, .memory in MiB, .compute.major and .minor); a MIG
    profile in "mixed" strategy has a product and memory of its own. Where the device plugin hands one GPU to several
    pods, .replicas tells to how many: allocatable counts each of them, a class counts GPUs.
    """
    labels = node.get("metadata", {}).get("labels") or {}
    allocatable = node.get("status", {}).get("allocatable") or {}
    found = set()
    for resource, amount in allocatable.items():
        if not resource.startswith(_VENDOR) or not str(amount).isdigit() or int(amount) == 0:
            continue
        product = labels.get(product_label(resource))
        if product is None:
            continue  # nothing is known of it: a plan on the spec alone is honest, a plan on a guess is not
        memory = labels.get(memory_label(resource), "")
        replicas = labels.get(f"{_described_by(resource)}.replicas", "")
        shared_by = max(1, int(replicas)) if replicas.isdigit() else 1
        found.add(
            GpuClass(
                memory_bytes=int(memory) << 20 if memory.isdigit() and int(memory) <= _MOST_MIB else None,
                compute_capability=_compute_capability(labels),
                product=product,
                resource_name=resource,
                per_node=max(1, int(amount) // shared_by),
                shared_by=shared_by,
            )
        )
    return frozenset(found)


def product_label(resource_name: str) -> str:
    """Return the node label that tells the product behind an extended resource."""
    return f"{_described_by(resource_name)}.product"


def memory_label(resource_name: str) -> str:
    """Return the node label that tells the memory, in MiB, behind an extended resource."""
    return f"{_described_by(resource_name)}.memory"


def _described_by(resource_name: str) -> str:
    """Return what the labels of an extended resource begin with: a MIG profile has its own, shared or not."""
    return resource_name.removesuffix(_SHARED) if resource_name.startswith(MIG) else "nvidia.com/gpu"


def _compute_capability(labels: Mapping[str, str]) -> ComputeCapability | None:
    major, minor = labels.get("nvidia.com/gpu.compute.major", ""), labels.get("nvidia.com/gpu.compute.minor", "")
    return ComputeCapability(int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _capability(gpu: GpuClass) -> tuple[ComputeCapability, int, str]:
    return gpu.compute_capability or ComputeCapability(0, 0), gpu.memory_bytes or 0, gpu.product or ""
