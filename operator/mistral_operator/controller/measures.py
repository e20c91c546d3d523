"""Every metric of the operator as it is defined: what makes them, and what documents them, both read this table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mistral_operator.api.conditions import ConditionType, Reason
from mistral_operator.hub.errors import HubReason


class MetricType(StrEnum):
    """Prometheus' types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class ReconcileResult(StrEnum):
    """What becomes of a reconcile."""

    DONE = "done"
    CONFLICT = "conflict"  # somebody else was faster: tried again at once
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    FAULT = "fault"  # nobody foresaw it


class AskResult(StrEnum):
    """What becomes of a question to a pod, beside the reasons for which there is no answer."""

    TOLD = "Told"
    NOT_ASKED = "NotAsked"  # it is not for this object to ask
    API_SERVER = "APIServer"
    FAULT = "Fault"


READ: Final = "Read"
"""The result of a hub read that succeeds; those of the others are :class:`HubReason`."""


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a metric."""

    name: str
    values: tuple[str, ...] = ()  # where they are known beforehand


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric, under the name by which Prometheus knows it."""

    name: str
    type: MetricType
    unit: str
    says: str
    labels: tuple[Label, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, in order."""
        return tuple(label.name for label in self.labels)


_OBJECT: Final = (Label("namespace"), Label("name"))
_CANNOT_TELL: Final = (
    Reason.NOT_ASKED_YET, Reason.IMAGE_CANNOT_TELL, Reason.POD_CANNOT_TELL, Reason.POD_UNREACHABLE,
    Reason.KEY_MISSING, Reason.KEY_REFUSED,
)  # fmt: skip

CONDITION: Final = Measure(
    "mistral_operator_condition",
    MetricType.GAUGE,
    "1 True, 0 False, -1 Unknown",
    "Each condition of each MistralDeployment.",
    (*_OBJECT, Label("type", tuple(ConditionType))),
)
BACKEND: Final = Measure(
    "mistral_operator_attention_backend_info",
    MetricType.GAUGE,
    "always 1",
    "The attention backends that each MistralDeployment was planned with, one series for each.",
    (*_OBJECT, Label("backend")),
)
REPLICAS_DESIRED: Final = Measure(
    "mistral_operator_replicas_desired",
    MetricType.GAUGE,
    "pods",
    "The spec.replicas of each MistralDeployment; none where its spec cannot be understood.",
    _OBJECT,
)
REPLICAS_READY: Final = Measure(
    "mistral_operator_replicas_ready",
    MetricType.GAUGE,
    "pods",
    "Pods of each MistralDeployment that answer, of any revision.",
    _OBJECT,
)
RECONCILES: Final = Measure(
    "mistral_operator_reconciles_total",
    MetricType.COUNTER,
    "reconciles",
    "Reconciles by what became of them.",
    (Label("result", tuple(ReconcileResult)),),
)
RECONCILE_SECONDS: Final = Measure(
    "mistral_operator_reconcile_seconds", MetricType.HISTOGRAM, "seconds", "Duration of one reconcile."
)
QUEUE_DEPTH: Final = Measure(
    "mistral_operator_queue_depth",
    MetricType.GAUGE,
    "MistralDeployments",
    "How many wait for a worker; 0 where nobody works.",
)
LEADING: Final = Measure("mistral_operator_leading", MetricType.GAUGE, "1 or 0", "Whether this replica works.")
HUB_READS: Final = Measure(
    "mistral_operator_hub_reads_total",
    MetricType.COUNTER,
    "reads",
    "Reads of models from the hub; every result but Read is an error, and a reason of ModelResolved.",
    (Label("result", (READ, *HubReason)),),
)
HUB_MODELS_BYTES: Final = Measure(
    "mistral_operator_hub_models_bytes",
    MetricType.GAUGE,
    "bytes",
    "Memory for what is known of all models.",
)
ATTENTION_ASKS: Final = Measure(
    "mistral_operator_attention_asks_total",
    MetricType.COUNTER,
    "questions",
    "Questions to pods which attention they run; every result but Told is one without an answer.",
    (Label("result", (*AskResult, *_CANNOT_TELL)),),
)
API_REQUESTS: Final = Measure(
    "mistral_operator_api_requests_total",
    MetricType.COUNTER,
    "requests",
    "Requests to the API server; the code is none where no answer came.",
    (Label("method"), Label("code")),
)
RESIDENT_MEMORY: Final = Measure(
    "process_resident_memory_bytes", MetricType.GAUGE, "bytes", "Memory that the operator's process holds (on Linux)."
)
CPU_SECONDS: Final = Measure(
    "process_cpu_seconds_total", MetricType.COUNTER, "seconds", "CPU time of the operator's process (on Linux)."
)

OF_OBJECTS: Final = (CONDITION, BACKEND, REPLICAS_DESIRED, REPLICAS_READY)
OF_THE_OPERATOR: Final = (
    RECONCILES, RECONCILE_SECONDS, QUEUE_DEPTH, LEADING, HUB_READS, HUB_MODELS_BYTES, ATTENTION_ASKS, API_REQUESTS,
    RESIDENT_MEMORY, CPU_SECONDS,
)  # fmt: skip
MEASURES: Final = (*OF_OBJECTS, *OF_THE_OPERATOR)
