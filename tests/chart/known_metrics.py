"""Which metrics there are: the operator's, by their definitions, and those that real vLLM was seen to have."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mistral_operator.api.conditions import ConditionType
from mistral_operator.controller.measures import CONDITION, MEASURES, MetricType

OF_PODS: Final[Mapping[str, Any]] = json.loads(
    Path(__file__).with_name("vllm_metrics.json").read_text(encoding="utf-8")
)
_OF_TARGET: Final = {"job", "namespace", "pod", "instance"}
_OF_PODS_TARGET: Final = _OF_TARGET | {"app_kubernetes_io_instance"}  # the PodMonitor's podTargetLabels
_SELECTOR: Final = re.compile(r"([a-z_][\w:]*)\{([^}]*)\}")
_OF_A_LABEL: Final = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')


def _series(name: str, metric_type: str, labels: set[str]) -> dict[str, set[str]]:
    if metric_type != MetricType.HISTOGRAM:
        return {name: labels}
    return {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}


OPERATORS: Final[Mapping[str, set[str]]] = {
    name: labels
    for measure in MEASURES
    for name, labels in _series(measure.name, measure.type, {*measure.label_names} | _OF_TARGET).items()
}
EVERYTHING: Final[Mapping[str, set[str]]] = {
    **OPERATORS,
    **{
        name: labels
        for metric, found in OF_PODS.items()
        for name, labels in _series(metric, found["type"], {*found["labels"]} | _OF_PODS_TARGET).items()
    },
}


def check(expression: str, known: Mapping[str, set[str]]) -> set[str]:
    """Hold an expression against the metrics there are, their labels, and the values that are known beforehand.

    Returns
    -------
    set of str
        The metrics that it asks for. Each must be written with braces, so that none is overlooked.
    """
    used = _SELECTOR.findall(expression)
    assert used, expression
    for name, selector in used:
        assert name in known, f"there is no {name}"
        labels = _OF_A_LABEL.findall(selector)
        assert {label for label, _ in labels} <= known[name], f"{name}{{{selector}}}"
        for label, value in labels:
            if (name, label) == (CONDITION.name, "type"):
                assert {*value.split("|")} <= {*ConditionType}, value
    bare = re.sub(r'\{[^}]*\}|"[^"]*"', "", expression)
    assert len(re.findall(r"\b(?:mistral_\w+|vllm:\w+|process_\w+)", bare)) == len(used), f"no braces: {expression}"
    return {name for name, _ in used}
