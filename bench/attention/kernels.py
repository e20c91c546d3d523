"""Kernel times of each attention backend with a window: decode by batch size, and prefill. Needs a GPU.

Each backend runs through its own builder and its own layers, as vLLM calls them, without an engine; decode in CUDA
graphs over layers that each have a cache of their own, so that nothing stays in the GPU's L2 cache::

    python -m bench.attention.kernels --json kernels.json --profile sm90-head128-bfloat16.json

The floor is the time that reading the window's keys and values takes at the measured bandwidth of a copy.
"""

import argparse
import gc
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from bench.attention.geometry import Geometry
from bench.attention.graph import DecodeGraph
from bench.attention.layers import Group, attention_groups, engine_config, single_rank
from bench.attention.profile_file import profile
from bench.attention.scheduling import Request, decodes
from bench.attention.step import Step
from bench.attention.timing import bandwidth, milliseconds, repeats_for

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS: Final = (8192, 32768)
PROMPTS: Final = ((8192, 8192), (32768, 32768), (8192, 32768))  # new tokens, tokens in all
MAX_MODEL_LEN: Final = 32768


class Variant(NamedTuple):
    """A backend and the page size it runs with, in tokens."""

    backend: str
    page_tokens: int

    @property
    def name(self) -> str:
        """Name of a column."""
        return f"{self.backend}, pages of 16" if self == Variant("FLASH_ATTN", 16) else self.backend


# All with pages of 64; FlashAttention also with those that vLLM gives it where nobody asks for a block size
VARIANTS: Final = (
    Variant("FLASH_ATTN", 64),
    Variant("FLASH_ATTN", 16),
    Variant("TRITON_ATTN", 64),
    Variant("XFORMERS", 64),
)


def layers_for(batch: int) -> int:
    """How many layers with caches of their own are walked: fewer where caches are large."""
    return 16 if batch < 128 else 4


def measure_decode(batches: Sequence[int], contexts: Sequence[int], window: int, device: Any) -> list[dict[str, Any]]:
    """Time one decode step per layer for each batch size, context and backend."""
    rows: list[dict[str, Any]] = [
        {"batch": batch, "context": context, "milliseconds": {}} for batch in batches for context in contexts
    ]
    for layers in dict.fromkeys(layers_for(batch) for batch in batches):
        together = [row for row in rows if layers_for(row["batch"]) == layers]
        largest = max(row["batch"] for row in together)
        for variant in VARIANTS:
            pages = largest * (window // variant.page_tokens + 2) + 1
            with _group(variant, window, layers, pages, device) as group:
                for row in together:
                    _time_decode(row, variant, group)
    return rows


def _time_decode(row: dict[str, Any], variant: Variant, group: Group) -> None:
    # Lengths that differ, so that windows begin at any place of a page
    step = Step(group, decodes(*(max(1, row["context"] - 7 - 13 * index) for index in range(row["batch"]))))
    graph = DecodeGraph(group, row["batch"])
    graph.load(step)
    per_layer = milliseconds(graph.replay, repeats_for(graph.replay)) / len(group.layers)
    row["milliseconds"][variant.name] = round(per_layer, 5)
    if variant.backend == "XFORMERS":
        told = group.told
        row["decode_table_source"] = told["decodeTableSource"]
        row["launch"] = _launch(told["decodeTable"], row["batch"])
    _print_progress(f"decode {variant.name}, batch {row['batch']}, context {row['context']}: {per_layer:.4f} ms")


def _launch(table: Sequence[dict[str, Any]], batch: int) -> list[int] | None:
    entry = min(table, key=lambda entry: abs(entry["batch"] - batch), default={})
    return [entry[word] for word in ("splitK", "numWarps", "numStages")] if "splitK" in entry else None


def measure_prefill(prompts: Sequence[tuple[int, int]], window: int, device: Any) -> list[dict[str, Any]]:
    """Time one layer over a prompt, or over its last chunk."""
    rows: list[dict[str, Any]] = [{"new": new, "context": tokens, "milliseconds": {}} for new, tokens in prompts]
    for variant in VARIANTS:
        with _group(variant, window, 1, MAX_MODEL_LEN // variant.page_tokens + 2, device) as group:
            for row in rows:
                step = Step(group, [Request(row["new"], row["context"])])
                layer, geometry, built = group.layers[0], group.geometry, step.build()
                shape = (row["new"], geometry.query_heads, geometry.head_size)
                query = torch.randn(shape, dtype=getattr(torch, geometry.dtype), device=device)
                key = query[:, : geometry.kv_heads].contiguous()
                output = torch.empty_like(query)

                def run(
                    layer: Any = layer, query: Any = query, key: Any = key, built: Any = built, output: Any = output
                ) -> None:
                    layer.impl.forward(layer, query, key, key, layer.kv_cache, built, output=output)

                row["milliseconds"][variant.name] = round(milliseconds(run, repeats_for(run)), 4)
                _print_progress(
                    f"prefill {variant.name}, {row['new']} of {row['context']}: {row['milliseconds'][variant.name]} ms"
                )
    return rows


@contextmanager
def _group(variant: Variant, window: int, layers: int, pages: int, device: Any) -> Iterator[Group]:
    with tempfile.TemporaryDirectory() as folder:
        geometry = Geometry()
        config = engine_config(
            geometry,
            Path(folder),
            layers=layers,
            max_model_len=MAX_MODEL_LEN,
            page_tokens=variant.page_tokens,
            max_num_batched_tokens=MAX_MODEL_LEN,
        )
        (group,) = attention_groups(
            variant.backend,
            geometry,
            [window] * layers,
            config,
            device,
            pages=pages,
            page_tokens=variant.page_tokens,
        )
        for layer in group.layers:
            layer.kv_cache.normal_()
        try:
            yield group
        finally:
            config.compilation_config.static_forward_context.clear()
            for layer in group.layers:
                layer.kv_cache = torch.tensor([])
            gc.collect()
            torch.cuda.empty_cache()


def add_floor(rows: Sequence[dict[str, Any]], window: int, bytes_per_second: float) -> None:
    """Write the floor, and how near to it and how much faster than the others XFORMERS is, into rows of decode."""
    for row in rows:
        tokens = row["batch"] * min(window, row["context"])
        row["floor_ms"] = round(Geometry().kv_bytes(tokens) / bytes_per_second * 1e3, 5)
        ours = row["milliseconds"]["XFORMERS"]
        row["of_floor"] = round(row["floor_ms"] / ours, 3)
        row["times_faster"] = {
            name: round(theirs / ours, 3) for name, theirs in row["milliseconds"].items() if name != "XFORMERS"
        }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Lay decode out as text, milliseconds per layer."""
    names = [variant.name for variant in VARIANTS]
    head = f"{'batch':>6}{'context':>9}{'floor':>9}" + "".join(f"{name:>25}" for name in names) + f"{'of floor':>10}"
    lines = [head]
    for row in rows:
        cells = (
            f"{row['milliseconds'][name]:.4f}"
            + (f" ({row['times_faster'][name]:.2f}x)" if name != "XFORMERS" else f" {row.get('launch')}")
            for name in names
        )
        lines.append(
            f"{row['batch']:>6}{row['context']:>9}{row['floor_ms']:>9.4f}"
            + "".join(f"{cell:>25}" for cell in cells)
            + f"{row['of_floor']:>10.2f}"
        )
    return "\n".join(lines)


def _print_progress(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def main() -> None:
    """Measure, print, and write what was asked for."""
    out = Path(os.environ.get("OUT", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, action="append", help=f"batch size; default {BATCHES}")
    parser.add_argument("--context", type=int, action="append", help=f"tokens of each sequence; default {CONTEXTS}")
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--json", type=Path, default=out / "kernels.json", help="where the figures are written")
    parser.add_argument("--profile", type=Path, help="also write a profile for mistral_vllm/profiles/")
    arguments = parser.parse_args()
    os.environ.setdefault("MISTRAL_VLLM_DECODE", "auto")
    device = torch.device("cuda:0")
    memory = bandwidth(device)
    with single_rank(device):
        batches, contexts = arguments.batch or BATCHES, arguments.context or CONTEXTS
        decode = measure_decode(batches, contexts, arguments.window, device)
        prefill = measure_prefill(PROMPTS, arguments.window, device)
    add_floor(decode, arguments.window, memory["copy_bytes_per_second"] or 1.0)
    major, minor = torch.cuda.get_device_capability(device)
    geometry = Geometry()
    measured = {
        "command": "python -m bench.attention.kernels",
        "date": datetime.now(UTC).date().isoformat(),
        "gpu": torch.cuda.get_device_name(device),
        "compute_capability": f"{major}.{minor}",
        "versions": {name: version(name) for name in ("vllm", "xformers", "torch", "triton")},
        "geometry": {
            "query_heads": geometry.query_heads,
            "kv_heads": geometry.kv_heads,
            "head_size": geometry.head_size,
            "dtype": geometry.dtype,
        },
        "window": arguments.window,
        "bandwidth": memory,
        "decode_layers": "16 layers (4 from batch 128 on)",
        "decode": decode,
        "prefill": prefill,
    }
    arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    if arguments.profile is not None:
        arguments.profile.write_text(json.dumps(profile(measured), indent=1) + "\n")
    print(table(decode))  # noqa: T201


if __name__ == "__main__":
    main()
