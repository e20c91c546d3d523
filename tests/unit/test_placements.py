"""Objects that want the same share one placement, and none is taken for another."""

from typing import Any

import pytest

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.controller.placements import Placements
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.problems import Unplannable
from unit.planning_on_clusters import A100, DEFAULTS, H200, NEXT_COMMIT, facts, spec

NODES = Inventory(frozenset({H200}))


def placed(
    placements: Placements, wanted: MistralDeploymentSpec, read: ModelFacts | None = None, nodes: Inventory = NODES
) -> Placement:
    """Place a model."""
    return placements.place(read or facts(), wanted, nodes, DEFAULTS, ())


@pytest.mark.parametrize("same", [{}, {"replicas": 7}, {"service": {"port": 80}}, {"nodeSelector": {"a": "b"}}])
def test_what_is_no_input_of_a_plan_makes_no_other(same: dict[str, Any]) -> None:
    """A burst of objects is planned once."""
    placements = Placements()
    first = placed(placements, spec())
    assert placed(placements, spec(**same)) is first
    assert first == place(facts(), spec(), NODES, DEFAULTS, ())


@pytest.mark.parametrize(
    ("wanted", "read", "nodes"),
    [
        pytest.param({"engine": {"maxModelLen": 4096}}, facts(), NODES, id="another spec"),
        pytest.param({"env": [{"name": "A", "value": "1"}]}, facts(), NODES, id="another environment"),
        pytest.param({"gpu": {"products": ["NVIDIA-A100-SXM4-80GB"]}}, facts(), Inventory(frozenset({A100})), id="GPU"),
        pytest.param({}, facts(NEXT_COMMIT), NODES, id="the branch has moved"),
        pytest.param({}, facts(sliding_window=4096), NODES, id="another config"),
        pytest.param({}, facts(), Inventory(frozenset({H200, A100})), id="another cluster"),
    ],
)
def test_what_is_an_input_makes_another(wanted: dict[str, Any], read: ModelFacts, nodes: Inventory) -> None:
    """Each is what :func:`place` answers, whatever was asked before and is asked after."""
    placements = Placements()
    for _ in range(2):
        assert placed(placements, spec()) == place(facts(), spec(), NODES, DEFAULTS, ())
        assert placed(placements, spec(**wanted), read, nodes) == place(read, spec(**wanted), nodes, DEFAULTS, ())


def test_a_refusal_is_not_remembered_as_a_plan() -> None:
    """It is raised each time."""
    placements, wanted = Placements(), spec(parallelism={"tensor": 3})
    for _ in range(2):
        with pytest.raises(Unplannable):
            placed(placements, wanted)
    assert placed(placements, spec()).classes == (H200,)


def test_few_are_remembered() -> None:
    """Many different objects do not fill the memory; the one that is asked for all the time stays."""
    placements = Placements()
    first = placed(placements, spec())
    for length in range(1024, 1060):
        placed(placements, spec(engine={"maxModelLen": length}))
        assert placed(placements, spec()) is first
    assert len(vars(placements)["_made"]) <= 8
