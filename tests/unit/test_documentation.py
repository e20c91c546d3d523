"""The pages in docs/ name what the code says."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from mistral_operator.api.conditions import ConditionType, Phase, PodReason, Reason
from mistral_operator.hub.errors import HubReason
from mistral_operator.planning.problems import PlanReason
from mistral_operator.rendering.problems import RenderingReason
from mistral_vllm.reasons import DecisionReason, EngineReason, FindingReason, LayoutReason, RejectionReason

PAGE = (Path(__file__).parents[2] / "docs" / "mistraldeployment.md").read_text(encoding="utf-8")
REASONS: list[type[StrEnum]] = [
    Reason, PodReason, HubReason, PlanReason, RenderingReason, DecisionReason, EngineReason, FindingReason,
    LayoutReason, RejectionReason,
]  # fmt: skip


@pytest.mark.parametrize("reasons", REASONS, ids=lambda reasons: reasons.__name__)
def test_every_reason_is_documented(reasons: type[StrEnum]) -> None:
    """In a table or among the warnings, in code font."""
    assert [reason for reason in reasons if f"`{reason}`" not in PAGE] == []


def test_no_reason_is_documented_that_does_not_exist() -> None:
    """A renamed reason is renamed there too."""
    conditions = PAGE[PAGE.index("## Conditions") :]
    named = set(re.findall(r"`([A-Z]\w+)`", conditions))
    assert named - {str(reason) for reasons in REASONS for reason in reasons} == set()


def test_conditions_and_phases_are_documented() -> None:
    """All of them."""
    conditions = PAGE[PAGE.index("## Conditions") :]
    assert [kind for kind in ConditionType if f"\n| {kind} |" not in conditions] == []
    assert [phase for phase in Phase if not re.search(rf"\b{phase}\b", conditions)] == []
