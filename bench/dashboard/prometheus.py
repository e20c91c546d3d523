"""A real Prometheus on this machine, and what it is asked."""

import json
import math
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from devcluster.binaries import BINARIES, ensure
from devcluster.binaries.progress import Progress
from devcluster.cluster import Cluster
from devcluster.controlplane.ports import free_ports
from devcluster.waiting import wait_until

SCRAPE_SECONDS: Final = 2
JOB: Final = "mistral-operator-metrics"
"""What the chart's Service makes the operators' job."""
_READY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Scraped:
    """One target: where it is, and the labels that a ServiceMonitor or a PodMonitor would give it."""

    address: str
    labels: Mapping[str, str]


class Series(NamedTuple):
    """One answer: its labels, and its values by time in Unix seconds."""

    labels: Mapping[str, str]
    values: Sequence[tuple[float, float]]


class Prometheus:
    """Scrapes until the cluster ends that it was started beside."""

    def __init__(self, cluster: Cluster, targets: Sequence[Scraped]) -> None:
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}/api/v1"
        config = cluster.folder / "prometheus.json"  # YAML knows JSON
        static = [{"targets": [one.address], "labels": dict(one.labels)} for one in targets]
        scrape = {"job_name": "all", "honor_labels": True, "static_configs": static}
        interval = f"{SCRAPE_SECONDS}s"
        config.write_text(
            json.dumps(
                {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": [scrape]}
            )
        )
        binary = ensure([BINARIES["prometheus"]], progress=Progress())["prometheus"]
        flags = (f"--config.file={config}", f"--storage.tsdb.path={cluster.folder / 'tsdb'}",
                 f"--web.listen-address=127.0.0.1:{port}")  # fmt: skip
        self._process = cluster.run("prometheus", (str(binary), *flags))

    def wait_ready(self) -> None:
        """Wait until it answers."""
        wait_until("Prometheus to answer", self._answers, seconds=_READY_SECONDS)

    def now(self, query: str, time: float) -> list[Series]:
        """Evaluate a query at one time."""
        found = self._get("query", query=query, time=time)
        return [Series(one["metric"], _numbers([one["value"]])) for one in found]

    def between(self, query: str, start: float, end: float, step_seconds: float) -> list[Series]:
        """Evaluate a query at every step from one time to another."""
        found = self._get("query_range", query=query, start=start, end=end, step=step_seconds)
        return [Series(one["metric"], _numbers(one["values"])) for one in found]

    def _answers(self) -> bool:
        self._process.check()
        try:
            return bool(self._get("query", query="vector(1)"))
        except OSError:
            return False

    def _get(self, path: str, **parameters: Any) -> Any:
        asked = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}/{path}?{asked}", timeout=30) as answer:  # noqa: S310 - always http
            return json.load(answer)["data"]["result"]


def _numbers(values: Sequence[Any]) -> list[tuple[float, float]]:
    return [(float(at), float(value)) for at, value in values if not math.isnan(float(value))]
