"""What a runner hands to the metadata builders at one step: lengths, block tables and slots."""

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from vllm.v1.attention.backend import CommonAttentionMetadata

from bench.attention.layers import Group
from bench.attention.scheduling import NULL_PAGE, Request, block_tables


class Step:
    """Requests in one step of a group, without their tokens.

    Attributes
    ----------
    starts
        Row of each request's first new token, and the end.
    query_start_loc, seq_lens, block_table
        int32 on the device: (requests + 1), (requests), (requests, pages of the longest model length).
    slot_mapping
        int64: where each new token's key and value are written.
    """

    def __init__(self, group: Group, requests: Sequence[Request], seed: int = 0) -> None:
        self.group, self.requests = group, tuple(requests)
        self.freed_by = group.window if group.frees_pages else None
        rng = random.Random(seed)  # noqa: S311 - block tables are no secret
        tables = block_tables(self.requests, self.freed_by, pages=group.pages, page_tokens=group.page_tokens, rng=rng)
        columns = -(-group.max_model_len // group.page_tokens)
        self.block_table = torch.tensor(
            [table + [NULL_PAGE] * (columns - len(table)) for table in tables], dtype=torch.int32, device=group.device
        )
        self.starts = [0, *accumulate(request.new for request in self.requests)]
        self.query_start_loc_cpu = torch.tensor(self.starts, dtype=torch.int32)
        self.query_start_loc = self.query_start_loc_cpu.to(group.device)
        self.seq_lens_cpu = torch.tensor([request.tokens for request in self.requests], dtype=torch.int32)
        self.seq_lens = self.seq_lens_cpu.to(group.device)
        self.slot_mapping = torch.cat(
            [self.slots(index, request.cached, request.tokens) for index, request in enumerate(self.requests)]
        )

    def slots(self, index: int, first: int, end: int) -> Any:
        """Return where a request's tokens from ``first`` to before ``end`` stand in the cache."""
        positions = torch.arange(first, end, device=self.group.device)
        page_tokens = self.group.page_tokens
        return self.block_table[index, positions // page_tokens].long() * page_tokens + positions % page_tokens

    def metadata(self) -> CommonAttentionMetadata:
        """Return what a runner tells every builder of this step."""
        return CommonAttentionMetadata(
            query_start_loc=self.query_start_loc,
            query_start_loc_cpu=self.query_start_loc_cpu,
            seq_lens=self.seq_lens,
            num_reqs=len(self.requests),
            num_actual_tokens=self.starts[-1],
            max_query_len=max(request.new for request in self.requests),
            max_seq_len=max(request.tokens for request in self.requests),
            block_table_tensor=self.block_table,
            slot_mapping=self.slot_mapping,
            causal=True,
            is_prefilling=torch.tensor([request.new > 1 for request in self.requests]),
            seq_lens_cpu_upper_bound=self.seq_lens_cpu,
        )

    def build(self) -> Any:
        """Build this step's metadata, called as vLLM calls it."""
        return self.group.builder.build(common_prefix_len=0, common_attn_metadata=self.metadata())
