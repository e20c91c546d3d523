"""A plan for a person: what was read, what was chosen and why, the layers and one GPU's memory drawn."""

import shlex
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mistral_operator.cli.terminal import visible
from mistral_operator.planning.plan import Plan
from mistral_operator.planning.quantity import gib, kib
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout
from mistral_vllm.reasons import DecisionReason

if TYPE_CHECKING:  # a plan without a file and without a cluster has none
    from mistral_operator.planning.placement import Placement

_SLIDING, _FULL = "▄", "█"
_BAR_WIDTH: Final = 60


def print_plan(plan: Plan, console: Console, placement: "Placement | None" = None) -> None:
    """Print the whole plan, and the GPUs it holds for where a placement tells."""
    console.print(_title(plan))
    memory = _memory(plan)
    for heading, rows in (("Model", _model(plan)), ("Attention", _attention(plan)), ("Memory of one GPU", memory)):
        if rows:
            console.print(f"\n[bold]{heading}[/bold]")
            if rows is memory:
                _draw_memory(plan, console)
            console.print(_grid(rows))
    if placement is not None:
        _print_gpus(placement, console)
    _print_rejected(plan, console)
    _print_list("Warnings", [f"{found.reason}: {found.message}" for found in plan.findings], "yellow", console)
    _print_list("Assumed", list(plan.assumptions), "cyan", console)
    console.print("\n[bold]Run it[/bold]")
    console.print(Text(_command(plan)), soft_wrap=True)


def _title(plan: Plan) -> str:
    commit = f" [dim]at {escape(visible(plan.facts.commit[:12]))}[/dim]" if plan.facts.commit else ""
    return f"[bold]{escape(visible(plan.facts.id))}[/bold]{commit} on {plan.request.runtime}"


def _grid(rows: list[tuple[str, Text | str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(f"  {visible(name)}"), value if isinstance(value, Text) else Text(visible(value)))
    return grid


def _model(plan: Plan) -> list[tuple[str, Text | str]]:
    size = [f"{plan.parameters / 1e9:.2f} B parameters"] if plan.parameters else []
    size += [gib(plan.weights_bytes)] if plan.weights_bytes else []
    precision = plan.precision.dtype + (
        f", {plan.precision.quantization} weights" if plan.precision.quantization else ""
    )
    return [
        ("read from", plan.config_format.file_name + (f", {plan.architecture}" if plan.architecture else "")),
        ("size", ", ".join([*size, precision])),
        ("context", f"{plan.max_model_len_tokens:,} tokens"),
    ]


def _attention(plan: Plan) -> list[tuple[str, Text | str]]:
    layout, decision = plan.layout, plan.decision
    window = f"none ({layout.source})"
    if layout.window_tokens is not None:
        window = f"{layout.window_tokens:,} tokens ({layout.source})"
    if decision.reason is DecisionReason.WINDOW_EXCEEDS_CONTEXT:
        window += ", which never bites at this context"
    counts = [f"{layout.sliding} sliding"] if layout.sliding else []
    counts += [f"{layout.full} full"] if layout.full else []
    backends = Text(", ".join(f"{kind}: {name}" for kind, name in decision.backends.items()), style="bold green")
    return [
        ("window", window),
        ("layers", f"{' and '.join(counts)} ({_pattern(layout)})"),
        ("", _drawn_layers(layout)),
        ("backend", backends),
        ("because", f"{decision.reason}: {decision.message}"),
        ("xformers", str(decision.xformers)),
    ]


def _pattern(layout: AttentionLayout) -> str:
    """Say the repeated unit, or the runs where nothing repeats."""
    unit = layout.unit
    if len(unit) == 1:
        return "all alike"
    runs = [
        f"{sum(1 for _ in run)} {'sliding' if kind is LayerType.SLIDING else 'full'}" for kind, run in groupby(unit)
    ]
    times = len(layout.layers) // len(unit)
    return f"{', '.join(runs)}; {times} times over" if times > 1 else ", ".join(runs)


def _drawn_layers(layout: AttentionLayout) -> Text:
    drawn = Text()
    for layer in layout.layers:
        sliding = layer is LayerType.SLIDING
        drawn.append(_SLIDING if sliding else _FULL, style="green" if sliding else "blue")
    legend = [f"{_SLIDING} sliding"] if layout.sliding else []
    legend += [f"{_FULL} full"] if layout.full else []
    drawn.append(f"  {'  '.join(legend)}", style="dim")
    return drawn


def _memory(plan: Plan) -> list[tuple[str, Text | str]]:
    memory = plan.memory
    if memory is None:
        return []
    cache = memory.kv_cache
    per_token = f"{kib(cache.bytes_per_token)} per token over all layers, blocks of {cache.block_size_tokens}"
    rows: list[tuple[str, Text | str]] = [("KV cache", per_token)]
    if cache.sliding_tokens_per_request:
        reserved = f"reserves {cache.sliding_tokens_per_request:,} tokens a sequence"
        rows.append(("sliding layer", f"{reserved} (window - 1 + two batches in flight)"))
    if memory.fits:
        sequences = f"{cache.concurrent_sequences:.1f} sequences of {plan.max_model_len_tokens:,}"
        rows.append(("holds", f"{cache.tokens:,} tokens: {sequences}"))
    return rows


def _draw_memory(plan: Plan, console: Console) -> None:
    memory = plan.memory
    if memory is None:
        return
    parts = [
        ("weights", memory.weights_bytes, "magenta", "█"),
        ("working", memory.working_bytes, "yellow", "▓"),
        ("KV cache", memory.kv_cache_bytes, "green", "▒"),
        ("left", memory.total_bytes - memory.usable_bytes, "dim", "░"),
    ]
    scale = max(memory.total_bytes, sum(size for _, size, _, _ in parts))
    bar, legend, filled, drawn = Text("  "), Text("  "), 0, 0
    for name, size, style, symbol in parts:
        filled += size
        width = round(filled / scale * _BAR_WIDTH) - drawn
        bar.append(symbol * width, style=style)
        drawn += width
        legend.append(f"{symbol} ", style=style).append(f"{name} {gib(size)}  ")
    bar.append(f"  {gib(memory.total_bytes)}", style="dim")
    console.print(bar)
    console.print(legend)


def _print_gpus(placement: "Placement", console: Console) -> None:
    rows: list[tuple[str, Text | str]] = [("runs on", str(gpu)) for gpu in placement.classes]
    rows = rows or [("runs on", placement.message)]
    rows += [("left out", f"{left.gpu}: {left.message}") for left in placement.left_out]
    console.print("\n[bold]GPUs[/bold]")
    console.print(_grid(rows))


def _print_rejected(plan: Plan, console: Console) -> None:
    if plan.decision.rejected:
        console.print("\n[bold]Not chosen[/bold]")
        console.print(_grid([(no.backend, f"{no.reason}: {no.message}") for no in plan.decision.rejected]))


def _print_list(heading: str, sentences: list[str], style: str, console: Console) -> None:
    if sentences:
        console.print(f"\n[bold {style}]{heading}[/bold {style}]")
        console.print(_grid([("-", sentence) for sentence in sentences]))


def _command(plan: Plan) -> str:
    """Write environment and arguments as one shell command, an option to a line."""
    words = [_word(word) for word in plan.command_args]
    lines = [f"{name}={_word(value)}" for name, value in plan.command_env.items()]
    lines.append(f"vllm serve {words[0]}")
    for word in words[1:]:
        if word.startswith("-"):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return "  " + " \\\n    ".join(lines)


def _word(word: str) -> str:
    """Quote a word for a shell; what a terminal would act on takes the shell's own escapes."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{visible(escaped)}'"
