"""What one raw sliding_window value means."""

from typing import Any

import pytest

from mistral_vllm.reasons import FindingReason, LayoutReason, Unsupported
from mistral_vllm.window import normalise_window


@pytest.mark.parametrize(
    ("raw", "size", "pattern", "finding"),
    [
        pytest.param(None, None, None, None, id="null"),
        pytest.param(4096, 4096, None, None, id="positive"),
        pytest.param(1, 1, None, None, id="one"),
        pytest.param(0, None, None, FindingReason.NON_POSITIVE_WINDOW, id="zero"),
        pytest.param(-1, None, None, FindingReason.NON_POSITIVE_WINDOW, id="minus one"),
        pytest.param("4096", 4096, None, FindingReason.NUMERIC_STRING, id="numeric text"),
        pytest.param(" 4096 ", 4096, None, FindingReason.NUMERIC_STRING, id="numeric text with spaces"),
        pytest.param("-1", None, None, FindingReason.NUMERIC_STRING, id="negative text"),
        pytest.param("null", None, None, FindingReason.TEXT_FOR_NULL, id="text null"),
        pytest.param("None", None, None, FindingReason.TEXT_FOR_NULL, id="text none"),
        pytest.param("", None, None, FindingReason.TEXT_FOR_NULL, id="empty text"),
        pytest.param([None, 4096], 4096, (False, True), None, id="list"),
        pytest.param((None, 4096), 4096, (False, True), None, id="tuple"),
        pytest.param([4096, 4096], 4096, (True, True), None, id="list of one size twice"),
        pytest.param([None], None, (False,), None, id="list of null"),
    ],
)
def test_accepted_values(
    raw: Any, size: int | None, pattern: tuple[bool, ...] | None, finding: FindingReason | None
) -> None:
    """Values with one meaning are normalised, and a finding says when vLLM would see something else."""
    value = normalise_window(raw, "config.json: sliding_window")
    assert (value.size_tokens, value.pattern) == (size, pattern)
    assert [found.reason for found in value.findings] == ([] if finding is None else [finding])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(True, LayoutReason.WINDOW_TYPE, id="bool"),
        pytest.param(4096.0, LayoutReason.WINDOW_TYPE, id="float"),
        pytest.param(float("nan"), LayoutReason.WINDOW_TYPE, id="NaN"),
        pytest.param({}, LayoutReason.WINDOW_TYPE, id="object"),
        pytest.param("4k", LayoutReason.WINDOW_TYPE, id="text"),
        pytest.param("9" * 5000, LayoutReason.WINDOW_TYPE, id="five thousand digits"),
        pytest.param(10**18, LayoutReason.WINDOW_TYPE, id="more than a status can hold"),
        pytest.param([None, 10**4000], LayoutReason.WINDOW_PATTERN, id="four thousand digits in a list"),
        pytest.param([None, -(10**4000)], LayoutReason.WINDOW_PATTERN, id="four thousand negative digits in a list"),
        pytest.param([], LayoutReason.WINDOW_PATTERN, id="empty list"),
        pytest.param([None, "4096"], LayoutReason.WINDOW_PATTERN, id="text in a list"),
        pytest.param([None, True], LayoutReason.WINDOW_PATTERN, id="bool in a list"),
        pytest.param([0, 4096], LayoutReason.WINDOW_PATTERN, id="zero in a list"),
        pytest.param([None, -1], LayoutReason.WINDOW_PATTERN, id="negative in a list"),
        pytest.param([None, 2048, 4096], LayoutReason.WINDOW_SIZES_DIFFER, id="two sizes"),
    ],
)
def test_refused_values(raw: Any, reason: LayoutReason) -> None:
    """A value that would need a guess is refused with a reason and a sentence that names the key."""
    with pytest.raises(Unsupported) as refused:
        normalise_window(raw, "config.json: sliding_window")
    assert refused.value.reason is reason
    assert refused.value.message.startswith("config.json: sliding_window ")
    assert len(refused.value.message) < 200
