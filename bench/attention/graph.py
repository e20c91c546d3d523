"""Decode in a CUDA graph, as vLLM runs it: captured once over persistent inputs, replayed with others in them."""

from typing import Any

import torch
from vllm.v1.attention.backend import CommonAttentionMetadata

from bench.attention.batch import Batch
from bench.attention.layers import Group
from bench.attention.step import Step


class DecodeGraph:
    """All layers of a group captured for one batch size.

    The metadata of the capture are those of vLLM's dummy run: lengths of 1 and empty block tables. For each step the
    inputs are copied in, the builder builds in place, and the graph is replayed; a smaller batch is padded with rows of
    length 0 that have no page, as the runners pad it.
    """

    def __init__(self, group: Group, size: int) -> None:
        self.group, self.size = group, size
        geometry, device = group.geometry, group.device
        dtype = getattr(torch, geometry.dtype)
        self._query = torch.zeros(size, geometry.query_heads, geometry.head_size, dtype=dtype, device=device)
        self._key = torch.zeros(size, geometry.kv_heads, geometry.head_size, dtype=dtype, device=device)
        self._value = torch.zeros_like(self._key)
        self._outputs = [torch.zeros_like(self._query) for _ in group.layers]
        self._query_start_loc_cpu = torch.arange(size + 1, dtype=torch.int32)
        self._query_start_loc = self._query_start_loc_cpu.to(device)
        self._seq_lens = torch.ones(size, dtype=torch.int32, device=device)
        columns = -(-group.max_model_len // group.page_tokens)
        self._block_table = torch.zeros(size, columns, dtype=torch.int32, device=device)
        self._slots = torch.full((size,), -1, dtype=torch.int64, device=device)
        built = group.builder.build_for_cudagraph_capture(
            self._metadata(torch.ones(size, dtype=torch.int32), longest=group.max_model_len)
        )
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self._forward(built)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._forward(built)

    def load(self, step: Step) -> None:
        """Copy a step into the persistent inputs and build its metadata in place."""
        count = len(step.requests)
        self._query_start_loc_cpu = torch.arange(self.size + 1, dtype=torch.int32).clamp_(max=count)
        self._query_start_loc.copy_(self._query_start_loc_cpu)
        self._seq_lens.zero_()
        self._seq_lens[:count] = step.seq_lens
        self._block_table.zero_()
        self._block_table[:count] = step.block_table
        self._slots.fill_(-1)
        self._slots[:count] = step.slot_mapping
        lengths = torch.zeros(self.size, dtype=torch.int32)
        lengths[:count] = step.seq_lens_cpu
        self.group.builder.build(
            common_prefix_len=0, common_attn_metadata=self._metadata(lengths, longest=int(lengths.max()))
        )

    def replay(self) -> None:
        """Run all layers once."""
        self._graph.replay()

    def run(self, batch: Batch) -> list[Any]:
        """Load and run a batch whose caches are filled, over outputs full of NaN; return each layer's output for it."""
        count = len(batch.requests)
        self._query[:count], self._key[:count], self._value[:count] = batch.query, batch.key, batch.value
        self.load(batch)
        for output in self._outputs:
            output.fill_(float("nan"))
        self.replay()
        return [output[:count].clone() for output in self._outputs]

    def _metadata(self, lengths_cpu: Any, longest: int) -> CommonAttentionMetadata:
        return CommonAttentionMetadata(
            query_start_loc=self._query_start_loc,
            query_start_loc_cpu=self._query_start_loc_cpu,
            seq_lens=self._seq_lens,
            num_reqs=self.size,
            num_actual_tokens=self.size,
            max_query_len=1,
            max_seq_len=longest,
            block_table_tensor=self._block_table,
            slot_mapping=self._slots,
            causal=True,
            is_prefilling=torch.zeros(self.size, dtype=torch.bool),
            seq_lens_cpu_upper_bound=lengths_cpu,
        )

    def _forward(self, built: Any) -> None:
        for layer, output in zip(self.group.layers, self._outputs, strict=True):
            layer.impl.forward(layer, self._query, self._key, self._value, layer.kv_cache, built, output=output)
