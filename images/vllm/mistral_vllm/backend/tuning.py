"""Measures, at start-up and on the layers that will serve, which kernel decodes fastest for each batch size."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

import torch
from triton.runtime.errors import OutOfResources
from vllm.v1.attention.backend import CommonAttentionMetadata
from vllm.v1.attention.backends.flash_attn import FlashAttentionImpl

from mistral_vllm.backend.dispatch import Choice, DecodeTable, LaunchParameters, Source, candidates, rule
from mistral_vllm.backend.group import LayerGroup
from mistral_vllm.backend.split_k import SplitK
from mistral_vllm.backend.window_table import WindowTable

_LAYERS: Final = 16  # each with a cache of its own: few would stay in the L2 cache, and flatter
_LAYERS_OF_LARGE_BATCHES: Final = 4
_LARGE_BATCH: Final = 64
_ROUNDS: Final = 5


class Tuner:
    """Times whole walks over the layers, each captured in a CUDA graph as the engine will run it.

    Nothing is written but outputs of its own: the KV cache is only read, and its content does not matter.
    """

    def __init__(self, group: LayerGroup, window_table: WindowTable) -> None:
        self._group = group
        self._window_table = window_table
        self._device = group.device

    def measure(self, seconds: float) -> DecodeTable:
        """Return the fastest choice of every batch size; past the time limit the rule decides, with a warning."""
        begun = time.monotonic()
        choices: dict[int, Choice] = {}
        late: list[int] = []
        for batch in sorted(self._group.sizes, reverse=True):
            if time.monotonic() - begun > seconds:
                late.append(batch)
                choices[batch] = Choice(rule(batch, self._group.first.num_kv_heads, self._window_table.pages))
            else:
                choices[batch] = self._fastest(batch)
        warning = (
            (f"measuring took longer than {seconds:.0f} s: batches {sorted(late)} go by the rule",) if late else ()
        )
        return DecodeTable(dict(sorted(choices.items())), Source.RULE if late else Source.MEASURED, warning)

    def _fastest(self, batch: int) -> Choice:
        flash_attn = self.flash_attn_seconds(batch)
        launches = candidates(batch, self._group.first.num_kv_heads, self._window_table.pages)
        seconds, parameters = min((self.split_k_seconds(batch, launch), launch) for launch in launches)
        return Choice(parameters) if seconds < flash_attn else Choice(None)

    def flash_attn_seconds(self, batch: int) -> float:
        """Return what FlashAttention takes for one layer, as the engine runs it; infinite where it cannot."""
        metadata = self._group.flash_attn_metadata(self._common(batch))
        query, output = self._tokens(batch), self._tokens(batch)

        def walk(layer: Any) -> None:
            FlashAttentionImpl.forward(layer.impl, layer, query, query, query, layer.kv_cache, metadata, output)

        return self._seconds(batch, walk)

    def split_k_seconds(self, batch: int, parameters: LaunchParameters) -> float:
        """Return what split-K takes for one layer; infinite where it cannot."""
        common = self._common(batch)
        self._window_table.fill(common.block_table_tensor, common.seq_lens, batch)
        query, output = self._tokens(batch), self._tokens(batch)
        impl, splits = self._group.first, batch * parameters.split_k
        split_k = SplitK(impl.num_heads, impl.num_kv_heads, impl.head_size, splits, self._device)

        def walk(layer: Any) -> None:
            split_k.decode(query, layer.kv_cache, self._window_table, parameters, layer.impl.scale, output)

        return self._seconds(batch, walk)

    def _seconds(self, batch: int, walk: Callable[[Any], None]) -> float:
        layers = self._group.layers[: _LAYERS_OF_LARGE_BATCHES if batch >= _LARGE_BATCH else _LAYERS]
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(stream):
                walk(layers[0])  # compiled here: nothing may be loaded while a graph is captured
                stream.synchronize()
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    for layer in layers:
                        walk(layer)
                finally:
                    graph.capture_end()
                return _best_seconds(graph, stream) / len(layers)
        except (OutOfResources, torch.OutOfMemoryError):
            return math.inf
        finally:
            torch.cuda.current_stream(self._device).wait_stream(stream)

    def _common(self, batch: int) -> CommonAttentionMetadata:
        """Return a decode step of sequences two windows long, on pages all over the cache."""
        page = self._group.page_tokens
        length = min(2 * self._group.window_tokens, self._group.max_model_len_tokens)
        columns = -(-length // page)
        blocks = self._group.layers[0].kv_cache.shape[0]
        generator = torch.Generator(device="cpu").manual_seed(0)
        if batch * columns < blocks:
            pages = torch.randperm(blocks - 1, generator=generator)[: batch * columns] + 1
        else:
            pages = torch.randint(blocks, (batch * columns,), generator=generator)
        starts = torch.arange(batch + 1, dtype=torch.int32)
        return CommonAttentionMetadata(
            query_start_loc=starts.to(self._device),
            query_start_loc_cpu=starts,
            seq_lens=torch.full((batch,), length, dtype=torch.int32, device=self._device),
            num_reqs=batch,
            num_actual_tokens=batch,
            max_query_len=1,
            max_seq_len=length,
            block_table_tensor=pages.to(torch.int32).view(batch, columns).to(self._device),
            slot_mapping=torch.zeros(batch, dtype=torch.int64, device=self._device),
        )

    def _tokens(self, batch: int) -> torch.Tensor:
        impl = self._group.first
        return torch.randn((batch, impl.num_heads, impl.head_size), dtype=self._group.dtype, device=self._device)


def _best_seconds(graph: Any, stream: Any) -> float:
    """Return the shortest of a few replays: whatever disturbs a replay makes it longer, never shorter."""
    graph.replay()
    best = math.inf
    for _ in range(_ROUNDS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record(stream)
        graph.replay()
        end.record(stream)
        end.synchronize()
        best = min(best, begin.elapsed_time(end) / 1000)
    return best
