"""A real Kubernetes control plane on this machine: etcd, kube-apiserver, controller-manager, scheduler, kwok.

Everything but the containers is real: admission, schemas, server-side apply, garbage collection, scheduling, rollouts,
autoscaling. kwok plays the kubelets of GPU nodes that do not exist, and gives each pod the fate its annotation asks
for::

    with ControlPlane(Progress()) as plane:
        plane.add_node("gpu-0", H200)
        print(plane.kubectl("get", "nodes"))
"""

from devcluster.controlplane.nodes import A100_80GB, CPU_ONLY, H200, KINDS, L4, T4, NodeKind
from devcluster.controlplane.plane import ControlPlane
from devcluster.processes import StartError

__all__ = ["A100_80GB", "CPU_ONLY", "H200", "KINDS", "L4", "T4", "ControlPlane", "NodeKind", "StartError"]
