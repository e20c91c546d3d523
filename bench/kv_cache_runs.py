"""Every layout that the memory plan is held against on a GPU, one engine after the other: needs vLLM 0.26 alone.

::

    python bench/kv_cache_runs.py --out bench/results/kv-cache-h100.json    # on one GPU of 80 GB or more
    python bench/kv_cache_runs.py --gpus 2 --out FILE                       # those of two GPUs as well
    python bench/kv_cache_runs.py --list                                    # what would be run

Each takes a minute or two. What was measured is written after every run; ``tests/unit/test_memory_on_gpu.py`` holds the
plan against every file of ``bench/results`` that is named so.
"""

import argparse
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_MODELS: Final = _ROOT / "devcluster/devcluster/hub/models"
_ENGINE: Final = _ROOT / "bench/kv_cache_on_gpu.py"
_AT_128K: Final = '{"max_position_embeddings": 131072}'


@dataclass(frozen=True, slots=True)
class Run:
    """One engine: a model's config with random weights, and what it is started with."""

    model: str  # a folder of the hub's models
    backend: str
    length: int
    batched_tokens: int
    seqs: int
    hf_overrides: str = "{}"
    gpus: int = 1
    kv_cache_dtype: str = "auto"

    def arguments(self, models: Path) -> list[str]:
        """Return the arguments of ``kv_cache_on_gpu.py``."""
        numbers = [str(number) for number in (self.length, self.batched_tokens, self.seqs)]
        options = ["--tensor-parallel", str(self.gpus), "--kv-cache-dtype", self.kv_cache_dtype]
        return [str(models / self.model), self.backend, *numbers, self.hf_overrides, *options]


_MISTRAL_7B: Final = "mistralai__Mistral-7B-v0.1"
_MINISTRAL: Final = "mistralai__Ministral-8B-Instruct-2410--with-layer_types"
_NEMO: Final = "mistralai__Mistral-Nemo-Instruct-2407"
RUNS: Final = (
    Run(_MISTRAL_7B, "FLASH_ATTN", 32768, 8192, 1024),
    Run(_MISTRAL_7B, "FLASH_ATTN", 32768, 2048, 256),
    Run(_NEMO, "AUTO", 131072, 8192, 1024),
    Run(_NEMO, "AUTO", 131072, 2048, 256),
    Run(_NEMO, "AUTO", 131072, 8192, 1024, kv_cache_dtype="fp8"),
    Run(_MINISTRAL, "FLASH_ATTN", 131072, 8192, 1024, _AT_128K),
    Run(_MINISTRAL, "FLASH_ATTN", 131072, 2048, 256, _AT_128K),
    Run("mistralai__Codestral-22B-v0.1", "AUTO", 32768, 8192, 1024),
    Run("Locutusque__TinyMistral-248M", "FLASH_ATTN", 32768, 8192, 1024),
    Run(_MISTRAL_7B, "FLASH_ATTN", 32768, 8192, 1024, gpus=2),
    Run(_MINISTRAL, "FLASH_ATTN", 131072, 8192, 1024, _AT_128K, gpus=2),
    Run("mistralai__Mixtral-8x7B-Instruct-v0.1", "AUTO", 32768, 8192, 1024, gpus=2),
)
"""All sliding, full and interleaved layers, with the batches of large and of small cards; the last ones on two GPUs."""


def measure(run: Run, models: Path, engine: Path) -> dict[str, Any]:
    """Start one engine and return what it allocated.

    Raises
    ------
    RuntimeError
        When it printed nothing of the kind, with the end of its log.
    """
    command = [sys.executable, str(engine), *run.arguments(models)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own script
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"model"')]
    if done.returncode or not lines:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(lines[-1])
    return measured


def main() -> None:
    """Run the list, or print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where to write what was measured")
    parser.add_argument("--gpus", type=int, default=1, help="run those of up to so many GPUs")
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    parser.add_argument("--models", type=Path, default=_MODELS, help="folder with the models' configs")
    parser.add_argument("--engine", type=Path, default=_ENGINE, help="script that starts one engine")
    asked = parser.parse_args()
    if not asked.list and asked.out is None:
        parser.error("name the file to write with --out, or ask for --list")
    measured: list[dict[str, Any]] = []
    failed = 0
    for run in RUNS:
        if run.gpus > asked.gpus:
            continue
        if asked.list:
            print(shlex.join([str(asked.engine), *run.arguments(asked.models)]))  # noqa: T201
            continue
        try:
            measured.append(measure(run, asked.models, asked.engine))
        except RuntimeError as error:
            failed += 1
            print(error, file=sys.stderr)  # noqa: T201
            continue
        print(json.dumps(measured[-1]), flush=True)  # noqa: T201
        content = {"command": "python bench/kv_cache_runs.py, config.json of each model alone, random weights"}
        asked.out.write_text(json.dumps(content | {"measured": measured}, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
