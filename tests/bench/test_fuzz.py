"""Fuzzing: the same seed draws the same inputs, what goes wrong is counted, and small runs find nothing."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.fuzz.hub_answers import hostile_hub
from bench.fuzz.live import Tally, Watched, active_characters, has_condition
from bench.fuzz.pods import Read, log_text, pod_status
from bench.fuzz.runs import READ_CPU_SECONDS, fuzz_folders, fuzz_reading, look_at_reading
from bench.fuzz.specs import Specs
from bench.fuzz.values import Values
from mistral_operator.hub import HubError
from mistral_operator.hub.remote import HubReader


def values(seed: str = "seed") -> Values:
    """Return what draws the inputs of a seed."""
    return Values(random.Random(seed))  # noqa: S311 - repeatable, not secret


def test_the_same_seed_draws_the_same() -> None:
    """Specs, statuses and logs, so that what was found can be looked at again."""

    def drawn(seed: str) -> list[object]:
        source = values(seed)
        return [Specs(source).draw(), pod_status(source)["phase"], log_text(source.source)]

    assert repr(drawn("a")) == repr(drawn("a"))
    assert repr(drawn("a")) != repr(drawn("b"))


def test_specs_reach_every_field() -> None:
    """Each property of the spec is drawn at some time, so that none is left untried."""
    specs = Specs(values())
    seen = {name for _ in range(500) for name in specs.draw()}
    assert seen == set(specs.fields)


@pytest.mark.parametrize(
    ("read", "counted"),
    [
        (Read(0.0, "", None), (0, 0)),
        (Read(0.0, "", "Traceback …"), (1, 0)),
        (Read(2 * READ_CPU_SECONDS, "", None), (0, 1)),
    ],
)
def test_what_goes_wrong_is_counted(read: Read, counted: tuple[int, int]) -> None:
    """A traceback, and a log that takes too long."""
    tally = Tally()
    look_at_reading("log", read, tally)
    assert (len(tally.faults), len(tally.above_bounds)) == counted


def test_an_old_condition_is_none() -> None:
    """What was said of an older generation does not count."""
    body = {"metadata": {"generation": 2}, "status": {"conditions": [{"type": "Ready", "observedGeneration": 1}]}}
    assert not has_condition(body)
    body["status"]["conditions"][0]["observedGeneration"] = 2  # type: ignore[index]  # it is a dictionary
    assert has_condition(body)


@pytest.mark.parametrize(
    ("text", "active"),
    [("🚀 ä\n\tb", False), ("a\x1b[31m", True), ("\x9b", True), ("\u202e", True), ("\ud800", True), ("\x7f", True)],
)
def test_active_characters(text: str, active: bool) -> None:
    """What a terminal acts on, and what is no character at all; not letters of any language."""
    assert active_characters(text) is active


def test_memory_is_counted_over_quiet() -> None:
    """A peak is compared with what the process had before."""
    seen = Watched(quiet_bytes=100 << 20, peak_bytes=150 << 20)
    assert (seen.peak_bytes - seen.quiet_bytes) >> 20 == 50


def test_folders() -> None:
    """A hundred: each is planned, or refused with an exit code that is documented, and in text that can be printed."""
    tally = fuzz_folders(values(), 100, print)
    assert (tally.tried, tally.faults, tally.above_bounds) == (100, [], [])
    assert 0 < tally.refused < 100


def test_logs_and_reports() -> None:
    """A hundred of each are read without a fault."""
    tally = fuzz_reading(values(), 100, print)
    assert (tally.tried, tally.faults) == (200, [])


def test_a_hostile_hub(tmp_path: Path) -> None:
    """Sixty models: each is read, or refused with a typed error."""
    with hostile_hub(1) as url, ThreadPoolExecutor(8) as threads:
        reader = HubReader(url, False, cache_dir=tmp_path, timeout_seconds=1)

        def read(number: int) -> str:
            try:
                return str(reader.read(f"fuzz/model-{number}").commit)
            except HubError as error:
                return str(error.reason)

        reasons = set(threads.map(read, range(60)))
    assert len(reasons) > 3
