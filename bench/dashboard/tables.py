"""A table panel: the rows that Grafana's transformations merge and organize make of the answers."""

from collections.abc import Mapping, Sequence

from bench.dashboard.panels import Panel
from bench.dashboard.prometheus import Series
from bench.dashboard.units import shown


def rows_of(panel: Panel, answers: Sequence[Sequence[Series]]) -> tuple[list[str], list[list[str]]]:
    """Return the headings, and each row as it is shown."""
    organize = panel.transformation("organize")
    names: Mapping[str, str] = organize["renameByName"]
    columns = sorted(names, key=organize["indexByName"].__getitem__)
    merged: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for target, answer in zip(panel.targets, answers, strict=True):
        field = "Value" if len(answers) == 1 else f"Value #{target.ref}"
        for series in answer:
            row = merged.setdefault(tuple(sorted(series.labels.items())), dict(series.labels))
            row[field] = shown(series.values[0][1], "short")
    headings = [names[column] for column in columns]
    rows = [[row.get(column, "") for column in columns] for row in merged.values()]
    by = [headings.index(sort["displayName"]) for sort in panel.body["options"]["sortBy"]] or [0]
    return headings, sorted(rows, key=lambda row: [row[column] for column in by])
