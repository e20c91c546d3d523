"""The chart's dashboard: every panel asks for what there is, in words that Prometheus understands."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from bench.dashboard.panels import DASHBOARD, Panel, panels
from chart.known_metrics import EVERYTHING, OPERATORS, check
from chart.promtool import PromtoolError, check_rules
from chart.value_sets import SETS
from mistral_operator.controller.measures import MEASURES

WATCHED: Final = SETS["everything that is watched by others"]
BODY: Final = json.loads(DASHBOARD.read_text(encoding="utf-8"))
PANELS: Final = [panel for panel in panels() if panel.type != "row"]
VARIABLES: Final = {"job": ".*", "namespace": ".*", "name": ".*", "__rate_interval": "1m"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel.title))
def test_a_panel(panel: Panel) -> None:
    """It explains itself, and asks for metrics and labels that there are, of what was chosen above."""
    assert panel.body["description"]
    assert panel.targets
    for target in panel.targets:
        for name in check(target.expression, EVERYTHING):
            chosen = ['job=~"$job"'] if name in OPERATORS else ['namespace=~"$namespace"']
            if "name" in EVERYTHING[name]:
                chosen += ['namespace=~"$namespace"', 'name=~"$name"']
            selectors = re.findall(rf"{name}{{([^}}]*)}}", target.expression)
            assert all(one in selector for selector in selectors for one in chosen), (name, selectors)
        grouped = {
            label.strip() for group in re.findall(r"by \(([^)]*)\)", target.expression) for label in group.split(",")
        }
        assert {*re.findall(r"{{(\w+)}}", target.legend)} <= (grouped or {"instance"})


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    """Its own parser does, and refuses another."""
    rules = [
        {"record": f"panel:{number}:{target.ref}", "expr": target.asked(VARIABLES)}
        for number, panel in enumerate(PANELS)
        for target in panel.targets
    ]
    check_rules(tmp_path, rules)
    with pytest.raises(PromtoolError, match="parse error"):
        check_rules(tmp_path, [{"record": "a", "expr": "sum(mistral_operator_leading{)"}])


def test_variables() -> None:
    """Those that queries use are those that can be chosen, from metrics that there are."""
    chosen = {one["name"]: one for one in BODY["templating"]["list"]}
    used = {name for panel in PANELS for target in panel.targets for name in re.findall(r"\$(\w+)", target.expression)}
    assert "allValue" not in chosen["job"], "process_* of every other job would be chosen too"
    assert used - {"__rate_interval"} == chosen.keys() - {"datasource"}
    for name in used - {"__rate_interval"}:
        metric, label = re.fullmatch(r"label_values\((\w+).*, (\w+)\)", chosen[name]["query"]["query"]).groups()  # type: ignore[union-attr]
        assert label in OPERATORS[metric]


def test_tables_name_the_fields_that_they_get() -> None:
    """Columns are labels of the query, or its value."""
    for panel in PANELS:
        if panel.type != "table":
            continue
        organize = panel.transformation("organize")
        targets = panel.targets
        values = {"Value"} if len(targets) == 1 else {f"Value #{target.ref}" for target in targets}
        labels = {
            label.strip()
            for group in re.findall(r"by \(([^)]*)\)", targets[0].expression)
            for label in group.split(",")
        }
        named = organize["renameByName"].keys() | organize["excludeByName"].keys()
        assert named == labels | values | {"Time"}, panel.title
        assert organize["indexByName"].keys() <= named


def test_the_dashboard_covers_every_metric() -> None:
    """What is measured is shown."""
    asked = {name for panel in PANELS for target in panel.targets for name in check(target.expression, EVERYTHING)}
    assert [one.name for one in MEASURES if not asked & {one.name, f"{one.name}_bucket"}] == []


def test_panels_do_not_overlap() -> None:
    """Grafana would push them apart; each has a number of its own."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        left, top, width, height = panel.place
        cells = {(x, y) for x in range(left, left + width) for y in range(top, top + height)}
        assert not cells & taken, panel.title
        assert left + width <= 24
        taken |= cells
    rows = {y for _, y in taken}
    assert taken == {(x, y) for x in range(24) for y in rows}, "there are holes"
    assert len({panel["id"] for panel in BODY["panels"]}) == len(BODY["panels"])


def test_the_dashboard_arrives_whole() -> None:
    """Grafana's sidecar gets it as it is in the chart."""
    found = WATCHED.find("ConfigMap")
    assert json.loads(found["data"]["mistral-operator.json"]) == BODY
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
