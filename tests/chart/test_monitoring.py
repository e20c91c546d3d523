"""What Prometheus and Grafana are given names metrics that there are."""

import json
import re
from typing import Any, Final

import yaml

from chart.helm import CHART, Release
from chart.value_sets import SETS
from mistral_operator.api.conditions import ConditionStatus, ConditionType
from mistral_operator.api.status import AttentionStatus, Condition, Layers, MistralDeploymentStatus
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics

WATCHED: Final = SETS["everything that is watched by others"]
ALERTS: Final = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD: Final = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))


def measured() -> Metrics:
    """Return metrics of which each has a sample."""
    metrics = Metrics()
    metrics.count_request("GET", 200)
    for by_result in (metrics.reconciles, metrics.hub_reads, metrics.attention_asks):
        by_result.labels(result="r")
    condition = Condition(
        type="Ready",
        status=ConditionStatus.TRUE,
        reason="R",
        message="m",
        observed_generation=1,
        last_transition_time="t",
    )
    attention = AttentionStatus(
        layers=Layers(sliding=1, full=0),
        backend="b",
        backends={"k": "b"},
        reason="R",
        message="m",
        xformers="Available",
    )
    metrics.report(Key("ns", "m"), MistralDeploymentStatus(conditions=[condition], attention=attention))
    return metrics


def labels_of_metrics() -> dict[str, set[str]]:
    """Return the labels of each series that the operator shows."""
    return {sample.name: {*sample.labels} for family in measured().registry.collect() for sample in family.samples}


def check(expression: str) -> None:
    """Hold an expression against the operator's metrics: their names, and the labels it selects by."""
    known = labels_of_metrics()
    of_target = {"job", "namespace"}
    used = re.findall(r"(mistral_operator_\w+)(?:\{([^}]*)\})?", expression)
    assert used
    for name, selector in used:
        assert name in known, f"there is no {name}"
        assert set(re.findall(r"(\w+)(?:=|!)", selector)) <= known[name] | of_target
    types = re.findall(r'type="(\w+)"', expression)
    assert set(types) <= {str(one) for one in ConditionType}


def test_alerts_name_metrics_that_there_are() -> None:
    """And every one says what is wrong, and what to do."""
    for alert in ALERTS:
        check(alert["expr"].replace("%{of}", 'job="j",namespace="n"').replace("%{job}", 'job="j"'))
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description"} == alert["annotations"].keys()


def test_alerts_are_of_their_own_release() -> None:
    """Those of two releases do not mix; labels are added, and an unwanted alert is left out."""
    (group,) = WATCHED.find("PrometheusRule")["spec"]["groups"]
    assert {rule["alert"] for rule in group["rules"]} == {
        alert["alert"] for alert in ALERTS if alert["alert"] != "MistralDeploymentPlanOutdated"
    }
    service = WATCHED.find("Service")["metadata"]["name"]
    for rule in group["rules"]:
        assert f'job="{service}"' in rule["expr"]
        assert "%{" not in rule["expr"]
        assert rule["labels"]["team"] == "ml"
        assert rule["labels"]["severity"]


def test_alerts_can_be_left_out() -> None:
    """The schema knows them all."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    rule = schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]
    assert rule["disabled"]["items"]["enum"] == [alert["alert"] for alert in ALERTS]


def test_dashboard_names_metrics_that_there_are() -> None:
    """Each panel asks for something, of the operators that were chosen, and explains itself."""
    for panel in DASHBOARD["panels"]:
        assert panel["description"]
        for target in panel["targets"]:
            check(target["expr"])
            assert 'job=~"$job"' in target["expr"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_dashboard_covers_every_metric() -> None:
    """What is measured is shown."""
    text = json.dumps(DASHBOARD)
    assert [family.name for family in measured().registry.collect() if family.name not in text] == []
    assert all(family.samples for family in measured().registry.collect())


def test_panels_do_not_overlap() -> None:
    """Grafana would push them apart."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_dashboard_arrives_whole() -> None:
    """Grafana's sidecar gets it as it is in the chart."""
    found = WATCHED.find("ConfigMap")
    assert json.loads(found["data"]["mistral-operator.json"]) == DASHBOARD
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_monitors() -> None:
    """The operator's Service and vLLM's pods are found by the labels and ports that they have."""
    monitor, service = WATCHED.find("ServiceMonitor")["spec"], WATCHED.find("Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert (endpoint["port"], endpoint["honorLabels"]) == (service["spec"]["ports"][0]["name"], True)
    assert pods_of(Release()) is None
    assert pods_of(WATCHED) == {"any": True}
    named: dict[str, Any] = {"watchNamespaces": ["a"], "metrics": {"podMonitor": {"enabled": True}}}
    assert pods_of(Release(values=named)) == {"matchNames": ["a"]}


def pods_of(release: Release) -> Any:
    """Return where a release's PodMonitor looks; None where there is none."""
    found = [body["spec"]["namespaceSelector"] for body in release.rendered() if body["kind"] == "PodMonitor"]
    return found[0] if found else None


def test_pods_that_serve_are_found() -> None:
    """By the labels and the port that the operator gives them."""
    from mistral_operator.rendering.owner import labels_of  # noqa: PLC0415
    from mistral_operator.rendering.service import PORT_NAME  # noqa: PLC0415

    spec = WATCHED.find("PodMonitor")["spec"]
    assert spec["selector"]["matchLabels"].items() <= labels_of("m").items()
    assert spec["podMetricsEndpoints"][0]["port"] == PORT_NAME
