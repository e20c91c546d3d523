"""The four kinds of input, each drawn, sent or read, and counted."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.fuzz.folders import ALLOWED_CODES, Folders
from bench.fuzz.live import Log, Operating, Tally, active_characters, has_condition, in_parallel
from bench.fuzz.pods import Read, pod_status, read_answer, read_log
from bench.fuzz.specs import MODELS, Specs
from bench.fuzz.values import Values

BATCH: Final = 250
PODS: Final = 100  # whose statuses change again and again
CONDITION_SECONDS: Final = 120.0
READ_CPU_SECONDS: Final = 0.2  # of one log, one report: as long as an event loop may stand still
PLAN_CPU_SECONDS: Final = 2.0  # of one folder
STATUS_BYTES: Final = 64 * 1024
Say = Callable[[str], None]


async def fuzz_specs(operating: Operating, log: Log, *, values: Values, count: int, say: Say) -> Tally:
    """Create objects with drawn specs, a batch at a time."""
    specs, tally = Specs(values), Tally()
    for first in range(0, count, BATCH):
        drawn = {f"s{number}": specs.draw() for number in range(first, min(first + BATCH, count))}
        await _one_batch(operating, log, drawn, tally)
        say(f"specs: {tally.tried} of {count}, {tally.refused} refused at admission")
    return tally


async def fuzz_hub(operating: Operating, log: Log, *, count: int, say: Say) -> Tally:
    """Create objects of models of a hostile hub, a batch at a time; each model has answers of its own."""
    tally = Tally()
    for first in range(0, count, BATCH):
        drawn = {f"h{n}": {"model": {"id": f"fuzz/model-{n}"}} for n in range(first, min(first + BATCH, count))}
        await _one_batch(operating, log, drawn, tally)
        say(f"hub answers: {tally.tried} of {count}")
    return tally


async def _one_batch(operating: Operating, log: Log, drawn: dict[str, dict[str, Any]], tally: Tally) -> None:
    taken: list[str] = []

    async def create(name: str) -> None:
        if await operating.create(name, drawn[name]):
            taken.append(name)

    await in_parallel(list(drawn), create)
    tally.tried += len(drawn)
    tally.refused += len(drawn) - len(taken)
    left, bodies = await operating.missing(taken, has_condition, CONDITION_SECONDS)
    tally.without_condition += [f"{name}: {drawn[name]}" for name in left]
    _look_at_statuses(bodies, tally)
    await operating.delete_all()
    tally.faults += log.new_faults()


async def fuzz_pods(operating: Operating, log: Log, *, values: Values, count: int, say: Say) -> Tally:
    """Let pods of planned objects show drawn statuses, and wait until the operator has looked at each."""
    tally, names = Tally(), [f"p{number}" for number in range(min(PODS, count))]

    async def create(name: str) -> None:
        await operating.create(name, {"model": {"id": MODELS[0]}})
        await operating.create_pod(name)

    await in_parallel(names, create)
    await operating.missing(names, has_condition, CONDITION_SECONDS)
    for turn in range(count // len(names)):
        drawn = {name: pod_status(values) for name in names}

        async def show(name: str, drawn: dict[str, Any] = drawn, replicas: int = 1 + (turn + 1) % 2) -> None:
            tally.refused += not await operating.set_pod_status(name, drawn[name])
            await operating.scale(name, replicas)

        await in_parallel(names, show)
        tally.tried += len(names)
        left, bodies = await operating.missing(names, has_condition, CONDITION_SECONDS)
        tally.without_condition += [f"{name}: {drawn[name]}" for name in left]
        wrong = [name for name, body in bodies.items() if _is_ready(body)]
        tally.faults += [f"{name} is Ready, though no pod is: {drawn[name]}" for name in wrong]
        _look_at_statuses(bodies, tally)
        tally.faults += log.new_faults()
        say(f"pods: {tally.tried} of {count} statuses, {tally.refused} refused by the API server")
    await operating.delete_all()
    return tally


def fuzz_reading(values: Values, count: int, say: Say) -> Tally:
    """Read drawn logs and reports of pods, as many of each."""
    tally = Tally()
    for number in range(count):
        for what, read in (("log", read_log(values.source)), ("report", read_answer(values))):
            tally.tried += 1
            look_at_reading(f"{what} {number}", read, tally)
    say(f"logs and reports: {tally.tried}")
    return tally


def fuzz_folders(values: Values, count: int, say: Say) -> Tally:
    """Plan drawn folders."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="mistral-operator-fuzz-") as place:
        for planned in Folders(values, Path(place)).planned(count):
            tally.tried += 1
            tally.refused += planned.code != 0
            if planned.fault is not None or planned.code not in ALLOWED_CODES:
                tally.faults.append(
                    planned.fault or f"{planned.folder}: exit code {planned.code}: {planned.output[:300]}"
                )
            if planned.cpu_seconds > PLAN_CPU_SECONDS:
                tally.above_bounds.append(f"{planned.folder}: {planned.cpu_seconds:.1f} s")
            if active_characters(planned.output):
                tally.above_bounds.append(f"{planned.folder}: active characters in {planned.output[:300]!r}")
            if tally.tried % 1_000 == 0:
                say(f"folders: {tally.tried} of {count}")
    return tally


def look_at_reading(what: str, read: Read, tally: Tally) -> None:
    """Count what reading a pod's words must not do."""
    if read.fault is not None:
        tally.faults.append(f"{what}: {read.fault}")
    if read.cpu_seconds > READ_CPU_SECONDS:
        tally.above_bounds.append(f"{what}: {read.cpu_seconds:.2f} s")


def _look_at_statuses(bodies: dict[str, dict[str, Any]], tally: Tally) -> None:
    for name, body in bodies.items():
        text = str(body.get("status") or "")
        if len(text.encode(errors="replace")) > STATUS_BYTES:
            tally.above_bounds.append(f"{name}: its status has {len(text)} characters")
        messages = [one.get("message", "") for one in (body.get("status") or {}).get("conditions", ())]
        tally.above_bounds += [f"{name}: {message[:200]!r}" for message in messages if active_characters(message)]


def _is_ready(body: dict[str, Any]) -> bool:
    conditions = (body.get("status") or {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
