"""What Prometheus answered to the queries of a dashboard: over time, or at the end."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bench.dashboard.panels import Panel, Target
from bench.dashboard.prometheus import JOB, SCRAPE_SECONDS, Prometheus, Series

_STEPS: Final = 240
_OVER_TIME: Final = ("timeseries", "state-timeline")
# everything is chosen; Grafana's $__rate_interval is at least four scrapes
_VARIABLES: Final = {"job": JOB, "namespace": ".*", "name": ".*", "__rate_interval": f"{15 * SCRAPE_SECONDS}s"}


@dataclass(frozen=True, slots=True)
class Answers:
    """Times are in seconds from the beginning."""

    seconds: float
    found: Mapping[str, Sequence[Series]]

    @property
    def step_seconds(self) -> float:
        """Time between two values of a series."""
        return self.seconds / _STEPS

    def to(self, target: Target) -> Sequence[Series]:
        """Return the answer to one query."""
        return self.found[target.expression]

    @classmethod
    def ask(cls, panels: Sequence[Panel], prometheus: Prometheus, begun: float, seconds: float) -> Self:
        """Ask everything; ``begun`` is in Unix seconds."""
        found: dict[str, list[Series]] = {}
        for panel in panels:
            for target in panel.targets:
                query, end = target.asked(_VARIABLES), begun + seconds
                if panel.type in _OVER_TIME:
                    answer = prometheus.between(query, begun, end, seconds / _STEPS)
                else:
                    answer = prometheus.now(query, end)
                found[target.expression] = [
                    Series(one.labels, [(at - begun, value) for at, value in one.values]) for one in answer
                ]
        return cls(seconds, found)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what :meth:`write` wrote."""
        body = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            body["seconds"],
            {query: [Series(*series) for series in answer] for query, answer in body["found"].items()},
        )

    def write(self, file: Path) -> None:
        """Write them down, to be drawn as often as wanted."""
        file.write_text(json.dumps({"seconds": self.seconds, "found": self.found}), encoding="utf-8")
