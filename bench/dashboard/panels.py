"""Grafana's JSON of a dashboard, as far as it says what is asked for and how that is shown."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DASHBOARD: Final = Path(__file__).parents[2] / "charts" / "mistral-operator" / "files" / "dashboard.json"
DIGEST: Final = "dashboard.json"
"""What the picture says before the digest of the dashboard that it shows."""
_VARIABLE: Final = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel."""

    ref: str
    expression: str
    legend: str

    def asked(self, variables: Mapping[str, str]) -> str:
        """Return the query with the dashboard's variables as they are chosen."""
        return _VARIABLE.sub(lambda found: variables[found[1]], self.expression)

    def label(self, labels: Mapping[str, str]) -> str:
        """Return how a series is called in the legend."""
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), self.legend)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel, or the heading of a row."""

    body: Mapping[str, Any]

    @property
    def type(self) -> str:
        """Grafana's name of what draws it."""
        return str(self.body["type"])

    @property
    def title(self) -> str:
        """What stands above it."""
        return str(self.body["title"])

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Left, top, width and height, of 24 columns."""
        at = self.body["gridPos"]
        return at["x"], at["y"], at["w"], at["h"]

    @property
    def defaults(self) -> Mapping[str, Any]:
        """How its values are shown."""
        found: Mapping[str, Any] = self.body["fieldConfig"]["defaults"]
        return found

    @property
    def targets(self) -> list[Target]:
        """Its queries; a row has none."""
        return [
            Target(target["refId"], target["expr"], target.get("legendFormat", ""))
            for target in self.body.get("targets", ())
        ]

    def transformation(self, name: str) -> Mapping[str, Any]:
        """Return the options of one of its transformations."""
        return next((one["options"] for one in self.body.get("transformations", ()) if one["id"] == name), {})


def panels(path: Path = DASHBOARD) -> Iterator[Panel]:
    """Read a dashboard's panels, from top to bottom."""
    for body in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        yield Panel(body)


def digest(path: Path = DASHBOARD) -> str:
    """Return a dashboard in one word: another one needs another picture."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
