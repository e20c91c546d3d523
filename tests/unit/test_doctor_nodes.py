"""What the doctor says of nodes: one half of what a GPU needs is as good as none."""

from collections.abc import Mapping
from typing import Any

import pytest

from devcluster.controlplane import A100_80GB, CPU_ONLY, H200, T4, NodeKind
from mistral_operator.cli.doctor.checks.nodes import check_nodes
from mistral_operator.cli.doctor.facts import Unread

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
TOLD_H200 = "NVIDIA-H200 (140 GiB, compute capability 9.0)"
MIG = "nvidia.com/mig-3g.71gb"


def node(
    kind: NodeKind,
    name: str = "n",
    *,
    labels: Mapping[str, str | None] | None = None,
    resources: Mapping[str, str | None] | None = None,
    status: dict[str, Any] = READY,
    **spec: Any,
) -> dict[str, Any]:
    """Return a node that is ready; None takes a label or a resource away."""
    body = kind.manifest(name)
    body["metadata"]["labels"] = kept(body["metadata"]["labels"] | (labels or {}))
    body["status"] |= {"allocatable": kept(body["status"]["allocatable"] | (resources or {}))} | status
    return body | {"spec": spec}


def kept(values: Mapping[str, str | None]) -> dict[str, str]:
    """Leave out what is None."""
    return {name: value for name, value in values.items() if value is not None}


NO_PLUGIN = {"nvidia.com/gpu": None}
NO_LABELS = {"nvidia.com/gpu.product": None}
ON_MIXED = {f"{MIG}.product": "NVIDIA-H200-MIG-3g.71gb", f"{MIG}.memory": "71000"}


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        pytest.param([], [("warning", "Nodes", "NoGPUs", "there is none: plans")], id="no nodes"),
        pytest.param([node(CPU_ONLY)], [("warning", "Nodes", "NoGPUs", "none of 1 offers a GPU")], id="no GPUs"),
        pytest.param(
            [node(H200, "a"), node(H200, "b"), node(T4, "c"), node(CPU_ONLY, "d")],
            [
                (
                    "ok",
                    "Nodes",
                    "GPUsFound",
                    f"16 × {TOLD_H200} on 2 nodes; 1 × Tesla-T4 (15 GiB, compute capability 7.5) on 1 node",
                )
            ],
            id="GPUs",
        ),
        pytest.param(
            [node(H200, "a", resources=NO_PLUGIN)],
            [
                ("warning", "Nodes", "NoGPUs", "none of 1"),
                ("problem", "Node a", "NoDevicePlugin", "labels tell of GPUs (NVIDIA-H200)"),
            ],
            id="no device plugin at all",
        ),
        pytest.param(
            [node(H200, "a"), node(A100_80GB, "b", resources={"nvidia.com/gpu": "0"})],
            [
                ("ok", "Nodes", "GPUsFound", "8 × NVIDIA-H200"),
                ("warning", "Node b", "NoDevicePlugin", "labels tell of GPUs (NVIDIA-A100-SXM4-80GB)"),
            ],
            id="no device plugin on one",
        ),
        pytest.param(
            [node(H200, name, labels=NO_LABELS) for name in "abcde"],
            [
                ("warning", "Nodes", "NoGPUs", "none of 5"),
                ("warning", "Nodes a, b, c and 2 more", "NoGPULabels", "offer nvidia.com/gpu without labels"),
            ],
            id="no GPU Feature Discovery",
        ),
        pytest.param(
            [node(H200, "a", labels=ON_MIXED, resources={MIG: "2", "nvidia.com/gpu": "0"})],
            [
                ("ok", "Nodes", "GPUsFound", f"compute capability 9.0) on 1 node as {MIG}"),
                ("ok", "Nodes", "MIGProfiles", f"{MIG}; name one in spec.gpu.resourceName"),
            ],
            id="MIG, strategy mixed",
        ),
        pytest.param(
            [node(H200, "a", resources={MIG: "2"})],
            [
                ("ok", "Nodes", "GPUsFound", "8 × NVIDIA-H200"),
                ("warning", "Node a", "NoGPULabels", f"offer {MIG} without labels"),
            ],
            id="MIG without its labels",
        ),
        pytest.param(
            [node(H200, "a", labels={"nvidia.com/gpu.product": "NVIDIA-H200-MIG-INVALID"}, resources=NO_PLUGIN)],
            [
                ("warning", "Nodes", "NoGPUs", "none of 1"),
                ("problem", "Node a", "MIGInvalid", "strategy single"),
            ],
            id="MIG, strategy single, several profiles",
        ),
        pytest.param(
            [
                node(H200, "a", labels={"nvidia.com/mig.config.state": "failed"}),
                node(H200, "b", labels={"nvidia.com/mig.config.state": "rebooting"}),
                node(H200, "c", labels={"nvidia.com/mig.config.state": "success"}),
            ],
            [
                ("ok", "Nodes", "GPUsFound", "24 × NVIDIA-H200"),
                ("problem", "Node a", "MIGNotConfigured", "MIG configuration: failed"),
                ("warning", "Node b", "MIGNotConfigured", "MIG configuration: rebooting"),
            ],
            id="MIG manager",
        ),
        pytest.param(
            [
                node(H200, "a", unschedulable=True),
                node(H200, "b", status={"conditions": []}),
                node(CPU_ONLY, "c", unschedulable=True),
            ],
            [
                ("ok", "Nodes", "GPUsFound", "16 × NVIDIA-H200"),
                ("warning", "Node a", "NodeUnusable", "are cordoned"),
                ("warning", "Node b", "NodeUnusable", "are not Ready"),
            ],
            id="nodes that take no pod",
        ),
        pytest.param(
            Unread("nodes is forbidden"),
            [("warning", "Nodes", "NodesNotReadable", "GPUs cannot be told: nodes is forbidden")],
            id="not readable",
        ),
    ],
)
def test_nodes(nodes: list[dict[str, Any]] | Unread, told: list[tuple[str, str, str, str]]) -> None:
    """Each finding names the nodes that it is about."""
    found = [*check_nodes(nodes)]
    assert [(str(one.level), one.object, one.reason) for one in found] == [one[:3] for one in told]
    for one, (*_, says) in zip(found, told, strict=True):
        assert says in one.message
        assert bool(one.next_step) == (one.level != "ok")
