"""What the operator measures about itself, in one registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


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

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
