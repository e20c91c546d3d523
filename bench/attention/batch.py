"""One step with its tokens: queries, keys and values, the filled cache, and how far an output is from the truth."""

from collections.abc import Sequence
from typing import Any, Final

import torch

from bench.attention.layers import Group
from bench.attention.reference import windowed_attention
from bench.attention.scheduling import Request, shared_tokens
from bench.attention.step import Step

# In every element of the cache that holds no token. Finite, because kernels may read masked tokens and multiply them by
# zero; large, so that one such token that does count changes the whole answer.
_POISON: Final = 37.0


class Batch(Step):
    """Requests in one step of a group: everything that vLLM's runner and model hand to builder and layers.

    Where a request is longer than the window, one key is bent towards the last query: for requests with an even index
    the first key outside the window, which must not count, for the others the last one inside, which must. A window
    that is wrong by one token so changes the answer wholly, at any length.
    """

    def __init__(self, group: Group, requests: Sequence[Request], seed: int = 0) -> None:
        super().__init__(group, requests, seed)
        geometry = group.geometry
        generator = torch.Generator(device=group.device).manual_seed(seed)
        self.query = self._normal(generator, self.starts[-1], geometry.query_heads)
        self._keys: list[Any] = []
        self._values: list[Any] = []
        for index, request in enumerate(self.requests):
            key, value = (self._normal(generator, request.tokens, geometry.kv_heads) for _ in range(2))
            if request.prefix_of is not None:
                common = shared_tokens(self.requests, index, group.page_tokens)
                key[:common] = self._keys[request.prefix_of][:common]
                value[:common] = self._values[request.prefix_of][:common]
            self._keys.append(key)
            self._values.append(value)
        self._bend_keys()
        self.key, self.value = (
            torch.cat([tokens[request.cached :] for tokens, request in zip(of, self.requests, strict=True)])
            for of in (self._keys, self._values)
        )

    def fill_caches(self) -> None:
        """Write the context and then the new tokens into every layer's cache, and poison into the rest."""
        page_tokens = self.group.page_tokens
        kept = [
            (request.first_needed(self.freed_by) // page_tokens * page_tokens, request.cached)
            for request in self.requests
        ]
        slots = torch.cat([self.slots(index, first, end) for index, (first, end) in enumerate(kept)])
        keys, values = (
            torch.cat([tokens[first:end] for tokens, (first, end) in zip(of, kept, strict=True)])
            for of in (self._keys, self._values)
        )
        for layer in self.group.layers:
            layer.kv_cache.fill_(_POISON)
            if slots.numel():
                layer.impl.do_kv_cache_update(layer, keys, values, layer.kv_cache, slots)
            layer.impl.do_kv_cache_update(layer, self.key, self.value, layer.kv_cache, self.slot_mapping)

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
        for start, request, key, value in zip(self.starts, self.requests, self._keys, self._values, strict=False):
            rows = slice(start, start + request.new)
            expected = windowed_attention(self.query[rows], key, value, window, scale)
            relative.append((output[rows].float() - expected).abs().max() / expected.abs().max())
        return [float(error) for error in torch.stack(relative).tolist()]

    def _normal(self, generator: Any, tokens: int, heads: int) -> Any:
        geometry, device = self.group.geometry, self.group.device
        shape = (tokens, heads, geometry.head_size)
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float32).to(
            getattr(torch, geometry.dtype)
        )

    def _bend_keys(self) -> None:
        windows = {window for window in self.group.windows if window is not None}
        per_group = self.group.geometry.query_heads // self.group.geometry.kv_heads
        sources = {request.prefix_of for request in self.requests}
        for index, request in enumerate(self.requests):
            if index in sources or request.prefix_of is not None:
                continue  # keys of a prefix in common must stay equal
            for window in windows:
                position = request.tokens - 1 - window + index % 2
                if position >= 0:
                    self._keys[index][position] = self.query[self.starts[index + 1] - 1, ::per_group]
