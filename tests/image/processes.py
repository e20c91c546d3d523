"""vLLM as a process: its environment, its log, and its end with everything that it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

END_SECONDS = 20.0
PLUGIN = "mistral_vllm"


def environment(caches: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return what vLLM is started with: no network, small, and its caches in one folder."""
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CACHE_ROOT": str(caches / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "TORCHDYNAMO_DISABLE": "1",  # vLLM compiles its sampler for a minute, whatever --enforce-eager says
        "VLLM_PLUGINS": PLUGIN,
        **more,
    }


@contextmanager
def running(arguments: Sequence[str], log: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with its output in a log; at the end nothing of it is left, whatever it is doing."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - vLLM
            [sys.executable, *arguments], stdout=output, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)  # a SIGTERM that comes while vLLM starts is lost
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(what: str, condition: Callable[[], bool], log: Path, *, seconds: float) -> None:
    """Wait for a condition.

    Raises
    ------
    TimeoutError
        With the end of the log.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}; the log ends with:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)
