"""Metrics of objects: there while the object is, and for its present backends alone."""

import sys
import tracemalloc
from collections.abc import Iterator
from typing import Final

import pytest
from prometheus_client import Metric
from prometheus_client.samples import Sample

from mistral_operator.api.conditions import ConditionStatus, ConditionType
from mistral_operator.api.status import AttentionStatus, Condition, Layers, MistralDeploymentStatus
from mistral_operator.controller import measures
from mistral_operator.controller.keys import Key
from mistral_operator.controller.measures import MEASURES, OF_OBJECTS, Measure, MetricType
from mistral_operator.controller.metrics import Metrics

A, B = Key("ns", "a"), Key("ns", "b")
OBJECTS: Final = 1_000
ON_LINUX: Final = pytest.mark.skipif(sys.platform != "linux", reason="the process's own are read from /proc")


def status(ready: ConditionStatus = ConditionStatus.TRUE, **backends: str) -> MistralDeploymentStatus:
    """Return a status."""
    return MistralDeploymentStatus(
        conditions=[condition(ConditionType.READY, ready)],
        attention=attention(backends) if backends else None,
        ready_replicas=1,
    )


def whole_status(ready_replicas: int = 1) -> MistralDeploymentStatus:
    """Return a status with every condition and two backends."""
    return MistralDeploymentStatus(
        conditions=[condition(kind, ConditionStatus.TRUE) for kind in ConditionType],
        attention=attention({"sliding_attention": "XFORMERS", "full_attention": "FLASH_ATTN"}),
        ready_replicas=ready_replicas,
    )


def condition(kind: ConditionType, value: ConditionStatus) -> Condition:
    """Return one condition."""
    return Condition(type=kind, status=value, reason="R", message="m", observed_generation=1, last_transition_time="t")


def attention(backends: dict[str, str]) -> AttentionStatus:
    """Return what was decided."""
    return AttentionStatus(
        layers=Layers(sliding=1, full=0), backend="b", backends=backends, reason="R", message="m", xformers="Available"
    )


def families(metrics: Metrics) -> Iterator[Metric]:
    """Return every metric without the process's own that is not documented."""
    known = {name for one in MEASURES for name in (one.name, one.name.removesuffix("_total"))}
    yield from (one for one in metrics.registry.collect() if one.name in known or not one.name.startswith("process_"))


def samples(metrics: Metrics, measure: Measure) -> list[Sample]:
    """Return the samples of one metric, without the times that counters and histograms were made at."""
    return [
        sample
        for family in families(metrics)
        for sample in family.samples
        if sample.name in {measure.name, f"{measure.name}_bucket", f"{measure.name}_sum", f"{measure.name}_count"}
    ]


def shown(metrics: Metrics, measure: Measure) -> dict[tuple[str, ...], float]:
    """Return a metric's samples by their labels."""
    return {tuple(sample.labels.values()): sample.value for sample in samples(metrics, measure)}


@pytest.mark.parametrize(
    ("value", "number"), [(ConditionStatus.TRUE, 1), (ConditionStatus.FALSE, 0), (ConditionStatus.UNKNOWN, -1)]
)
def test_conditions(value: ConditionStatus, number: int) -> None:
    """One number for each of the three values."""
    metrics = Metrics()
    metrics.report(A, status(value), desired=1)
    assert shown(metrics, measures.CONDITION) == {("ns", "a", "Ready"): number}


def test_backends() -> None:
    """One sample for each backend in use; those of an older plan go."""
    metrics = Metrics()
    metrics.report(A, status(sliding_attention="XFORMERS", full_attention="FLASH_ATTN"), desired=1)
    metrics.report(B, status(full_attention="FLASH_ATTN"), desired=1)
    metrics.report(A, status(full_attention="TRITON_ATTN"), desired=1)
    assert shown(metrics, measures.BACKEND) == {("ns", "a", "TRITON_ATTN"): 1, ("ns", "b", "FLASH_ATTN"): 1}


def test_replicas() -> None:
    """As many as the spec wants, 0 too, and as many as answer; a spec that nobody understands wants no number."""
    metrics = Metrics()
    metrics.report(A, whole_status(2), desired=3)
    metrics.report(B, whole_status(0), desired=0)
    assert shown(metrics, measures.REPLICAS_DESIRED) == {A: 3, B: 0}
    assert shown(metrics, measures.REPLICAS_READY) == {A: 2, B: 0}
    metrics.report(A, whole_status(2), desired=None)
    assert shown(metrics, measures.REPLICAS_DESIRED) == {B: 0}
    assert shown(metrics, measures.REPLICAS_READY) == {A: 2, B: 0}


def test_an_object_that_is_gone() -> None:
    """Nothing is left of it, and nothing of another is lost; one that was never seen is no error."""
    metrics = Metrics()
    for key in (A, B):
        metrics.report(key, whole_status(), desired=1)
    metrics.forget(A)
    metrics.forget(Key("ns", "never"))
    for measure in OF_OBJECTS:
        assert {labels[:2] for labels in shown(metrics, measure)} == {B}, measure.name
    assert b'"a"' not in metrics.text()


def test_who_does_not_lead_shows_nothing() -> None:
    """Two operators would else show an object twice, one of them as it was an hour ago."""
    metrics = Metrics()
    metrics.report(A, whole_status(), desired=1)
    metrics.reset()
    assert [measure.name for measure in OF_OBJECTS if shown(metrics, measure)] == []
    metrics.report(A, status(), desired=1)
    assert shown(metrics, measures.CONDITION) == {("ns", "a", "Ready"): 1}


def test_requests() -> None:
    """By method and code; an answer that never came has a code of its own."""
    metrics = Metrics()
    for code in (200, 200, 0):
        metrics.count_request("GET", code)
    assert shown(metrics, measures.API_REQUESTS) == {("GET", "200"): 2, ("GET", "none"): 1}


def test_counters_begin_with_zero() -> None:
    """Or the first fault of all would be no increase, and no alert."""
    metrics = Metrics()
    for measure in (measures.RECONCILES, measures.HUB_READS, measures.ATTENTION_ASKS):
        assert shown(metrics, measure) == {(value,): 0 for value in measure.labels[0].values}


def test_how_many_series() -> None:
    """Twelve for an object with every condition and two backends, and none of the operator's grows with objects."""
    metrics = Metrics()
    before = sum(len(family.samples) for family in families(metrics))
    for number in range(OBJECTS):
        metrics.report(Key("ns", f"m{number}"), whole_status(), desired=1)
    assert sum(len(family.samples) for family in families(metrics)) - before == 12 * OBJECTS
    assert before < 100


def test_what_they_take() -> None:
    """Less than half a KiB an object, where every tenth looks like no other, and less than 16 MiB during a scrape."""
    metrics = Metrics()
    keys = [Key("ns", f"m{number}") for number in range(OBJECTS)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number, key in enumerate(keys):
            metrics.report(key, whole_status(number if number % 10 == 0 else 1), desired=1)
        metrics.text()
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / OBJECTS < 512
    assert most - before < 16 * 2**20


@ON_LINUX
def test_they_are_as_they_are_defined() -> None:
    """Each under its name, of its type, with its labels, and there is none beside them."""
    metrics = Metrics()
    metrics.report(A, whole_status(), desired=1)
    metrics.count_request("GET", 200)
    found = {f"{one.name}_total" if one.type == "counter" else one.name: one for one in families(metrics)}
    assert found.keys() == {measure.name for measure in MEASURES}
    for measure in MEASURES:
        family = found[measure.name]
        assert (family.type, bool(family.samples)) == (measure.type, True), measure.name
        labels = {*measure.label_names} | ({"le"} if measure.type is MetricType.HISTOGRAM else set())
        assert {name for sample in samples(metrics, measure) for name in sample.labels} == labels, measure.name


def test_two_operators_in_one_process() -> None:
    """Each has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.count_request("GET", 200)
    assert b'code="200"' in one.text()
    assert b'code="200"' not in other.text()
