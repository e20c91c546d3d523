"""Metrics of objects: there while the object is, and for its present backends alone."""

import pytest

from mistral_operator.api.conditions import ConditionStatus
from mistral_operator.api.status import AttentionStatus, Condition, Layers, MistralDeploymentStatus
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics

A, B = Key("ns", "a"), Key("ns", "b")
OF_A = {"namespace": "ns", "name": "a"}


def status(ready: ConditionStatus = ConditionStatus.TRUE, **backends: str) -> MistralDeploymentStatus:
    """Return a status."""
    condition = Condition(
        type="Ready", status=ready, reason="R", message="m", observed_generation=1, last_transition_time="t"
    )
    attention = AttentionStatus(
        layers=Layers(sliding=1, full=0), backend="b", backends=backends, reason="R", message="m", xformers="Available"
    )
    return MistralDeploymentStatus(conditions=[condition], attention=attention if backends else None)


def shown(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's samples by their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize(
    ("value", "number"), [(ConditionStatus.TRUE, 1), (ConditionStatus.FALSE, 0), (ConditionStatus.UNKNOWN, -1)]
)
def test_conditions(value: ConditionStatus, number: int) -> None:
    """One number for each of the three values."""
    metrics = Metrics()
    metrics.report(A, status(value))
    assert shown(metrics, "mistral_operator_condition") == {("ns", "a", "Ready"): number}


def test_backends() -> None:
    """One sample for each backend in use; those of an older plan go."""
    metrics = Metrics()
    metrics.report(A, status(sliding_attention="XFORMERS", full_attention="FLASH_ATTN"))
    metrics.report(B, status(full_attention="FLASH_ATTN"))
    metrics.report(A, status(full_attention="TRITON_ATTN"))
    assert shown(metrics, "mistral_operator_attention_backend_info") == {
        ("ns", "a", "TRITON_ATTN"): 1,
        ("ns", "b", "FLASH_ATTN"): 1,
    }


def test_an_object_that_is_gone() -> None:
    """Nothing is left of it, and nothing of another is lost; one that was never seen is no error."""
    metrics = Metrics()
    for key in (A, B):
        metrics.report(key, status(full_attention="FLASH_ATTN"))
    metrics.forget(A)
    metrics.forget(Key("ns", "never"))
    assert set(shown(metrics, "mistral_operator_condition")) == {("ns", "b", "Ready")}
    assert set(shown(metrics, "mistral_operator_attention_backend_info")) == {("ns", "b", "FLASH_ATTN")}


def test_who_does_not_lead_shows_nothing() -> None:
    """Two operators would else show an object twice, one of them as it was an hour ago."""
    metrics = Metrics()
    metrics.report(A, status(full_attention="FLASH_ATTN"))
    metrics.reset()
    assert shown(metrics, "mistral_operator_condition") == {}
    assert shown(metrics, "mistral_operator_attention_backend_info") == {}
    metrics.report(A, status(full_attention="FLASH_ATTN"))
    assert shown(metrics, "mistral_operator_condition") == {("ns", "a", "Ready"): 1}


def test_requests() -> None:
    """By method and code; an answer that never came has a code of its own."""
    metrics = Metrics()
    for code in (200, 200, 0):
        metrics.count_request("GET", code)
    assert shown(metrics, "mistral_operator_api_requests_total") == {("GET", "200"): 2, ("GET", "none"): 1}


def test_two_operators_in_one_process() -> None:
    """Each has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.count_request("GET", 200)
    assert b'code="200"' in one.text()
    assert b'code="200"' not in other.text()
