"""What a status says goes out plain, bounded and within int64, or smaller: whatever the facts were."""

import json
from typing import Any

import pytest
import yaml

from any_text import HOSTILE, SURROGATE, named, replaced, texts_in
from mistral_operator.api.conditions import ConditionType, Phase, Reason, false, true
from mistral_operator.api.mistral_deployment import read_status, write_status
from mistral_operator.api.status import (
    AttentionStatus,
    Layers,
    MemoryStatus,
    MistralDeploymentStatus,
    ModelStatus,
    PlanWarning,
    RejectedBackend,
)
from mistral_operator.cluster.body import apply_body
from mistral_operator.status.conditions import conditions_of, value_of
from mistral_operator.status.plain import plain_status
from mistral_operator.status.pod_report import NoReportError, read_report
from mistral_operator.status.refused import faulty_status, smaller_status
from unit.pod_answers import answer

NOW = "2026-11-30T00:00:00Z"
READY = ConditionType.READY
AVAILABLE = ConditionType.AVAILABLE
PLAIN = "a🚀 \ufffd é中𝔘 hf_… z"


def status(words: str, number: int = 1) -> MistralDeploymentStatus:
    """Return a status that repeats somebody's words wherever it can."""
    facts = [(READY, false(Reason.CHILD_REFUSED, words)), (AVAILABLE, true(Reason.PODS_AVAILABLE, words))]
    return MistralDeploymentStatus(
        observed_generation=1,
        phase=Phase.DEGRADED,
        model=ModelStatus(architecture=words, parameters=number),
        attention=AttentionStatus(
            layers=Layers(sliding=number, full=0),
            backend="XFORMERS",
            backends={},
            reason="MeasuredFastest",
            message=words,
            rejected=[RejectedBackend(backend="FLASH_ATTN", reason="NotMeasured", message=words)],
            xformers="Available",
        ),
        memory=MemoryStatus(weights="1", kv_cache_per_token="1", kv_cache_tokens=number, per_gpu="1", fits=True),  # noqa: S106 - no password
        warnings=[PlanWarning(reason="LongerThanConfig", message=words)],
        conditions=conditions_of(facts, (), 1, NOW),
    )


@pytest.mark.parametrize(
    ("words", "plain"), [(HOSTILE, PLAIN), (SURROGATE, "a\ufffdb"), ("x" * 5000, "x" * 4095 + "…")]
)
def test_every_message_is_plain(words: str, plain: str) -> None:
    """Conditions, warnings, reasons of backends, the architecture; and what goes out is what stands."""
    found = plain_status(status(words))
    messages = [*(one.message for one in found.conditions), *(one.message for one in found.warnings)]
    assert found.attention is not None
    assert found.model is not None
    messages += [found.attention.message, found.attention.rejected[0].message, str(found.model.architecture)]
    assert [message.replace("\ufffd", "").split() for message in messages] == [plain.replace("\ufffd", "").split()] * 6
    written = write_status(found)
    assert yaml.safe_load(apply_body(written)) == json.loads(apply_body(written)) == written
    assert plain_status(read_status(written)) == found


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 10**20, 10**4000, -(10**20)])
def test_numbers_stay_within_int64(number: int) -> None:
    """The API server refuses a whole status for one number beyond."""
    written = write_status(status("a", number))
    for found in (
        written["model"]["parameters"],
        written["memory"]["kvCacheTokens"],
        written["attention"]["layers"]["sliding"],
    ):
        assert found == min(max(number, -(2**63)), 2**63 - 1)


def test_a_smaller_status() -> None:
    """What stood stands, each condition is of now, and Ready says why; the same refusal is the same status."""
    before, refused = plain_status(status("before")), plain_status(status("now"))
    smaller = smaller_status(before, refused, "yaml: 🚀 at 0x00ffee00aa", NOW)
    ready = value_of(smaller.conditions, READY)
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "StatusRefused")
    assert "(yaml: \\U0001f680 at 0x…)" in ready.message
    assert smaller.model == before.model
    available = value_of(smaller.conditions, AVAILABLE)
    assert available is not None
    assert available.is_true
    assert available.message != "now"
    assert all(one.message.replace("…", "").isascii() for one in smaller.conditions)
    assert smaller_status(smaller, refused, "yaml: 🚀 at 0x00ffee00bb", "later") == smaller


def test_what_was_taken_before_is_kept() -> None:
    """A condition that has not changed keeps its words."""
    before = plain_status(status("same"))
    smaller = smaller_status(before, before, "no", NOW)
    assert [one.message for one in smaller.conditions if one.type == AVAILABLE] == ["same"]


def test_a_fault_is_said_once() -> None:
    """The next may have other words, such as an address; a new generation is told anew."""
    first = faulty_status(status("a"), 2, f"KeyError: {HOSTILE}", NOW)
    ready = value_of(first.conditions, READY)
    assert ready is not None
    assert (ready.reason, first.phase, first.observed_generation) == ("OperatorFault", "Degraded", 2)
    assert faulty_status(first, 2, "KeyError: other", "later") is first
    assert faulty_status(first, 3, "KeyError: other", "later") != first


REPORT = answer(warnings=["a warning"])


@pytest.mark.parametrize("path", list(texts_in(REPORT)), ids=named)
@pytest.mark.parametrize("text", [HOSTILE, SURROGATE], ids=["hostile", "surrogate"])
def test_every_text_of_a_report(path: Any, text: str) -> None:
    """It is read, or it is no report; what is kept of it is plain."""
    for content in (
        json.dumps(replaced(REPORT, path, text)),
        json.dumps(replaced(REPORT, path, text), ensure_ascii=False),
    ):
        try:
            report = read_report(content.encode(errors="surrogatepass"))
        except NoReportError as refused:
            told = str(refused)
        else:
            told = "".join((*report.warnings, *report.backends, *report.backends.values()))
        assert told.encode()
        assert not {"\x00", "\x1b", "\x07", "\u202e", "\u2028", "\x85"} & set(told)
        assert "hf_abcdefgh" not in told
