"""Which of two files counts, and what is said when they disagree."""

from typing import Any

import pytest

from mistral_vllm.decoder import ConfigFormat
from mistral_vllm.files import ConfigFiles, read_files
from mistral_vllm.reasons import FindingReason, LayoutReason, Unsupported

CONFIG = {"model_type": "mistral", "num_hidden_layers": 4, "sliding_window": 4096}
PARAMS = {"n_layers": 4, "sliding_window": 4096}


@pytest.mark.parametrize(
    ("config", "params", "consolidated", "expected"),
    [
        pytest.param(CONFIG, None, False, ConfigFormat.HF, id="config.json alone"),
        pytest.param(CONFIG, None, True, ConfigFormat.HF, id="config.json with consolidated weights"),
        pytest.param(None, PARAMS, False, ConfigFormat.MISTRAL, id="params.json alone"),
        pytest.param(CONFIG, PARAMS, False, ConfigFormat.HF, id="both"),
        pytest.param(CONFIG, PARAMS, True, ConfigFormat.MISTRAL, id="both with consolidated weights"),
    ],
)
def test_the_file_that_counts(
    config: dict[str, Any] | None, params: dict[str, Any] | None, consolidated: bool, expected: ConfigFormat
) -> None:
    """params.json counts beside consolidated weights or alone, as in vLLM since 0.18; config.json otherwise."""
    files = ConfigFiles(config, params, consolidated)
    assert files.format is expected
    assert read_files(files).window_tokens == 4096


def test_no_file_at_all() -> None:
    """Without either file there is nothing to read."""
    with pytest.raises(Unsupported) as refused:
        read_files(ConfigFiles(None, None))
    assert refused.value.reason is LayoutReason.CONFIG_MISSING


@pytest.mark.parametrize(
    ("config", "params", "window", "says"),
    [
        pytest.param({**CONFIG, "sliding_window": 512}, PARAMS, 4096, ("4096 in 4 of 4", "512 in 4 of 4"), id="sizes"),
        pytest.param(
            CONFIG, {"n_layers": 4, "sliding_window": None}, None, ("no window in 4", "4096 in 4 of 4"), id="null wins"
        ),
        pytest.param(
            {"model_type": "mistral", "num_hidden_layers": 4},
            {"n_layers": 4},
            None,
            ("no window in 4", "4096 in 4 of 4"),
            id="absent in both means two things",
        ),
        pytest.param(
            CONFIG, {**PARAMS, "sliding_window": [None, 4096]}, 4096, ("2 of 4", "4 of 4"), id="only one is interleaved"
        ),
    ],
)
def test_disagreement_names_both_values(
    config: dict[str, Any], params: dict[str, Any], window: int | None, says: tuple[str, str]
) -> None:
    """When the files disagree, the one that counts wins and a finding names both verdicts."""
    layout = read_files(ConfigFiles(config, params, has_consolidated=True))
    assert layout.window_tokens == window
    (finding,) = [found for found in layout.findings if found.reason is FindingReason.FILES_DISAGREE]
    assert all(text in finding.message for text in says)


def test_trouble_in_the_other_file_is_a_finding() -> None:
    """A file that does not count cannot stop a plan."""
    layout = read_files(ConfigFiles(CONFIG, {"n_layers": 4, "sliding_window": True}))
    assert layout.window_tokens == 4096
    assert [found.reason for found in layout.findings] == [FindingReason.OTHER_FILE_UNREADABLE]
