"""What the operator measures about itself, in one registry of its own."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mistral_operator.api.conditions import ConditionStatus
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.controller.keys import Key

_VALUES: Final = {ConditionStatus.TRUE: 1, ConditionStatus.FALSE: 0, ConditionStatus.UNKNOWN: -1}


class Metrics:
    """All metrics; names begin with ``mistral_operator_``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._backends_of: dict[Key, frozenset[str]] = {}
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
        self.conditions = Gauge(
            "mistral_operator_condition",
            "Conditions of each MistralDeployment: 1 True, 0 False, -1 Unknown.",
            ["namespace", "name", "type"],
            registry=registry,
        )
        self.backends = Gauge(
            "mistral_operator_attention_backend_info",
            "The attention backend each MistralDeployment was planned with; always 1.",
            ["namespace", "name", "backend"],
            registry=registry,
        )

    def count_request(self, method: str, status: int) -> None:
        """Count one request to the API server; a status of 0 means that no answer came."""
        self.api_requests.labels(method=method, code=str(status or "none")).inc()

    def report(self, key: Key, status: MistralDeploymentStatus) -> None:
        """Show one object's conditions and backends."""
        for condition in status.conditions:
            value = _VALUES[condition.status]
            self.conditions.labels(namespace=key.namespace, name=key.name, type=condition.type).set(value)
        used = frozenset(status.attention.backends.values()) if status.attention is not None else frozenset()
        for backend in self._backends_of.get(key, frozenset()) - used:
            self.backends.remove(key.namespace, key.name, backend)
        for backend in used:
            self.backends.labels(namespace=key.namespace, name=key.name, backend=backend).set(1)
        self._backends_of[key] = used

    def forget(self, key: Key) -> None:
        """Show nothing more of an object that is gone."""
        for backend in self._backends_of.pop(key, frozenset()):
            self.backends.remove(key.namespace, key.name, backend)
        self.conditions.remove_by_labels({"namespace": key.namespace, "name": key.name})

    def reset(self) -> None:
        """Show no object at all: whoever leads shows them."""
        self._backends_of.clear()
        self.backends.clear()
        self.conditions.clear()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
