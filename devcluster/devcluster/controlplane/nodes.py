"""Nodes that do not exist: what their kubelet, device plugin and GPU Feature Discovery would say of them."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class NodeKind:
    """One kind of machine."""

    name: str
    product: str | None = None
    gpus: int = 0
    memory_mib: int = 0
    compute_capability: str = ""
    family: str = ""

    def manifest(self, name: str) -> dict[str, Any]:
        """Return a Node of this kind."""
        resources = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "4Ti", "pods": "500"}
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": self.name,
        }
        spec: dict[str, Any] = {}
        if self.product is not None:
            resources["nvidia.com/gpu"] = str(self.gpus)
            labels |= self._feature_labels()
            spec["taints"] = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "spec": spec,
            "status": {"allocatable": resources, "capacity": resources},
        }

    def _feature_labels(self) -> dict[str, str]:
        major, minor = self.compute_capability.split(".")
        return {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": self.product or "",
            "nvidia.com/gpu.family": self.family,
            "nvidia.com/gpu.count": str(self.gpus),
            "nvidia.com/gpu.memory": str(self.memory_mib),
            "nvidia.com/gpu.compute.major": major,
            "nvidia.com/gpu.compute.minor": minor,
            "nvidia.com/gpu.replicas": "1",
            "nvidia.com/mig.capable": str(self.family in ("ampere", "hopper")).lower(),
            "nvidia.com/cuda.driver-version.full": "580.95.05",
            "nvidia.com/cuda.runtime-version.full": "13.0",
        }


H200: Final = NodeKind("h200", "NVIDIA-H200", 8, 143771, "9.0", "hopper")
A100_80GB: Final = NodeKind("a100-80gb", "NVIDIA-A100-SXM4-80GB", 8, 81920, "8.0", "ampere")
L4: Final = NodeKind("l4", "NVIDIA-L4", 1, 23034, "8.9", "ada-lovelace")
T4: Final = NodeKind("t4", "Tesla-T4", 1, 15360, "7.5", "turing")
CPU_ONLY: Final = NodeKind("cpu")
KINDS: Final = (H200, A100_80GB, L4, T4, CPU_ONLY)
