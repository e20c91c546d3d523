"""The part of the block table that the window touches, rebuilt in place at every step.

xFormers' paged masks split the whole block table, and every split outside the window idles: at a context of 32,768
tokens one decode step took 1.9 times as long as over these few entries (H200, window 4096). One small kernel a step
moves them to the front, for all layers of a group; CUDA graphs find them at the same addresses.
"""

import torch
import triton
import triton.language as tl


def pages_of_window(window_tokens: int, page_tokens: int) -> int:
    """Return how many pages a window can touch: it may begin with the last token of one."""
    return (window_tokens + page_tokens - 2) // page_tokens + 1


@triton.jit
def _move_to_front(  # type: ignore[no-untyped-def]  # noqa: ANN202
    block_table,  # noqa: ANN001
    block_table_stride,  # noqa: ANN001
    seq_lens,  # noqa: ANN001
    window_table,  # noqa: ANN001
    window_table_stride,  # noqa: ANN001
    starts,  # noqa: ANN001
    ends,  # noqa: ANN001
    pages,  # noqa: ANN001
    WINDOW: tl.constexpr,  # noqa: N803 - Triton's way
    PAGE: tl.constexpr,  # noqa: N803
    PAGES_POW2: tl.constexpr,  # noqa: N803
):
    row = tl.program_id(0).to(tl.int64)
    length = tl.load(seq_lens + row)
    start = tl.maximum(length - WINDOW, 0)
    first = start // PAGE
    entry = tl.arange(0, PAGES_POW2)
    used = (entry < pages) & ((first + entry) * PAGE < length)
    block = tl.load(block_table + row * block_table_stride + first + entry, mask=used, other=0)
    tl.store(window_table + row * window_table_stride + entry, block, mask=entry < pages)
    tl.store(starts + row, start - first * PAGE)
    tl.store(ends + row, length - first * PAGE)


class WindowTable:
    """Persistent buffers of one layer group on one device.

    Attributes
    ----------
    blocks
        (max_seqs, pages) int32: physical pages of each sequence's window, in order.
    starts, ends
        (max_seqs,) int32, in tokens from the start of the first of those pages: the window is ``[start, end)``. A
        padded row, of length 0, has an empty one.
    """

    def __init__(self, window_tokens: int, page_tokens: int, max_seqs: int, device: torch.device) -> None:
        self.window_tokens = window_tokens
        self.page_tokens = page_tokens
        self.pages = pages_of_window(window_tokens, page_tokens)
        self.blocks = torch.zeros((max_seqs, self.pages), dtype=torch.int32, device=device)
        self.starts = torch.zeros(max_seqs, dtype=torch.int32, device=device)
        self.ends = torch.zeros(max_seqs, dtype=torch.int32, device=device)

    @property
    def max_seqs(self) -> int:
        """The most sequences of one step."""
        return int(self.blocks.shape[0])

    def fill(self, block_table: torch.Tensor, seq_lens: torch.Tensor, num_seqs: int) -> None:
        """Take the first ``num_seqs`` rows of vLLM's block table (rows, pages) and of the lengths in tokens, int32."""
        _move_to_front[(num_seqs,)](
            block_table,
            block_table.stride(0),
            seq_lens,
            self.blocks,
            self.blocks.stride(0),
            self.starts,
            self.ends,
            self.pages,
            WINDOW=self.window_tokens,
            PAGE=self.page_tokens,
            PAGES_POW2=triton.next_power_of_2(self.pages),
        )
