"""One step of a group of layers: queries, keys and values, the filled cache, and the metadata a runner would make."""

import random
from collections.abc import Sequence
from typing import Any, Final

import torch
from vllm.v1.attention.backend import CommonAttentionMetadata

from bench.attention.layers import Group
from bench.attention.reference import windowed_attention
from bench.attention.scheduling import NULL_PAGE, Request, block_tables, shared_tokens

# In every element of the cache that holds no token. Finite, because kernels may read masked tokens and multiply them by
# zero; large, so that one such token that does count changes the whole answer.
_POISON: Final = 37.0


class Batch:
    """Requests in one step of a group: everything that vLLM's runner hands to builder and layers.

    Where a request is longer than the window, one key is bent towards the last query: for requests with an even index
    the first key outside the window, which must not count, for the others the last one inside, which must. A window
    that is wrong by one token so changes the answer wholly, at any length.
    """

    def __init__(self, group: Group, requests: Sequence[Request], seed: int = 0) -> None:
        self.group, self.requests = group, tuple(requests)
        geometry, device = group.geometry, group.device
        generator = torch.Generator(device=device).manual_seed(seed)
        self._dtype = getattr(torch, geometry.dtype)
        self._freed_by = group.window if group.frees_pages else None
        rng = random.Random(seed)  # noqa: S311 - block tables are no secret
        tables = block_tables(self.requests, self._freed_by, pages=group.pages, page_tokens=group.page_tokens, rng=rng)
        self.query = self._normal(generator, sum(request.new for request in self.requests), geometry.query_heads)
        self._keys: list[Any] = []
        self._values: list[Any] = []
        starts = [0]
        for index, request in enumerate(self.requests):
            starts.append(starts[-1] + request.new)
            key, value = (self._normal(generator, request.tokens, geometry.kv_heads) for _ in range(2))
            common = shared_tokens(self.requests, index, group.page_tokens)
            if request.prefix_of is not None:
                key[:common] = self._keys[request.prefix_of][:common]
                value[:common] = self._values[request.prefix_of][:common]
            self._keys.append(key)
            self._values.append(value)
        self._starts = starts
        self._bend_keys()
        self.query_start_loc_cpu = torch.tensor(starts, dtype=torch.int32)
        self.query_start_loc = self.query_start_loc_cpu.to(device)
        self.seq_lens_cpu = torch.tensor([request.tokens for request in self.requests], dtype=torch.int32)
        self.seq_lens = self.seq_lens_cpu.to(device)
        columns = -(-group.max_model_len // group.page_tokens)
        self.block_table = torch.tensor(
            [table + [NULL_PAGE] * (columns - len(table)) for table in tables], dtype=torch.int32, device=device
        )
        self.key = torch.cat([key[request.cached :] for key, request in self._with_requests(self._keys)])
        self.value = torch.cat([value[request.cached :] for value, request in self._with_requests(self._values)])
        self.slot_mapping = torch.cat(
            [self._slots(index, request.cached, request.tokens) for index, request in enumerate(self.requests)]
        )

    def fill_caches(self) -> None:
        """Write the context and then the new tokens into every layer's cache, and poison into the rest."""
        kept = [
            (request.first_needed(self._freed_by) // self.group.page_tokens * self.group.page_tokens, request.cached)
            for request in self.requests
        ]
        slots = torch.cat([self._slots(index, first, end) for index, (first, end) in enumerate(kept)])
        keys, values = (
            torch.cat([tokens[first:end] for tokens, (first, end) in zip(of, kept, strict=True)])
            for of in (self._keys, self._values)
        )
        for layer in self.group.layers:
            layer.kv_cache.fill_(_POISON)
            if slots.numel():
                layer.impl.do_kv_cache_update(layer, keys, values, layer.kv_cache, slots)
            layer.impl.do_kv_cache_update(layer, self.key, self.value, layer.kv_cache, self.slot_mapping)

    def metadata(self) -> CommonAttentionMetadata:
        """Return what a runner tells every builder of this step."""
        return CommonAttentionMetadata(
            query_start_loc=self.query_start_loc,
            query_start_loc_cpu=self.query_start_loc_cpu,
            seq_lens=self.seq_lens,
            num_reqs=len(self.requests),
            num_actual_tokens=self._starts[-1],
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

    def forward(self, index: int = 0, built: Any = None) -> Any:
        """Run one layer of the group into an output full of NaN: (new tokens, query heads, head size)."""
        layer = self.group.layers[index]
        output = torch.full_like(self.query, float("nan"))
        built = self.build() if built is None else built
        layer.impl.forward(layer, self.query, self.key, self.value, layer.kv_cache, built, output=output)
        return output

    def errors(self, output: Any, index: int = 0) -> list[float]:
        """Largest difference from the float32 reference over the largest value there, for each request alone.

        For each alone, because outputs over few tokens are large and would hide what is wrong with the others.
        """
        window, scale = self.group.windows[index], self.group.geometry.scale
        relative = []
        for start, request, key, value in zip(self._starts, self.requests, self._keys, self._values, strict=False):
            rows = slice(start, start + request.new)
            expected = windowed_attention(self.query[rows], key, value, window, scale)
            relative.append((output[rows].float() - expected).abs().max() / expected.abs().max())
        return [float(error) for error in torch.stack(relative).tolist()]

    def _normal(self, generator: Any, tokens: int, heads: int) -> Any:
        shape = (tokens, heads, self.group.geometry.head_size)
        return torch.randn(shape, generator=generator, device=self.group.device, dtype=torch.float32).to(self._dtype)

    def _bend_keys(self) -> None:
        windows = {window for window in self.group.windows if window is not None}
        per_group = self.group.geometry.query_heads // self.group.geometry.kv_heads
        for index, request in enumerate(self.requests):
            for window in windows:
                position = request.tokens - 1 - window + index % 2
                # Not in a prefix that others share: there the keys must stay equal
                shared = any(other.prefix_of == index for other in self.requests) or request.prefix_of is not None
                if position >= 0 and not shared:
                    self._keys[index][position] = self.query[self._starts[index + 1] - 1, ::per_group]

    def _slots(self, index: int, first: int, end: int) -> Any:
        positions = torch.arange(first, end, device=self.group.device)
        page_tokens = self.group.page_tokens
        return self.block_table[index, positions // page_tokens].long() * page_tokens + positions % page_tokens

    def _with_requests(self, tokens: list[Any]) -> list[tuple[Any, Request]]:
        return list(zip(tokens, self.requests, strict=True))
