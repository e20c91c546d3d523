"""Which nodes: those whose GPUs the plan holds for, and no others; the user's own affinity narrows them further."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mistral_operator.api.spec import GpuSpec, MistralDeploymentSpec
from mistral_operator.api.status import Resolved
from mistral_operator.planning.inventory import memory_label, product_label
from mistral_operator.planning.quantity import parse_bytes
from mistral_operator.planning.wishes import MEMORY_TOLERANCE

Expression = dict[str, Any]
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_MAJOR: Final = "nvidia.com/gpu.compute.major"
_MINOR: Final = "nvidia.com/gpu.compute.minor"


def render_affinity(spec: MistralDeploymentSpec, resolved: Resolved, *, needs_gpu: bool) -> dict[str, Any]:
    """Return the pod's affinity; node selector terms are alternatives, so that ours goes into each of the user's."""
    affinity = dict(spec.affinity or {})
    ours = _terms(spec.gpu, resolved) if needs_gpu else []
    if not ours:
        return affinity
    node = dict(affinity.get("nodeAffinity") or {})
    theirs = (node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    if theirs and not any(map(_selects, theirs)):
        return affinity
    alternatives = [term for term in theirs if _selects(term)] or [{}]
    node[_REQUIRED] = {"nodeSelectorTerms": [_both(term, own) for term, own in itertools.product(alternatives, ours)]}
    return affinity | {"nodeAffinity": node}


def _terms(gpu: GpuSpec, resolved: Resolved) -> list[list[Expression]]:
    """Return our alternatives: the plan's classes, else what the spec itself asks for."""
    if any(found.product is not None for found in resolved.gpu_classes):
        product, memory = product_label(gpu.resource_name), memory_label(gpu.resource_name)
        by_memory: dict[int | None, list[str]] = {}
        for found in resolved.gpu_classes:
            if found.product is not None:
                by_memory.setdefault(found.memory, []).append(found.product)
        return [
            [_in(product, products), *([] if size is None else [_in(memory, [str(size >> 20)])])]
            for size, products in sorted(by_memory.items(), key=lambda item: item[0] or 0)
        ]
    asked: list[Expression] = []
    if gpu.products:
        asked.append(_in(product_label(gpu.resource_name), gpu.products))
    if gpu.min_memory:
        least_mib = int(parse_bytes(gpu.min_memory) * MEMORY_TOLERANCE) >> 20
        asked += _at_least(memory_label(gpu.resource_name), least_mib)
    if not gpu.min_compute_capability:
        return [asked] if asked else []
    major, minor = gpu.min_compute_capability.split(".")
    newer = {"key": _MAJOR, "operator": "Gt", "values": [major]}
    same = [_in(_MAJOR, [major]), *_at_least(_MINOR, int(minor))]
    return [[*asked, newer], [*asked, *same]]


def _selects(term: Mapping[str, Any]) -> bool:
    """Tell whether a term selects any node: Kubernetes takes an empty one for "none", not for "all"."""
    return bool(term.get("matchExpressions") or term.get("matchFields"))


def _both(term: dict[str, Any], own: Iterable[Expression]) -> dict[str, Any]:
    return term | {"matchExpressions": [*(term.get("matchExpressions") or ()), *own]}


def _at_least(label: str, number: int) -> list[Expression]:
    """Return nothing for 0, which every label's number is: what "Gt" compares with may not be negative."""
    return [{"key": label, "operator": "Gt", "values": [str(number - 1)]}] if number else []


def _in(label: str, values: Iterable[str]) -> Expression:
    return {"key": label, "operator": "In", "values": sorted(set(values))}
