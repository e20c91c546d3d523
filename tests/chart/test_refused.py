"""Wrong values are refused before anything is sent to a cluster, by the name of the value."""

from typing import Any, Final

import pytest

from chart.helm import refusal

WRONG: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "a value that there is not": ({"replicas": 2}, "'replicas' not allowed"),
    "one further down": ({"image": {"name": "x"}}, "/image"),
    "one of a probe": ({"livenessProbe": {"httpGet": {}}}, "/livenessProbe"),
    "a number for a switch": ({"crds": {"enabled": 1}}, "/crds/enabled"),
    "a text for a switch": ({"rbac": {"nodes": "false"}}, "/rbac/nodes"),
    "a number for a tag": ({"vllm": {"tag": 0.26}}, "/vllm/tag"),
    "a tag in a repository": ({"image": {"repository": "operator:1"}}, "/image/repository"),
    "a digest that is none": ({"image": {"digest": "sha256:1"}}, "/image/digest"),
    "no tag of vLLM": ({"vllm": {"tag": ""}}, "/vllm/tag"),
    "a runtime nobody knows": ({"vllm": {"runtime": "ollama"}}, "/vllm/runtime"),
    "a release without XFORMERS": ({"vllm": {"version": "0.25.1"}}, "/vllm/version"),
    "half a replica": ({"replicaCount": 1.5}, "/replicaCount"),
    "fewer than none": ({"replicaCount": -1}, "/replicaCount"),
    "one namespace as text": ({"watchNamespaces": "default"}, "/watchNamespaces"),
    "a namespace that cannot be": ({"watchNamespaces": ["Team_A"]}, "/watchNamespaces/0"),
    "no URL": ({"hub": {"endpoint": "hub.local"}}, "/hub/endpoint"),
    "a proxy without a scheme": ({"proxy": {"httpsProxy": "proxy:3128"}}, "/proxy/httpsProxy"),
    "two bundles": ({"caBundle": {"configMap": {"name": "a"}, "secret": {"name": "b"}}}, "/caBundle"),
    "two budgets": ({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}, "/podDisruptionBudget"),
    "a level that is none": ({"log": {"level": "info"}}, "/log/level"),
    "no worker": ({"workers": 0}, "/workers"),
    "no port": ({"metrics": {"port": 0}}, "/metrics/port"),
    "a time without a unit": ({"metrics": {"serviceMonitor": {"interval": "30"}}}, "/metrics/serviceMonitor/interval"),
    "an alert nobody knows": (
        {"metrics": {"prometheusRule": {"disabled": ["X"]}}},
        "/metrics/prometheusRule/disabled/0",
    ),
    "a label that is no text": ({"commonLabels": {"a": 1}}, "/commonLabels/a"),
    "a label that is too long": ({"podLabels": {"a": "b" * 64}}, "/podLabels/a"),
    "a name that is too long": ({"fullnameOverride": "a" * 64}, "/fullnameOverride"),
    "a name that cannot be": ({"fullnameOverride": "My_Operator"}, "/fullnameOverride"),
    "a toleration as an object": ({"tolerations": {"key": "a"}}, "/tolerations"),
    "an affinity nobody knows": ({"affinity": {"podAntiaffinity": {}}}, "/affinity"),
    "an argument that is none": ({"extraArgs": ["debug"]}, "/extraArgs/0"),
    "a variable without a name": ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0"),
    "a size that is none": ({"hub": {"cacheSizeLimit": "much"}}, "/hub/cacheSizeLimit"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name: str) -> None:
    """Helm names the value."""
    values, where = WRONG[name]
    said = refusal(**values)
    assert said is not None
    assert where in said


@pytest.mark.parametrize("values", [{"global": {"x": 1}}, {"enabled": True}], ids=str)
def test_a_chart_that_has_this_one_as_a_part(values: dict[str, Any]) -> None:
    """What such a chart passes on is no mistake of a user's."""
    assert refusal(**values) is None
