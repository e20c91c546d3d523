"""docs/monitoring.md: its tables are made of the definitions, and it leaves nothing out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pytest
import yaml
from prometheus_client import CollectorRegistry

from bench.dashboard.panels import panels
from chart.helm import CHART, ROOT
from chart.known_metrics import EVERYTHING, OF_PODS, check
from mistral_operator.controller.measures import MEASURES, OF_OBJECTS, Label
from mistral_vllm.telling.endpoint import GAUGE, AttentionInfo

PAGE: Final = ROOT / "docs" / "monitoring.md"
ALERTS: Final = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
NUMBERS: Final = {9: "nine", 10: "ten", 11: "eleven"}
_MOST_VALUES: Final = 8  # more are no help in a cell
_UNITS: Final = {
    "_info": "always 1", "_seconds": "seconds", "_tokens_total": "tokens", "_perc": "1 is full",
    "_running": "requests", "_waiting": "requests",
}  # fmt: skip


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def asked_of_pods() -> list[str]:
    """Return the metrics of pods that the dashboard asks for."""
    asked: set[str] = set()
    for panel in panels():
        for target in panel.targets:
            asked |= check(target.expression, EVERYTHING)
    return [name for name in OF_PODS if asked & {name, f"{name}_bucket"}]


def metrics() -> Iterator[Sequence[str]]:
    """Return a row for each metric: the operator's, then those of pods."""
    for one in MEASURES:
        yield f"`{one.name}`", one.type, one.unit, ", ".join(map(label, one.labels)), one.says
    for name in asked_of_pods():
        found = OF_PODS[name]
        unit = next(unit for end, unit in _UNITS.items() if name.endswith(end))
        yield f"`{name}`", found["type"], unit, ", ".join(f"`{one}`" for one in found["labels"]), found["help"]


def label(one: Label) -> str:
    """Return a label, with its values where they are few."""
    values = ", ".join(one.values) if len(one.values) <= _MOST_VALUES else ""
    return f"`{one.name}`" + (f" ({values})" if values else "")


def alerts() -> Iterator[Sequence[str]]:
    """Return a row for each alert."""
    for alert in ALERTS:
        summary = re.sub(
            r"{{ \$labels.namespace }}/{{ \$labels.name }}", "a MistralDeployment", alert["annotations"]["summary"]
        )
        name = alert["alert"]
        yield f"[{name}](#{name.lower()})", alert["labels"]["severity"], alert.get("for", "at once"), summary


TABLES: Final[dict[str, Any]] = {
    "metrics": lambda: table(["metric", "type", "unit", "labels", "what it says"], metrics()),
    "alerts": lambda: table(["alert", "severity", "after", "summary"], alerts()),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_the_page(name: str, request: pytest.FixtureRequest) -> None:
    """They are what the definitions say; ``--update-golden`` writes them."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, rest = page.split(begin)
    made = f"{before}{begin}\n{TABLES[name]()}\n{end}{rest.split(end)[1]}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(made, encoding="utf-8")
    else:
        assert page == made


def test_each_alert_has_a_section() -> None:
    """And each section is an alert's, in the same order."""
    assert re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == [
        one["alert"] for one in ALERTS
    ]


def test_the_pods_own_gauge() -> None:
    """It has in the package the labels that were seen of it in vLLM, and is documented."""
    registry = CollectorRegistry()
    info = AttentionInfo(registry)
    info.show({"backends": {}, "slidingWindow": None, "xformers": "Available"})
    (family,) = registry.collect()
    assert family.name == GAUGE
    assert sorted(family.samples[0].labels) == OF_PODS[GAUGE]["labels"]
    assert family.documentation == OF_PODS[GAUGE]["help"]
    assert GAUGE in asked_of_pods()


def test_how_many_series_it_says() -> None:
    """An object's: one for each condition, and for each of its two numbers of replicas."""
    alone = [one for one in OF_OBJECTS if "backend" not in one.label_names]
    series = sum(len(one.labels[-1].values) or 1 for one in alone)
    assert f"A MistralDeployment is {NUMBERS[series]} series" in PAGE.read_text(encoding="utf-8")


def test_links_and_values() -> None:
    """Pages, pictures, sections and the chart's values that it names are there."""
    page = PAGE.read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page):
        target = PAGE.parent / link if link else PAGE
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for path in re.findall(r"(?:`|--set )((?:metrics|hub|proxy|caBundle)\.[\w.]+)", page):
        found = values
        for part in path.split("."):
            assert part in found, path
            found = found[part]
