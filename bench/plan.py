"""How fast the decision answers: importing its module, and planning a local folder, each in fresh processes.

Prints the minimum and the median of several runs, and what the same interpreter takes to start and do nothing, so that
figures from different machines can be told apart. ``--json FILE`` keeps them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_MODELS = Path(__file__).resolve().parents[1] / "devcluster/devcluster/hub/models"
_MODEL = _MODELS / "mistralai__Mistral-7B-v0.1"
_IMPORT = (
    "import time; start = time.perf_counter(); import mistral_vllm.mistral_sliding_window; "
    "print(time.perf_counter() - start)"
)


def _wall_seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own commands
    return time.perf_counter() - start


def _import_seconds() -> float:
    done = subprocess.run([sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures here, in seconds")
    arguments = parser.parse_args()
    plan = [str(Path(sys.executable).with_name("mistral-operator")), "plan", str(_MODEL)]
    subjects: dict[str, Callable[[], float]] = {
        "interpreter, doing nothing": lambda: _wall_seconds([sys.executable, "-c", ""]),
        "import mistral_sliding_window": _import_seconds,
        "plan a local folder": lambda: _wall_seconds(plan),
        "plan a local folder, -o json": lambda: _wall_seconds([*plan, "-o", "json"]),
    }
    figures: dict[str, dict[str, float]] = {}
    print(f"{'':32}{'minimum':>12}{'median':>12}")  # noqa: T201
    for name, measure in subjects.items():
        measure()  # the first run writes bytecode and fills the page cache
        seconds = [measure() for _ in range(arguments.runs)]
        figures[name] = {"minimum_seconds": min(seconds), "median_seconds": statistics.median(seconds)}
        print(f"{name:32}{min(seconds) * 1e3:9.1f} ms{statistics.median(seconds) * 1e3:9.1f} ms")  # noqa: T201
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
