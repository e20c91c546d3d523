"""What pods may show and say: statuses that the API server takes, logs, and answers to the question what they run."""

import json
import random
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bench.fuzz.values import TEXTS, Values
from mistral_operator.status.pod_report import NoReportError, read_report
from mistral_vllm.telling.root_cause import root_cause

_REASONS: Final = (
    "Error", "OOMKilled", "Completed", "ContainerCannotRun", "StartError", "CrashLoopBackOff", "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName", "CreateContainerConfigError", "RunContainerError", "ContainerCreating", "PodInitializing",
    "Unschedulable", "Evicted",
)  # fmt: skip
_LINES: Final = (
    "Traceback (most recent call last):", '  File "a.py", line 1, in f', "    raise ValueError(x)", "ValueError: ",
    "(EngineCore_0 pid=1) ERROR 11-25",
    "(Worker_TP0 pid=2) ", "torch.OutOfMemoryError: CUDA out of memory.",
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:", "Failed core proc(s): {'",
    "Worker proc a died unexpectedly (exit code: -9)",
    "usage: vllm serve", "vllm: error: unrecognized arguments: ", "terminate called after throwing", "  what():  ",
    "RuntimeError: see root cause above",
)  # fmt: skip
_REPORT: Final = {
    "slidingWindow": 4096, "backends": {"sliding_attention": "XFORMERS"}, "ranksAgree": True, "warnings": [],
    "kinds": [{"kind": "sliding_attention", "layers": 32, "slidingWindow": 4096, "backend": "XFORMERS"}],
}  # fmt: skip
LOG_BYTES: Final = 128 * 1024  # as much as the operator reads


def pod_status(values: Values) -> dict[str, Any]:
    """Draw the status of a pod of one container."""
    source = values.source
    if source.random() < 0.3:
        condition = {
            "type": "PodScheduled",
            "status": source.choice(("True", "False", "Unknown")),
            "reason": source.choice(_REASONS),
            "message": values.text(),
        }
        return {
            "phase": source.choice(("Pending", "Failed", "Unknown")),
            "reason": values.text(),
            "message": values.text(),
            "conditions": [condition],
        }
    container = {
        "name": "vllm",
        "image": "a",
        "imageID": "",
        "ready": False,
        "restartCount": source.choice((0, 1, 7, 2**31 - 1)),
    }
    ended = {
        "reason": source.choice(_REASONS),
        "exitCode": source.choice((0, 1, 2, 127, 137, 139, 255, 2**31 - 1, -1)),
        "message": values.text() + source.choice(_LINES) + values.text(),
        "finishedAt": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    waiting = {"reason": source.choice(_REASONS), "message": values.text()}
    state = {"waiting": waiting} if source.random() < 0.7 else {"terminated": ended}
    return {
        "phase": source.choice(("Pending", "Running")),
        "containerStatuses": [{**container, "state": state, "lastState": {"terminated": ended}}],
    }


def log_text(source: random.Random) -> str:
    """Draw a log: lines that mean something, lines that do not, one thing again and again, or one endless line."""
    kind = source.randrange(4)
    if kind == 0:
        unit = source.choice((*_LINES, *TEXTS[1:], "(Request ID: ", "{'", "[type=", " (exit code: ")) or "x"
        return (unit * (LOG_BYTES // len(unit) + 1))[:LOG_BYTES]
    separator = source.choice(("\n", "\n", "\r", "\r\n", " "))
    drawn = [source.choice(_LINES) + source.choice(TEXTS) for _ in range(source.choice((3, 50, 3_000)))]
    return separator.join(drawn)[:LOG_BYTES]


def report_bytes(values: Values) -> bytes:
    """Draw an answer to ``GET /v1/attention``."""
    source = values.source
    data = json.dumps(values.mutated(_REPORT, source.choice((0.05, 0.3)))).encode()
    return source.choice(
        (
            data,
            data,
            data[: source.randrange(len(data))],
            b"[" * 200_000,
            b'{"slidingWindow":' + b"9" * 200_000 + b"}",
            b"\xff",
        )
    )


@dataclass(frozen=True, slots=True)
class Read:
    """What reading a pod's words came to."""

    cpu_seconds: float
    text: str
    fault: str | None


def read_log(source: random.Random) -> Read:
    """Find the root cause in a drawn log."""
    log, code = log_text(source), source.choice((0, 1, 2, -9, -11, 137))
    begun = time.process_time()
    try:
        text, fault = root_cause(log, code), None
    except Exception:  # noqa: BLE001 - this is what is looked for
        text, fault = "", traceback.format_exc()
    return Read(time.process_time() - begun, text, fault)


def read_answer(values: Values) -> Read:
    """Read a drawn report."""
    answer = report_bytes(values)
    begun = time.process_time()
    try:
        text, fault = str(read_report(answer)), None
    except NoReportError as error:
        text, fault = str(error), None
    except Exception:  # noqa: BLE001 - this is what is looked for
        text, fault = "", traceback.format_exc()
    return Read(time.process_time() - begun, text, fault)
