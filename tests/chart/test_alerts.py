"""The chart's alerts, evaluated by Prometheus: each fires when it should, and none for a model that was stopped."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from chart.helm import CHART, ROOT, Release
from chart.known_metrics import OPERATORS, check
from chart.promtool import check_rules, evaluate
from chart.value_sets import SETS
from mistral_operator.api.conditions import ConditionType

WATCHED: Final = SETS["everything that is watched by others"]
ALERTS: Final = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
NAMES: Final = [alert["alert"] for alert in ALERTS]
PAGE: Final = ROOT / "docs" / "monitoring.md"
RELEASE: Final = Release(values={"metrics": {"prometheusRule": {"enabled": True}}})
JOB: Final = "mistral-operator-metrics"
OURS: Final = f'job="{JOB}",namespace="{RELEASE.namespace}",pod="a"'
OTHERS: Final = f'job="{JOB}",namespace="another",pod="a"'
HEALTHY: Final[Mapping[str, int]] = dict.fromkeys(ConditionType, 1)


class Case(NamedTuple):
    """What is measured, and which alerts fire after some minutes: each with its value as the text shows it."""

    series: Mapping[str, str]
    minutes: int
    firing: Mapping[str, str] = {}


def model(
    desired: int | None, ready: int, ill: Mapping[str, int] = {}, *, values: str = "{}x2000", pod: str = "a"
) -> dict[str, str]:
    """Return the series of one MistralDeployment: True conditions but for those that are ill, and for how long."""
    labels = f'job="{JOB}",namespace="ns",name="m",pod="{pod}"'
    found: dict[str, Any] = {f'mistral_operator_condition{{{labels},type="{kind}"}}': value
             for kind, value in {**HEALTHY, **ill}.items()}  # fmt: skip
    found[f"mistral_operator_replicas_ready{{{labels}}}"] = ready
    if desired is not None:
        found[f"mistral_operator_replicas_desired{{{labels}}}"] = desired
    return {name: values.format(value) for name, value in found.items()}


def counted(measure: str, **results: str) -> dict[str, str]:
    """Return a counter of the operator by result."""
    return {f'mistral_operator_{measure}_total{{{OURS},result="{result}"}}': values
            for result, values in results.items()}  # fmt: skip


def leading(*values: str, of: str = OURS) -> dict[str, str]:
    """Return whether each replica leads."""
    return {f'mistral_operator_leading{{{of},instance="{number}"}}': value for number, value in enumerate(values)}


NOT_READY: Final = {"Ready": 0, "UpToDate": 0}
AWAY: Final = {**NOT_READY, "Available": 0}
MODELS: Final = {
    "a model that serves": Case(model(2, 2), 1500),
    "one that cannot be asked what it runs": Case(model(1, 1, {"AttentionVerified": -1}), 1500),
    "one that was stopped": Case(model(0, 0, {"Ready": 0, "Available": 0, "PlanCurrent": 0}), 1500),
    "one that was stopped, and whose pods are leaving": Case(model(0, 1, {"Ready": 0, "Available": 0}), 120),
    "one that nobody has planned yet": Case(model(1, 0, {**AWAY, "ModelResolved": 0}), 60, {"NotServing": ""}),
    "one without any pod that answers": Case(model(2, 0, AWAY), 60, {"NotServing": ""}),
    "one that is starting": Case(model(2, 0, AWAY), 44),
    "one that was away for half an hour": Case(model(2, 0, AWAY, values="{}x30 1x60"), 60),
    "one with half of its pods": Case(model(2, 1, NOT_READY), 60, {"TooFewReplicas": "1"}),
    "one that is replacing pods": Case(model(2, 1, NOT_READY), 44),
    "one whose rollout hangs beside its old pods": Case(model(2, 3, NOT_READY), 60, {"NotReady": ""}),
    "one that cannot be planned anew": Case(model(1, 1, {"Ready": 0, "ModelResolved": 0}), 60, {"NotReady": ""}),
    "one whose spec nobody understands": Case(model(None, 1, {"Ready": 0}), 60, {"NotReady": ""}),
    "one with another attention": Case(model(1, 1, {"Ready": 0, "AttentionVerified": 0}), 60, {"AttentionDiffers": ""}),
    "one with another attention, for a moment": Case(model(1, 1, {"Ready": 0, "AttentionVerified": 0}), 4),
    "one with an older plan": Case(model(1, 1, {"PlanCurrent": 0}), 1500, {"PlanOutdated": ""}),
    "one with an older plan since this morning": Case(model(1, 1, {"PlanCurrent": 0}), 600),
    "one that was deleted": Case(model(2, 0, AWAY, values="{}x50 stale"), 60),
    "one that another replica tells of now": Case(
        model(2, 0, AWAY, values="{}x50 stale") | model(2, 0, AWAY, values="_x49 {}x60", pod="b"),
        60,
        {"NotServing": ""},
    ),
}  # fmt: skip
WORKING: Final = leading("1x200")
OPERATOR: Final = {
    "an operator that works": Case(
        leading("1x200", "0x200")
        | counted("reconciles", done="0+5x200", conflict="0+1x200", fault="0x200", refused="0x200")
        | counted("hub_reads", Read="0+1x200", HubUnreachable="0+1x200", Gated="0+1x200"),
        120,
    ),
    "no replica leads": Case(leading("0x200", "0x200"), 6, {"OperatorNotLeading": ""}),
    "no replica there is": Case({}, 6, {"OperatorNotLeading": ""}),
    "another release's leads": Case(leading("1x200", of=OTHERS), 6, {"OperatorNotLeading": ""}),
    "one replica takes over from another": Case(leading("1x10 0x60", "0x13 1x60"), 14),
    "the first fault of all": Case(WORKING | counted("reconciles", fault="0x10 1x50"), 15, {"OperatorFault": ""}),
    "a fault of half an hour ago": Case(WORKING | counted("reconciles", fault="0x10 1x50"), 45),
    "refusals without end": Case(WORKING | counted("reconciles", refused="0+1x120"), 60, {"OperatorRefused": ""}),
    "refusals that stopped": Case(WORKING | counted("reconciles", refused="0+1x10 10x120"), 60),
    "a queue that is long": Case(
        WORKING | {f"mistral_operator_queue_depth{{{OURS}}}": "150x60"}, 20, {"OperatorQueueGrows": "150"}
    ),
    "a thousand objects at the start": Case(
        WORKING | {f"mistral_operator_queue_depth{{{OURS}}}": "1000x10 3x60"}, 16
    ),
    "a hub that is away": Case(
        WORKING | counted("hub_reads", HubUnreachable="0+1x120", Read="7x120"), 60, {"OperatorHubFails": ""}
    ),
    "a hub that answers now and then": Case(
        WORKING | counted("hub_reads", RateLimited="0+5x120", Read="0+1x120"), 60
    ),
    "models that are gated": Case(WORKING | counted("hub_reads", Gated="0+1x120", Read="0x120"), 60),
}  # fmt: skip


def full_name(short: str) -> str:
    """Return an alert's whole name."""
    return f"Mistral{short}" if short.startswith("Operator") else f"MistralDeployment{short}"


def rendered_rules() -> list[Mapping[str, Any]]:
    """Return the rules as the chart renders them."""
    (group,) = RELEASE.find("PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def expected(case: Case, rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what Prometheus is to find of every alert: its labels and its texts where it fires, else nothing."""
    firing = {full_name(short): value for short, value in case.firing.items()}
    assert firing.keys() <= {*NAMES}
    found = []
    for rule in rules:
        name = rule["alert"]
        of_a_model = {} if name.startswith("MistralOperator") else {"namespace": "ns", "name": "m"}
        texts = {"$labels.namespace": "ns", "$labels.name": "m", "$value": firing.get(name, "")}
        annotations = {
            key: re.sub(r"{{ (\S+) }}", lambda found, texts=texts: texts[found[1]], text)  # type: ignore[misc]
            for key, text in rule["annotations"].items()
        }
        alert = {"exp_labels": {**rule["labels"], **of_a_model}, "exp_annotations": annotations}
        found.append(
            {
                "eval_time": f"{case.minutes}m",
                "alertname": name,
                "exp_alerts": [alert] if name in firing else [],
            }
        )
    return found


@pytest.mark.parametrize("name", MODELS)
def test_alerts_on_models(name: str, tmp_path: Path) -> None:
    """One trouble is one alert, after a while; none for what was stopped, deleted or is on its way."""
    case, rules = MODELS[name], rendered_rules()
    evaluate(tmp_path, rules, {**case.series, **leading("1x2000")}, expected(case, rules))


@pytest.mark.parametrize("name", OPERATOR)
def test_alerts_on_the_operator(name: str, tmp_path: Path) -> None:
    """What it cannot mend itself is told, and what it can is not."""
    case, rules = OPERATOR[name], rendered_rules()
    evaluate(tmp_path, rules, case.series, expected(case, rules))


def test_each_alert_fires_somewhere_and_not_everywhere() -> None:
    """Every one has a case for it, and one against it."""
    fired = [{full_name(short) for short in case.firing} for case in (*MODELS.values(), *OPERATOR.values())]
    assert set.union(*fired) == {*NAMES}
    assert set.intersection(*fired) == set()


def test_cases_are_of_metrics_that_there_are() -> None:
    """Names and labels that the operator has."""
    for case in (*MODELS.values(), *OPERATOR.values()):
        for series in case.series:
            check(series, OPERATORS)


def test_alerts_name_metrics_that_there_are(tmp_path: Path) -> None:
    """And every one says what is wrong, what to do, and where more is written."""
    check_rules(tmp_path, rendered_rules())
    page = PAGE.read_text(encoding="utf-8")
    for rule in rendered_rules():
        check(rule["expr"], OPERATORS)
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert f"\n### {rule['alert']}\n" in page


def test_runbooks_can_be_read_elsewhere() -> None:
    """Where a team keeps the page."""
    values = {"metrics": {"prometheusRule": {"enabled": True, "runbookUrl": "https://wiki.local/monitoring"}}}
    (group,) = Release(values=values).find("PrometheusRule")["spec"]["groups"]
    found = {rule["annotations"]["runbook_url"] for rule in group["rules"]}
    assert found == {f"https://wiki.local/monitoring#{name.lower()}" for name in NAMES}


def test_alerts_are_of_their_own_release() -> None:
    """Those of two releases do not mix; labels are added, and an unwanted alert is left out."""
    (group,) = WATCHED.find("PrometheusRule")["spec"]["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [
        name for name in NAMES if name != "MistralDeploymentPlanOutdated"
    ]
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
    assert rule["disabled"]["items"]["enum"] == NAMES
