"""The pages in docs/ say what the code says, and their links lead somewhere."""

import ast
import re
import unicodedata
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Final

import pytest

from docs.generate import UndocumentedError, generated, meanings, table, told_in_describe
from mistral_operator.api.conditions import ConditionType, Phase, Reason
from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.cluster.rbac import lease_rules, node_rules, operator_rules
from mistral_operator.hub.errors import HubReason
from mistral_operator.planning.problems import PlanFinding, PlanReason
from mistral_operator.rendering.problems import RenderingReason
from mistral_vllm.reasons import DecisionReason, EngineReason, FindingReason, LayoutReason, RejectionReason

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = [ROOT / "README.md", ROOT / "charts" / "mistral-operator" / "README.md", *sorted(DOCS.rglob("*.md"))]
REASONS: Final[list[type[StrEnum]]] = [
    Reason, PodReason, HubReason, PlanReason, PlanFinding, RenderingReason, DecisionReason, EngineReason, FindingReason,
    LayoutReason, RejectionReason,
]  # fmt: skip
WITH_NEXT_STEP: Final[list[type[StrEnum]]] = [PodReason, HubReason, RenderingReason, PlanReason]
TROUBLESHOOTING: Final = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
CONDITIONS: Final = (DOCS / "mistraldeployment.md").read_text(encoding="utf-8").partition("## Conditions")[2]
CODE: Final = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
NAMED: Final = re.compile(r"\]\(([^)#\s]*)#?([^)\s]*)\)")


@pytest.mark.parametrize("path", generated(), ids=lambda path: str(path.relative_to(DOCS)))
def test_generated_pages_are_fresh(path: Path) -> None:
    """What stands between the marks is what its sources say."""
    assert path.read_text(encoding="utf-8") == generated()[path], "run: python docs/generate.py"


@pytest.mark.parametrize("reasons", REASONS, ids=lambda reasons: reasons.__name__)
def test_every_reason_is_documented(reasons: type[StrEnum]) -> None:
    """In a row of its own, and where it is defined in sentences."""
    assert [one.reason for one in meanings(reasons)] == [str(reason) for reason in reasons]
    assert [reason for reason in reasons if f"\n| `{reason}` |" not in TROUBLESHOOTING] == []
    told = [text for one in meanings(reasons) for text in (one.means, one.next_step) if text]
    assert [text for text in told if not text.endswith(".")] == []


@pytest.mark.parametrize("reasons", WITH_NEXT_STEP, ids=lambda reasons: reasons.__name__)
def test_whatever_is_wrong_has_a_next_step(reasons: type[StrEnum]) -> None:
    """Of a pod, a hub, a plan: none is left at what it means."""
    assert [one.reason for one in meanings(reasons) if not one.next_step] == []


def test_no_reason_is_documented_that_does_not_exist() -> None:
    """A renamed reason is renamed in the text too."""
    known = {str(reason) for reasons in REASONS for reason in reasons}
    assert set(re.findall(r"`([A-Z]\w+)`", CONDITIONS)) - known == set()


def test_no_reason_is_a_bare_string() -> None:
    """Each that goes into a status is a constant, or nobody would document it."""
    sources = [*(ROOT / "operator" / "mistral_operator").rglob("*.py"), *(ROOT / "images" / "vllm").rglob("*.py")]
    calls = [
        (path.name, node.lineno)
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in {"Finding", "Rejection", "Unsupported", "Untold", "true", "false", "unknown", "PlanWarning"}
        for argument in [*node.args[:2], *(word.value for word in node.keywords if word.arg == "reason")]
        if isinstance(argument, ast.Constant) and re.fullmatch(r"[A-Z]\w+", str(argument.value))
        and not isinstance(argument.value, bool)
    ]  # fmt: skip
    assert calls == []


def test_conditions_and_phases_are_documented() -> None:
    """All of them."""
    assert [kind for kind in ConditionType if f"\n| {kind} |" not in CONDITIONS] == []
    assert [phase for phase in Phase if not re.search(rf"\b{phase}\b", CONDITIONS)] == []


def test_every_right_is_in_the_table() -> None:
    """Of all three roles, each rule once."""
    page = (DOCS / "security.md").read_text(encoding="utf-8").partition("<!-- end of rights -->")[0]
    rules = [*operator_rules(), *node_rules(), *lease_rules("mistral-operator")]
    assert page.count("\n| `") == len(rules)


class Fruit(StrEnum):
    """For the tests of the generator."""

    # Sweet
    APPLE = "Apple"
    """It is
    round. Next: Eat it."""
    PEAR = "Pear"
    """It is not."""
    # Sour
    LEMON = "Lemon"  # yellow
    """It is sour. Next: Add sugar."""


class Undocumented(StrEnum):
    """For the tests of the generator."""

    APPLE = "Apple"
    """It is round."""
    STONE = "Stone"


def test_meanings() -> None:
    """Sections, sentences over two lines, and next steps where there are some."""
    assert meanings(Fruit) == [
        ("Sweet", "Apple", "It is round.", "Eat it."),
        ("Sweet", "Pear", "It is not.", ""),
        ("Sour", "Lemon", "It is sour.", "Add sugar."),
    ]


def test_an_undocumented_reason_is_told() -> None:
    """By its name."""
    with pytest.raises(UndocumentedError, match=r"Undocumented\.Stone"):
        meanings(Undocumented)


def test_table() -> None:
    """What a table cannot hold is escaped."""
    assert table(["a", "b"], [["1|2", "3"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n"


def test_what_was_seen_is_of_pods() -> None:
    """Messages of kubectl, each of a reason that there is."""
    told = told_in_describe()
    assert len(told) > 30
    assert told.keys() - {str(reason) for reason in PodReason} == set()


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        kept = "".join(
            letter for letter in words if letter in "-_ " or unicodedata.category(letter)[0] in "LN"
        ).replace(" ", "-")
        anchors.add(kept if not found[kept] else f"{kept}-{found[kept]}")
        found[kept] += 1
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """Files that a page names are there, and so are the headings in them."""
    broken = []
    for target, anchor in NAMED.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http:", "https:")):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in slugs(file)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_slugs(tmp_path: Path) -> None:
    """As GitHub makes them: no punctuation, blanks as dashes, a number where a heading comes twice, none of code."""
    page = tmp_path / "page.md"
    page.write_text("# A list (`-o json`)\n```\n# no heading\n```\n## Two, or three?\n## spec.a\n## spec.a\n")
    assert slugs(page) == {"a-list--o-json", "two-or-three", "speca", "speca-1"}


def test_the_index_has_every_page() -> None:
    """And each once."""
    index = DOCS / "README.md"
    named = [(DOCS / target).resolve() for target, _ in NAMED.findall(index.read_text(encoding="utf-8"))]
    assert sorted(named) == sorted(page for page in DOCS.rglob("*.md") if page != index)
