"""Which plan pods are rendered from when specs, hubs and clusters change, and what is said about it."""

from dataclasses import replace
from typing import Any

import pytest

from mistral_operator.api.conditions import ConditionStatus, Reason
from mistral_operator.api.spec import MistralDeploymentSpec, RuntimeSpec
from mistral_operator.api.status import Resolved
from mistral_operator.planning.inventory import UNREADABLE
from mistral_operator.planning.verdict import Circumstances, ModelAnswer, Verdict, decide_plan
from mistral_vllm.runtimes import RuntimeName
from unit.planning_on_clusters import COMMIT, DEFAULTS, H200, L4, NEXT_COMMIT, T4, circumstances, facts, gpus, spec

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
NOW = circumstances(H200)
AWAY = ModelAnswer(None, "HubUnreachable", "the hub does not answer", transient=True)
GATED = ModelAnswer(None, "Gated", "the model is gated")


def decided(
    wanted: MistralDeploymentSpec,
    frozen: Resolved | None = None,
    around: Circumstances = NOW,
    *,
    generation: int = 1,
    replan: str | None = None,
) -> Verdict:
    """Decide."""
    return decide_plan(wanted, frozen, around, generation=generation, replan=replan)


def running(wanted: MistralDeploymentSpec | None = None, around: Circumstances = NOW) -> Resolved:
    """Return a plan of which a pod has a node."""
    resolved = decided(wanted or spec(), around=around).resolved
    assert resolved is not None
    return resolved.model_copy(update={"scheduled": True})


def with_hub(answer: ModelAnswer) -> Circumstances:
    """Return the same cluster with another answer of the hub."""
    return replace(NOW, answer=answer)


def test_the_first_plan() -> None:
    """Everything pods need stands in it: commit, image, backend, GPUs, arguments."""
    verdict = decided(spec(), generation=3)
    assert verdict.resolved is not None
    assert verdict.renderable
    assert (verdict.resolved.generation, verdict.resolved.commit) == (3, COMMIT)
    assert verdict.resolved.image == "mistral-vllm:0.26.0"
    assert verdict.resolved.backends == {"sliding_attention": "XFORMERS"}
    assert [gpu.product for gpu in verdict.resolved.gpu_classes] == ["NVIDIA-H200"]
    assert [verdict.model.status, verdict.hardware.status, verdict.plan.status] == [TRUE, TRUE, TRUE]


NEW_FACTS = [
    pytest.param(
        circumstances(H200, read=facts(NEXT_COMMIT)), f"commit {COMMIT[:12]} would become", id="a moved branch"
    ),
    pytest.param(
        circumstances(H200, defaults=replace(DEFAULTS, image_tag="0.26.0-2")),
        "image mistral-vllm:0.26.0 would become",
        id="a new default image",
    ),
    pytest.param(
        circumstances(H200, gpus("NVIDIA-B200", "10.0", 180)), "GPUs NVIDIA-H200 would become", id="a new node kind"
    ),
    pytest.param(
        circumstances(gpus("NVIDIA-H200", "9.0", 140.5)),
        "GPUs NVIDIA-H200 (143,769 MiB, compute capability 9.0) would become NVIDIA-H200 (143,872 MiB, compute",
        id="another driver, which reports another memory",
    ),
    pytest.param(
        circumstances(H200, read=facts(sliding_window=None)), "attention sliding_attention: XFORMERS", id="a new config"
    ),
]


@pytest.mark.parametrize(("around", "told"), NEW_FACTS)
def test_new_facts_move_nothing_that_runs(around: Circumstances, told: str) -> None:
    """Facts change by themselves; running pods do not, and what would change is told with how to take it."""
    frozen = running()
    verdict = decided(spec(), frozen, around)
    assert verdict.resolved == frozen
    assert verdict.renderable
    assert (verdict.plan.status, verdict.plan.reason) == (FALSE, Reason.PLAN_OUTDATED)
    assert told in verdict.plan.message
    assert "mistral-operator.io/replan" in verdict.plan.message


@pytest.mark.parametrize(("around", "told"), NEW_FACTS)
def test_what_no_pod_runs_yet_follows_the_facts(around: Circumstances, told: str) -> None:
    """Until a pod has a node, nothing is disturbed by a better plan."""
    frozen = running().model_copy(update={"scheduled": False})
    verdict = decided(spec(), frozen, around)
    assert verdict.resolved != frozen
    assert verdict.plan.status is TRUE
    assert told


def test_replan_takes_todays_facts() -> None:
    """A new value of the annotation makes a new plan, once."""
    around = circumstances(H200, read=facts(NEXT_COMMIT))
    taken = decided(spec(), running(), around, replan="1").resolved
    assert taken is not None
    assert (taken.commit, taken.replan) == (NEXT_COMMIT, "1")
    again = decided(spec(), taken.model_copy(update={"scheduled": True}), NOW, replan="1").resolved
    assert again is not None
    assert again.commit == NEXT_COMMIT


@pytest.mark.parametrize(
    "fields",
    [
        {"replicas": 4},
        {"service": {"port": 80}},
        {"podLabels": {"team": "a"}},
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
        {"model": {"id": "mistralai/Mistral-7B-v0.1", "servedName": "mistral"}},
    ],
)
def test_what_is_no_input_keeps_the_plan(fields: dict[str, Any]) -> None:
    """Scaling must not move a branch's commit: only what a plan depends on makes a new one."""
    frozen = running()
    verdict = decided(spec(**fields), frozen, circumstances(H200, read=facts(NEXT_COMMIT)), generation=2)
    assert verdict.resolved == frozen.model_copy(update={"generation": 2})


@pytest.mark.parametrize(
    "fields",
    [
        {"model": {"id": "mistralai/Mistral-7B-v0.1", "revision": "v2"}},
        {"engine": {"maxModelLen": 4096}},
        {"extraArgs": ["--seed", "1"]},
        {"env": [{"name": "A", "value": "b"}]},
        {"image": {"tag": "x", "runtime": {"name": "mistral-vllm", "version": "0.26.0"}}},
        {"gpu": {"minMemory": "80Gi"}},
        {"parallelism": {"tensor": 2}},
    ],
)
def test_another_input_is_another_plan(fields: dict[str, Any]) -> None:
    """A change of what a plan depends on is planned with today's facts."""
    verdict = decided(spec(**fields), running(), circumstances(H200, read=facts(NEXT_COMMIT)), generation=2)
    assert verdict.resolved is not None
    assert (verdict.resolved.commit, verdict.resolved.generation) == (NEXT_COMMIT, 2)
    assert verdict.adopted is not None


def test_hub_away_after_the_first_success() -> None:
    """What runs goes on, scales and rolls; only that the model was not checked is told."""
    frozen = running()
    verdict = decided(spec(replicas=3), frozen, with_hub(AWAY), generation=2)
    assert verdict.resolved == frozen.model_copy(update={"generation": 2})
    assert verdict.renderable
    assert (verdict.model.status, verdict.model.reason) == (TRUE, Reason.MODEL_NOT_CHECKED)
    assert (verdict.plan.status, verdict.plan.reason) == (UNKNOWN, Reason.MODEL_NOT_CHECKED)


@pytest.mark.parametrize(("answer", "passing"), [(AWAY, True), (GATED, False)])
def test_model_never_read(answer: ModelAnswer, passing: bool) -> None:
    """Without facts there is no plan and nothing is rendered."""
    verdict = decided(spec(), None, with_hub(answer))
    assert (verdict.resolved, verdict.renderable) == (None, False)
    assert verdict.model[:2] == (FALSE, answer.reason)
    assert verdict.model.passing is passing
    assert verdict.backend is not None
    assert verdict.backend.reason == Reason.NOT_PLANNED


def test_access_lost_while_running() -> None:
    """A gate that closed stops no pod, and is told: the next pod could not load the model."""
    verdict = decided(spec(), running(), with_hub(GATED))
    assert verdict.renderable
    assert verdict.model[:2] == (FALSE, "Gated")


def test_new_wishes_while_the_hub_is_away() -> None:
    """Nothing is rendered from a plan that does not answer the spec; whatever runs is left alone."""
    frozen = running()
    verdict = decided(spec(engine={"maxModelLen": 4096}), frozen, with_hub(AWAY), generation=2)
    assert verdict.resolved == frozen
    assert not verdict.renderable
    assert (verdict.plan.status, verdict.plan.reason) == (FALSE, Reason.PLAN_PENDING)
    assert verdict.plan.message.startswith("the spec asks for another plan")


def test_facts_that_allow_no_plan_before_a_pod_was_scheduled() -> None:
    """Its pods wait, fewer of them or none where the spec says so, and the spec is not blamed."""
    frozen = running().model_copy(update={"scheduled": False})
    verdict = decided(spec(replicas=0), frozen, circumstances(T4))
    assert (verdict.resolved, verdict.renderable) == (frozen, True)
    assert verdict.plan[:2] == (FALSE, Reason.PLAN_PENDING)
    assert verdict.plan.message.startswith("no pod of the plan was ever scheduled, and today's facts allow none")


def test_facts_that_allow_no_plan_any_more() -> None:
    """The only fitting node went away: pods keep the plan they have."""
    verdict = decided(spec(), running(), circumstances(T4))
    assert verdict.renderable
    assert (verdict.hardware.status, verdict.hardware.reason) == (FALSE, Reason.NO_MATCHING_GPU)
    assert (verdict.plan.status, verdict.plan.reason) == (FALSE, Reason.PLAN_OUTDATED)


@pytest.mark.parametrize(
    ("fields", "around", "condition"),
    [
        ({}, circumstances(H200, read=facts(num_hidden_layers=-1)), "model"),
        ({}, circumstances(T4), "hardware"),
        ({"engine": {"attentionBackend": "CPU_ATTN"}}, NOW, "backend"),
    ],
)
def test_what_cannot_be_planned(fields: dict[str, Any], around: Circumstances, condition: str) -> None:
    """A refusal turns exactly the condition False that it belongs to."""
    verdict = decided(spec(**fields), None, around)
    values = {"model": verdict.model, "hardware": verdict.hardware, "backend": verdict.backend}
    said = {name for name, value in values.items() if value is not None and value.is_false}
    assert (said, verdict.resolved, verdict.renderable) == ({condition}, None, False)


@pytest.mark.parametrize(
    ("around", "status", "reason"),
    [
        pytest.param(NOW, TRUE, Reason.GPU_FOUND, id="there"),
        pytest.param(circumstances(H200, L4), TRUE, Reason.GPU_FOUND, id="and others"),
        pytest.param(circumstances(), UNKNOWN, Reason.NO_GPU_NODES, id="gone"),
        pytest.param(circumstances(T4), FALSE, Reason.NO_MATCHING_GPU, id="others only"),
        pytest.param(replace(NOW, inventory=UNREADABLE), UNKNOWN, Reason.NODES_NOT_READABLE, id="not readable"),
    ],
)
def test_a_frozen_plans_gpus(around: Circumstances, status: ConditionStatus, reason: str) -> None:
    """A frozen plan is held against the GPUs the cluster has now."""
    assert decided(spec(), running(), around).hardware[:2] == (status, reason)


def test_why_classes_are_left_out_goes_on_being_told() -> None:
    """A plan that today's facts lead to as well is told with their words; an older one only with what is there."""
    around = circumstances(H200, T4)
    verdict = decided(spec(), running(around=around), around)
    assert verdict.adopted is None
    assert verdict.hardware == decided(spec(), around=around).hardware
    assert "left out: Tesla-T4" in verdict.hardware.message
    grown = decided(spec(), running(around=around), circumstances(H200, L4, T4))
    assert grown.hardware.message == f"planned for {H200}"


def test_paused() -> None:
    """While paused nothing is adopted and nothing rendered, and what is known is still said."""
    frozen = running()
    verdict = decided(spec(engine={"maxModelLen": 4096}), frozen, generation=2).held_back(frozen)
    assert (verdict.resolved, verdict.renderable, verdict.adopted) == (frozen, False, None)
    first = decided(spec()).held_back(None)
    assert first.resolved is None
    assert first.backend is not None
    assert first.backend.reason == Reason.NOT_PLANNED


def test_a_plan_of_a_release_that_is_not_known_any_more() -> None:
    """An operator that knows other releases keeps it, and says what it would become."""
    old = RuntimeSpec(name=RuntimeName.MISTRAL_VLLM, version="0.25.0")
    frozen = running().model_copy(update={"runtime": old})
    verdict = decided(spec(), frozen)
    assert (verdict.resolved, verdict.renderable) == (frozen, True)
    assert (verdict.hardware.status, verdict.plan.reason) == (TRUE, Reason.PLAN_OUTDATED)
    assert "runtime mistral-vllm 0.25.0 would become mistral-vllm 0.26.0" in verdict.plan.message
