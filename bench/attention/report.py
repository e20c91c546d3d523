"""What was measured, as the tables of docs/attention.md: pure.

The page holds a pair of comments for each table, and nothing between them is written by hand::

    <!-- decode -->
    <!-- /decode -->
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

NOTHING: Final = "*Not measured yet.*"
_OURS: Final = "XFORMERS"


@dataclass(frozen=True)
class Runs:
    """What was measured, by kind and by the name of the run; errors of all runs together."""

    kernels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    engine: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()
    agree: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parallel: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """Replace what stands between the comments of each table.

    Raises
    ------
    ValueError
        Where the page has no such pair of comments.
    """
    for name, text in tables.items():
        parts = re.split(f"<!-- {name} -->.*?<!-- /{name} -->", page, flags=re.DOTALL)
        if len(parts) != 2:
            raise ValueError(f"the page has no comments <!-- {name} --> and <!-- /{name} -->, or more than one pair")
        before, after = parts
        page = f"{before}<!-- {name} -->\n\n{text}\n\n<!-- /{name} -->{after}"
    return page


def tables(runs: Runs) -> dict[str, str]:
    """Return every table of the page; each run, by its name, is one block with its GPU and its picture."""
    return {
        "decode": _blocks(
            runs.kernels, lambda name, run: f"{_decode(run)}\n\n![Decode by batch size](attention/{name}.svg)"
        ),
        "prefill": _blocks(runs.kernels, lambda _, run: _prefill(run)),
        "engine": _blocks(
            runs.engine, lambda name, run: f"{_engine(run)}\n\n![Steps by batch size](attention/{name}.svg)"
        ),
        "errors": _errors(runs.errors) if runs.errors else NOTHING,
        "agree": _blocks(runs.agree, lambda _, run: _agree(run)),
        "parallel": _parallel(runs.parallel) or NOTHING,
    }


def best(figures: Mapping[str, float], name: str) -> float:
    """Return the figure of a backend, of its page sizes the faster one."""
    return min(figure for key, figure in figures.items() if key.partition(",")[0] == name)


def machine(measured: Mapping[str, Any]) -> str:
    """Name the GPUs of one engine or run, such as ``2 × NVIDIA H200``."""
    gpus = measured.get("gpus", 1)
    return f"{gpus} × {measured['gpu']}" if gpus > 1 else str(measured["gpu"])


def backends(figures: Mapping[str, object]) -> list[str]:
    """Name the backends of a row once each, ours first."""
    return sorted({key.partition(",")[0] for key in figures}, key=lambda name: (name.partition(":")[0] != _OURS, name))


def _blocks(runs: Mapping[str, Mapping[str, Any]], block: Callable[[str, Mapping[str, Any]], str]) -> str:
    return "\n\n".join(block(name, run) for name, run in runs.items()) or NOTHING


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _heading(run: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    bandwidth = run["bandwidth"]
    nominal = bandwidth.get("nominal_bytes_per_second")
    beside = f" (vendor: {nominal / 1e12:.2f})" if nominal else ""
    copied = bandwidth["copy_bytes_per_second"] / 1e12
    return f"**{run['gpu']}**, {versions}, {run['date']}; a copy reaches {copied:.2f} TB/s{beside}."


def _decode(run: Mapping[str, Any]) -> str:
    names = backends(run["decode"][0]["milliseconds"])
    others = [name for name in names if name != _OURS]
    rows = []
    for row in run["decode"]:
        figures = row["milliseconds"]
        launch = "FlashAttention" if row.get("launch") is None else ", ".join(map(str, row["launch"]))
        rows.append(
            [
                str(row["batch"]),
                f"{row['context']:,}",
                f"{row['floor_ms']:.4f}",
                *(f"{best(figures, name):.4f}" for name in names),
                *(f"{best(figures, name) / figures[_OURS]:.2f}×" for name in others),
                f"{row['floor_ms'] / figures[_OURS]:.2f}",
                launch,
            ]
        )
    head = ["batch", "context", "floor", *names, *(f"against {name}" for name in others), "of the floor", "launch"]
    return f"{_heading(run)} Milliseconds per layer.\n\n{_table(head, rows)}"


def _prefill(run: Mapping[str, Any]) -> str:
    names = backends(run["prefill"][0]["milliseconds"])
    rows = [
        [f"{row['new']:,}", f"{row['context']:,}", *(f"{best(row['milliseconds'], name):.3f}" for name in names)]
        for row in run["prefill"]
    ]
    return f"{_heading(run)} Milliseconds per layer.\n\n{_table(['new tokens', 'of', *names], rows)}"


def _engine(run: Mapping[str, Any]) -> str:
    engines = {measured["backend"]: measured for measured in run["backends"]}
    names = backends(engines)
    ratios = {(row["phase"], row["context"], row["batch"]): row for row in run["compared"]}
    first = engines[names[0]]
    parts = [f"**{machine(first)}**, vLLM {first['vllm']}, {run['date']}: {run['model']}."]
    for phase, figure, unit in (
        ("prefill", "tokens_per_second", "Prefill, tokens per second"),
        ("decode", "ms_per_step", "Decode, milliseconds per step"),
    ):
        shapes = {(row["context"], row["batch"]): None for measured in engines.values() for row in measured[phase]}
        rows = []
        for context, batch in sorted(shapes):
            found = [
                next((row[figure] for row in measured if (row["context"], row["batch"]) == (context, batch)), None)
                for measured in (engines[name][phase] for name in names)
            ]
            ratio = ratios.get((phase, context, batch))
            cells = ["" if value is None else f"{value:,}" for value in found]
            rows.append([f"{context:,}", str(batch), *cells, f"{ratio['ratio']:.3f}×" if ratio else ""])
        head = ["context", "prompts" if phase == "prefill" else "batch", *names, f"{_OURS} against the best other"]
        parts.append(f"{unit}:\n\n{_table(head, rows)}")
    return "\n\n".join(parts)


def _errors(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ["backend", "type", "requests", "largest", "mean"],
        [
            [_name(row["backend"]), row["dtype"], f"{row['requests']:,}", f"{row['max']:.1e}", f"{row['mean']:.1e}"]
            for row in rows
        ],
    )


def _agree(run: Mapping[str, Any]) -> str:
    """Whole engines on a small model: distance of log-probabilities from the reference, and turned tokens."""
    rows = [
        [
            engine["engine"],
            *(f"{engine[phase]:.3f}" for phase in ("prompt", "decode", "cached")),
            f"{engine['wrong_tokens']} of {engine['sure_tokens']}",
        ]
        for engine in run["engines"]
    ]
    head = ["engine", "prompts", "decoded", "after cached", "other tokens where the reference is sure"]
    return f"**{run['gpu']}**, vLLM {run['vllm']}, {run['date']}.\n\n{_table(head, rows)}"


def _parallel(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Whole engines split over two GPUs, or over two ranks on one: distance of log-probabilities from those unsplit.

    A run may hold one of the layouts alone; those of one machine, release and day are one table.
    """
    blocks: dict[str, list[list[str]]] = {}
    for run in runs.values():
        on = f"**{machine(run)}**" if run["gpus"] > 1 else f"Two ranks on one **{run['gpu']}**"
        rows = blocks.setdefault(f"{on}, vLLM {run['vllm']}, {run['date']}.", [])
        for row in run["engines"]:
            apart = [f"{row[phase]:.4f}" for phase in ("prompt", "decode")]
            rows.append([row["layout"], row["backend"], *apart, f"{row['decoded_tokens']:,}"])
    head = ["layers", "backend", "prompts", "decoded", "decoded alike"]
    return "\n\n".join(f"{title}\n\n{_table(head, rows)}" for title, rows in blocks.items())


def _name(backend: str) -> str:
    return _OURS if backend == "CUSTOM" else str(backend)
