"""The attention backend XFORMERS for vLLM: the window in every phase, and the fastest kernel for each.

::

    attention.py   what the backend says of itself: what it can do, and what it declines
    builder.py     once a step: FlashAttention's metadata, and the window's part of the block table
    impl.py        once a layer: which kernel runs
    split_k.py     xFormers' split-K kernel over vLLM's own KV cache
    dispatch.py    which kernel, with which launch parameters, for how many sequences
    tuning.py      measures that at start-up

FlashAttention's KV cache layout is kept, so both kernels read one cache: FlashAttention prefills, split-K decodes.
Needs vLLM, PyTorch and xFormers; nothing outside the pod may import these modules.
"""
