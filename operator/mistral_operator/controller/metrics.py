"""What the operator measures about itself, in one registry of its own."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mistral_operator.api.conditions import ConditionStatus
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.controller.keys import Key

_VALUES: Final = {ConditionStatus.TRUE: 1, ConditionStatus.FALSE: 0, ConditionStatus.UNKNOWN: -1}
_MOST_UNLIKE: Final = 64


class _Shown(NamedTuple):
    """What is shown of one object."""

    conditions: tuple[tuple[str, int], ...]  # type and value
    backends: frozenset[str]


class _Objects(Collector):
    """The metrics of every object, made when they are asked for: a Gauge for each would be 5 KiB an object."""

    def __init__(self) -> None:
        self._shown: dict[Key, _Shown] = {}
        self._alike: dict[_Shown, _Shown] = {}  # most objects look like another one

    def put(self, key: Key, status: MistralDeploymentStatus) -> None:
        shown = _Shown(
            tuple((str(condition.type), _VALUES[condition.status]) for condition in status.conditions),
            frozenset(status.attention.backends.values()) if status.attention is not None else frozenset(),
        )
        if len(self._alike) > 2 * len(self._shown) + _MOST_UNLIKE:
            self._alike.clear()
        self._shown[key] = self._alike.setdefault(shown, shown)

    def drop(self, key: Key) -> None:
        self._shown.pop(key, None)

    def clear(self) -> None:
        self._shown.clear()
        self._alike.clear()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        conditions = GaugeMetricFamily(
            "mistral_operator_condition",
            "Conditions of each MistralDeployment: 1 True, 0 False, -1 Unknown.",
            labels=["namespace", "name", "type"],
        )
        backends = GaugeMetricFamily(
            "mistral_operator_attention_backend_info",
            "The attention backend each MistralDeployment was planned with; always 1.",
            labels=["namespace", "name", "backend"],
        )
        for key, shown in self._shown.items():
            for kind, value in shown.conditions:
                conditions.add_metric([*key, kind], value)
            for backend in sorted(shown.backends):
                backends.add_metric([*key, backend], 1)
        yield conditions
        yield backends


class Metrics:
    """All metrics; names begin with ``mistral_operator_``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.reconciles = Counter("mistral_operator_reconciles", "Reconciles by result.", ["result"], registry=registry)
        self.reconcile_seconds = Histogram(
            "mistral_operator_reconcile_seconds",
            "Duration of one reconcile.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.queue_depth = Gauge("mistral_operator_queue_depth", "Keys that wait for a worker.", registry=registry)
        self.leading = Gauge("mistral_operator_leading", "Whether this process works.", registry=registry)
        self.api_requests = Counter(
            "mistral_operator_api_requests", "Requests to the API server.", ["method", "code"], registry=registry
        )
        self.hub_reads = Counter(
            "mistral_operator_hub_reads", "Reads of models, by result.", ["result"], registry=registry
        )
        self.attention_asks = Counter(
            "mistral_operator_attention_asks",
            "Questions to pods which attention they run, by result.",
            ["result"],
            registry=registry,
        )
        self._objects = _Objects()
        registry.register(self._objects)

    def count_request(self, method: str, status: int) -> None:
        """Count one request to the API server; a status of 0 means that no answer came."""
        self.api_requests.labels(method=method, code=str(status or "none")).inc()

    def report(self, key: Key, status: MistralDeploymentStatus) -> None:
        """Show one object's conditions and backends."""
        self._objects.put(key, status)

    def forget(self, key: Key) -> None:
        """Show nothing more of an object that is gone."""
        self._objects.drop(key)

    def reset(self) -> None:
        """Show no object at all: whoever leads shows them."""
        self._objects.clear()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
