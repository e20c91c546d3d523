"""What Prometheus and Grafana are given names metrics that there are."""

import json
import re
from typing import Any, Final

import yaml
from prometheus_client import Counter, Gauge, Histogram

from chart.helm import CHART, Release
from chart.value_sets import SETS
from mistral_operator.api.conditions import ConditionType
from mistral_operator.controller.metrics import Metrics

WATCHED: Final = SETS["everything that is watched by others"]
ALERTS: Final = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD: Final = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))


def labels_of_metrics() -> dict[str, set[str]]:
    """Return the labels of each series that the operator shows."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            for suffix in suffixes:
                labels = {*metric._labelnames, *(["le"] if suffix == "_bucket" else [])}  # noqa: SLF001 - not public
                found[family.name + suffix] = labels
    return found


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
    assert [name for name in labels_of_metrics() if name not in text and not name.endswith(("_sum", "_count"))] == []


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
