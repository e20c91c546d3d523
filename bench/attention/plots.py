"""Draws what was measured for docs/attention.md, and fills in its tables.

Needs matplotlib, which is no dependency::

    uv run --with matplotlib python -m bench.attention.plots

Reads ``bench/results/attention-{kernels,engine,errors,agree,parallel}*.json``, one file a run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.attention.report import Runs, backends, best, fill, machine, tables

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "bench/results"
PAGE: Final = ROOT / "docs/attention.md"
PICTURES: Final = ROOT / "docs/attention"
# of Okabe and Ito: told apart also by who does not see red and green
_COLOURS: Final = {"XFORMERS": "#0072b2", "FLASH_ATTN": "#d55e00", "TRITON_ATTN": "#009e73", "AUTO": "#999999"}
_DASHES: Final = ("-", "--", ":")


def main() -> None:
    """Draw every run, and write the page's tables."""
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "mistral-operator",  # the same figures make the same bytes
            "font.family": "sans-serif",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "white",
        }
    )
    PICTURES.mkdir(exist_ok=True)
    errors = [row for run in _read("errors").values() for row in run]
    runs = Runs(_read("kernels"), _read("engine"), errors, _read("agree"), _read("parallel"))
    for name, run in runs.kernels.items():
        _draw_kernels(run, PICTURES / f"{name}.svg")
    for name, run in runs.engine.items():
        _draw_engine(run, PICTURES / f"{name}.svg")
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), tables(runs)), encoding="utf-8")


def _read(kind: str) -> dict[str, Any]:
    files = RESULTS.glob(f"attention-{kind}*.json")
    return {file.stem: json.loads(file.read_bytes()) for file in sorted(files, key=lambda file: file.stem)}


def _draw_kernels(run: Mapping[str, Any], file: Path) -> None:
    """Decode by batch size as multiples of the bandwidth floor: nearer to 1 is better."""
    contexts = sorted({row["context"] for row in run["decode"]})
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    for name in backends(run["decode"][0]["milliseconds"]):
        for context, dashes in zip(contexts, _DASHES, strict=False):
            rows = [row for row in run["decode"] if row["context"] == context]
            axes.plot(
                [row["batch"] for row in rows],
                [best(row["milliseconds"], name) / row["floor_ms"] for row in rows],
                dashes,
                marker="o",
                markersize=3,
                color=_COLOURS.get(name),
                label=f"{name}, context {context:,}",
            )
    axes.axhline(1, color="black", linewidth=0.8)
    _by_batch(axes, sorted({row["batch"] for row in run["decode"]}))
    axes.set_ylabel("time / bandwidth floor")
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}×")
    axes.set_title(f"Windowed decode, one layer, window {run['window']:,}: {run['gpu']}", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, file)


def _draw_engine(run: Mapping[str, Any], file: Path) -> None:
    """Decode steps of whole engines by batch size: how much time each backend takes against FLASH_ATTN."""
    named = {measured["backend"]: measured for measured in run["backends"]}
    base = named.get("FLASH_ATTN") or run["backends"][0]
    contexts = sorted({row["context"] for row in base["decode"]})
    figure, panels = plt.subplots(1, len(contexts), figsize=(7.5, 3.6), sharey=True, squeeze=False)
    for axes, context in zip(panels[0], contexts, strict=True):
        of_base = {row["batch"]: row["ms_per_step"] for row in base["decode"] if row["context"] == context}
        for name in backends(named):
            rows = [r for r in named[name]["decode"] if r["context"] == context and r["batch"] in of_base]
            axes.plot(
                [row["batch"] for row in rows],
                [row["ms_per_step"] / of_base[row["batch"]] for row in rows],
                "-" if ":" not in name else "--",
                marker="o",
                markersize=3,
                color=_COLOURS.get(name.partition(":")[0]),
                label=name,
            )
        _by_batch(axes, sorted(of_base))
        axes.set_title(f"context {context:,}", loc="left", fontsize=10)
    panels[0][0].set_ylabel(f"time per step / {base['backend']}'s")
    panels[0][-1].legend(frameon=False, fontsize=8)
    figure.suptitle(f"Decode of whole engines: {machine(base)}", x=0.01, ha="left", fontsize=10)
    _save(figure, file)


def _by_batch(axes: Any, batches: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.minorticks_off()
    axes.set_xlabel("sequences in the batch")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)


def _save(figure: Any, file: Path) -> None:
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
