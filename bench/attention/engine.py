"""Whole engines on Mistral-7B-v0.1's geometry with random weights: prefill and decode by attention backend.

Needs a GPU and vLLM 0.26. All in one run, because only such figures are compared, and one process for each backend
(:mod:`bench.attention.one_engine`)::

    python -m bench.attention.engine XFORMERS FLASH_ATTN --beside TRITON_ATTN --json engine.json

Backends are measured one after the other on the first GPU, and those named by ``--beside`` at the same time on the
second one of the same machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from bench.attention.one_engine import Run

RUNS: Final = ("8192:1,8,32,64,128", "32768:1,8,32,64,128")


class Comparison:
    """One run: what each backend measured so far, written after each, since a later one may fail."""

    def __init__(self, runs: Sequence[Run], gpus: int, file: Path, command: str) -> None:
        self._runs = runs
        self._gpus = gpus
        self._file = file
        self._command = command
        self._lock = Lock()
        self._measured: list[dict[str, Any]] = []

    def measure(self, backends: Sequence[str], first_gpu: int) -> None:
        """Measure backends one after the other, on so many GPUs from the first."""
        visible = ",".join(str(gpu) for gpu in range(first_gpu, first_gpu + self._gpus))
        for backend in backends:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "measured.json"
                command = [sys.executable, "-m", "bench.attention.one_engine", backend, "--json", str(file)]
                command += ["--gpus", str(self._gpus)]
                for run in self._runs:
                    command += ["--run", f"{run.context}:{','.join(map(str, run.batches))}"]
                environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
                subprocess.run(command, check=True, env=environment)  # noqa: S603 - our own module
                measured = json.loads(file.read_text())
            with self._lock:
                self._measured.append(measured)
                _print(json.dumps(measured))
                self._file.write_text(json.dumps(self.found(), indent=1) + "\n")

    def found(self) -> dict[str, Any]:
        """Return everything as the file has it, ours first."""
        backends = sorted(self._measured, key=lambda measured: not _is_ours(measured))
        return {
            "command": self._command,
            "date": datetime.now(UTC).date().isoformat(),
            "model": "Mistral-7B-v0.1's geometry, random weights, bfloat16, no prefix caching",
            "backends": backends,
            "compared": compared(backends) if backends and _is_ours(backends[0]) else [],
        }


def compared(backends: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Hold XFORMERS against the best of the others, row by row: above 1 it is the faster one."""
    ours = next(filter(_is_ours, backends))
    others = [measured for measured in backends if measured is not ours]
    rows = []
    for phase, figure, best_of in (("prefill", "tokens_per_second", max), ("decode", "ms_per_step", min)):
        for row in ours[phase]:
            theirs = {
                other["backend"]: same[figure]
                for other in others
                for same in other[phase]
                if (same["context"], same["batch"]) == (row["context"], row["batch"])
            }
            if not theirs:
                continue
            best = best_of(theirs, key=theirs.__getitem__)
            ratio = row[figure] / theirs[best] if phase == "prefill" else theirs[best] / row[figure]
            rows.append({"phase": phase, **row, "best_other": best, "its": theirs[best], "ratio": round(ratio, 4)})
    return rows


def _is_ours(measured: Mapping[str, Any]) -> bool:
    return str(measured["backend"]).partition(":")[0] == "XFORMERS"


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def main() -> None:
    """Measure every backend in a process of its own, compare, print and write."""
    out = Path(os.environ.get("OUT", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    named = "XFORMERS, AUTO, or a name of vLLM's; NAME:BLOCK"
    parser.add_argument("backends", nargs="+", metavar="BACKEND", help=named)
    parser.add_argument("--beside", nargs="+", metavar="BACKEND", default=[], help="at the same time, on other GPUs")
    parser.add_argument("--run", action="append", type=Run.parse, help=f"CONTEXT:BATCH,BATCH; default {RUNS}")
    parser.add_argument("--json", type=Path, default=out / "engine.json")
    parser.add_argument("--gpus", type=int, default=1, help="split every layer over so many (tensor parallel)")
    arguments = parser.parse_args()
    runs: list[Run] = arguments.run or [Run.parse(text) for text in RUNS]
    command = "python -m bench.attention.engine " + " ".join(sys.argv[1:])
    comparison = Comparison(runs, arguments.gpus, arguments.json, command)
    with ThreadPoolExecutor(2) as pool:
        lanes = [
            pool.submit(comparison.measure, backends, first_gpu)
            for backends, first_gpu in ((arguments.backends, 0), (arguments.beside, arguments.gpus))
        ]
    for row in comparison.found()["compared"]:
        _print(json.dumps(row))
    for lane in lanes:
        lane.result()  # the error of a backend that did not run, after what the others found


if __name__ == "__main__":
    main()
