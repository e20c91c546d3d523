"""Causal attention with a window in plain float32: what every kernel is held against."""

from typing import Any, Final

import torch

_QUERIES_AT_ONCE: Final = 512  # bounds the scores held at a time


def windowed_attention(query: Any, key: Any, value: Any, window: int | None, scale: float) -> Any:
    """Attend causally, each query to itself and the ``window - 1`` tokens before it.

    Parameters
    ----------
    query
        (new tokens, query heads, head size): the last ones of the sequence.
    key, value
        (all tokens, KV heads, head size).
    window
        Tokens, the current one counted; None attends to everything before.

    Returns
    -------
    torch.Tensor
        float32, of the query's shape.
    """
    new, query_heads, head_size = query.shape
    tokens, kv_heads, _ = key.shape
    output = torch.empty(query.shape, dtype=torch.float32, device=query.device)
    for start in range(0, new, _QUERIES_AT_ONCE):
        stop = min(start + _QUERIES_AT_ONCE, new)
        first, last = tokens - new + start, tokens - new + stop
        low = 0 if window is None else max(0, first - window + 1)
        q = query[start:stop].float().view(stop - start, kv_heads, query_heads // kv_heads, head_size)
        scores = torch.einsum("thgd,shd->hgts", q, key[low:last].float()) * scale
        distance = (
            torch.arange(first, last, device=query.device)[:, None]
            - torch.arange(low, last, device=query.device)[None, :]
        )
        hidden = distance < 0 if window is None else (distance < 0) | (distance >= window)
        weights = scores.masked_fill_(hidden, float("-inf")).softmax(-1)
        attended = torch.einsum("hgts,shd->thgd", weights, value[low:last].float())
        output[start:stop] = attended.reshape(stop - start, query_heads, head_size)
    return output
