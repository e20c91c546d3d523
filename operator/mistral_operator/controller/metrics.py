"""What the operator measures about itself, in one registry of its own."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.controller import measures
from mistral_operator.controller.keys import Key
from mistral_operator.controller.measures import Measure
from mistral_operator.controller.object_metrics import ObjectMetrics

_RECONCILE_BUCKETS_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """All metrics, as :mod:`mistral_operator.controller.measures` defines them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = self._counter(measures.RECONCILES)
        self.reconcile_seconds = Histogram(
            measures.RECONCILE_SECONDS.name,
            measures.RECONCILE_SECONDS.says,
            buckets=_RECONCILE_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.queue_depth = self._gauge(measures.QUEUE_DEPTH)
        self.leading = self._gauge(measures.LEADING)
        self.api_requests = self._counter(measures.API_REQUESTS)
        self.hub_reads = self._counter(measures.HUB_READS)
        self.hub_models_bytes = self._gauge(measures.HUB_MODELS_BYTES)
        self.attention_asks = self._counter(measures.ATTENTION_ASKS)
        self._objects = ObjectMetrics()
        self.registry.register(self._objects)
        ProcessCollector(registry=self.registry)

    def count_request(self, method: str, status: int) -> None:
        """Count one request to the API server; a status of 0 means that no answer came."""
        self.api_requests.labels(method=method, code=str(status or "none")).inc()

    def report(self, key: Key, status: MistralDeploymentStatus, *, desired: int | None) -> None:
        """Show one object: its status, and how many replicas its spec wants where that is known."""
        self._objects.put(key, status, desired=desired)

    def forget(self, key: Key) -> None:
        """Show nothing more of an object that is gone."""
        self._objects.drop(key)

    def reset(self) -> None:
        """Show no object at all: whoever leads shows them."""
        self._objects.clear()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, measure: Measure) -> Gauge:
        return Gauge(measure.name, measure.says, measure.label_names, registry=self.registry)

    def _counter(self, measure: Measure) -> Counter:
        counter = Counter(measure.name, measure.says, measure.label_names, registry=self.registry)
        if len(measure.labels) == 1:
            for value in measure.labels[0].values:
                counter.labels(value)  # 0 from the start: Prometheus sees no increase where a series begins with 1
        return counter
