"""Which GPUs the nodes offer, and whether device plugin and GPU Feature Discovery work on every one of them.

A node's labels say which GPU it has (GPU Feature Discovery), its allocatable resources say that pods may ask for it
(device plugin). The operator plans with what has both.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mistral_operator.cli.doctor.facts import Body, Unread
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import MIG, gpus_of_node, product_label
from mistral_operator.status.observed import condition_of

_ABOUT: Final = "Nodes"
_GPU: Final = "nvidia.com/gpu"
_PRODUCT: Final = product_label(_GPU)
_INVALID: Final = "-MIG-INVALID"  # GPU Feature Discovery's word where strategy "single" meets several profiles
_MIG_STATE: Final = "nvidia.com/mig.config.state"  # MIG manager: success, pending, rebooting, failed
_SHOWN: Final = 3


def check_nodes(nodes: Sequence[Body] | Unread) -> Iterator[Finding]:
    """Yield at least one finding."""
    if isinstance(nodes, Unread):
        message = f"GPUs cannot be told: {nodes.why}"
        step = "Use a context that may list nodes"
        yield warning(Check.NODES, _ABOUT, DoctorReason.NODES_NOT_READABLE, message, step)
        return
    usable = [node for node in nodes if gpus_of_node(node)]
    yield from _gpus(usable, len(nodes))
    yield from _halves(nodes, any_usable=bool(usable))
    yield from _mig(nodes)
    yield from _unusable(usable)


def _gpus(usable: Sequence[Body], nodes: int) -> Iterator[Finding]:
    if not usable:
        none = f"none of {nodes} offers a GPU with labels" if nodes else "there is none"
        message = f"{none}: plans rest on the spec alone"
        step = "Add a node with a GPU, with NVIDIA's device plugin and GPU Feature Discovery (both in the GPU operator)"
        yield warning(Check.NODES, _ABOUT, DoctorReason.NO_GPUS, message, step)
        return
    offered: Counter[tuple[str, str]] = Counter()
    on: Counter[tuple[str, str]] = Counter()
    for node in usable:
        for gpu in gpus_of_node(node):
            offered[_told(gpu)] += gpu.per_node or 0
            on[_told(gpu)] += 1
    told = [f"{offered[gpu]} × {gpu[1]} on {_nodes(on[gpu])}{_as(gpu[0])}" for gpu in sorted(offered)]
    yield ok(Check.NODES, _ABOUT, DoctorReason.GPUS_FOUND, "; ".join(told))
    profiles = sorted({name for name, _ in offered if name.startswith(MIG)})
    if profiles:
        message = f"MIG profiles are resources of their own: {', '.join(profiles)}; name one in spec.gpu.resourceName"
        yield ok(Check.NODES, _ABOUT, DoctorReason.MIG_PROFILES, message)


def _told(gpu: GpuClass) -> tuple[str, str]:
    return gpu.resource_name, str(gpu)


def _halves(nodes: Sequence[Body], *, any_usable: bool) -> Iterator[Finding]:
    """Yield nodes of which one half is missing: labels without GPUs to ask for, GPUs without labels."""
    labelled = [node for node in nodes if _labels(node).get(_PRODUCT) and not _invalid(node) and not _offers(node)]
    if labelled:
        tell = warning if any_usable else problem
        message = f"labels tell of GPUs ({_products(labelled)}), and pods may not ask for any: no device plugin"
        step = (
            "Look at the pods of NVIDIA's device plugin on these nodes, or at the driver; "
            "`kubectl describe node` must show nvidia.com/gpu under Allocatable"
        )
        yield tell(Check.NODES, _names(labelled), DoctorReason.NO_DEVICE_PLUGIN, message, step)
    by_resource = defaultdict(list)
    for node in nodes:
        known = {gpu.resource_name for gpu in gpus_of_node(node)}
        for resource in _offers(node):
            if resource not in known:
                by_resource[resource].append(node)
    for resource, without in sorted(by_resource.items()):
        message = f"offer {resource} without labels that tell which GPU it is: they are left out of every plan"
        step = "Install GPU Feature Discovery on them, or look at its pods there"
        yield warning(Check.NODES, _names(without), DoctorReason.NO_GPU_LABELS, message, step)


def _mig(nodes: Sequence[Body]) -> Iterator[Finding]:
    invalid = [node for node in nodes if _invalid(node)]
    if invalid:
        message = "MIG strategy single, and GPUs with several profiles or with MIG on a part of them: none is offered"
        step = "Configure one profile on all GPUs of the node (label nvidia.com/mig.config), or use strategy mixed"
        yield problem(Check.NODES, _names(invalid), DoctorReason.MIG_INVALID, message, step)
    for state in ("failed", "pending", "rebooting"):
        found = [node for node in nodes if _labels(node).get(_MIG_STATE) == state]
        if found:
            tell = problem if state == "failed" else warning
            message = f"MIG configuration: {state}; their GPUs may be missing or change"
            step = "Look at the log of the MIG manager on them" if state == "failed" else "Wait for the MIG manager"
            yield tell(Check.NODES, _names(found), DoctorReason.MIG_NOT_CONFIGURED, message, step)


def _unusable(usable: Sequence[Body]) -> Iterator[Finding]:
    """Yield nodes whose GPUs count in plans, and which take no pod now."""
    cordoned = [node for node in usable if node.get("spec", {}).get("unschedulable")]
    unready = [node for node in usable if condition_of(node, "Ready").get("status") != "True"]
    for found, message, step in (
        (cordoned, "have GPUs and are cordoned: no new pod starts there", "Run `kubectl uncordon` when they may"),
        (unready, "have GPUs and are not Ready: no new pod starts there", "Look at `kubectl describe node`"),
    ):
        if found:
            yield warning(Check.NODES, _names(found), DoctorReason.NODE_UNUSABLE, message, step)


def _offers(node: Body) -> list[str]:
    """Return NVIDIA's extended resources of which a node has at least one to give."""
    allocatable: Mapping[str, Any] = node.get("status", {}).get("allocatable") or {}
    gpus = (name for name in allocatable if name.startswith((MIG, _GPU)))
    return [name for name in gpus if str(allocatable[name]).isdigit() and int(allocatable[name])]


def _invalid(node: Body) -> bool:
    return str(_labels(node).get(_PRODUCT, "")).endswith(_INVALID)


def _labels(node: Body) -> Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def _products(nodes: Sequence[Body]) -> str:
    return ", ".join(sorted({str(_labels(node)[_PRODUCT]) for node in nodes}))


def _names(nodes: Sequence[Body]) -> str:
    names = sorted(str(node["metadata"]["name"]) for node in nodes)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{'Node' if len(names) == 1 else 'Nodes'} {', '.join(names[:_SHOWN])}{more}"


def _as(resource: str) -> str:
    return "" if resource == _GPU else f" as {resource}"


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
