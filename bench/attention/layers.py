"""Attention layers as vLLM's worker holds them, without an engine around them.

Real ``Attention`` layers, real metadata builders, KV caches of the backend's own shape and stride order, made in the
order in which a worker makes them. What a model and a scheduler would add is left to :mod:`bench.attention.batch`.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final

import torch
from vllm.config import set_current_vllm_config
from vllm.distributed.parallel_state import (
    destroy_distributed_environment,
    destroy_model_parallel,
    ensure_model_parallel_initialized,
    init_distributed_environment,
)
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.attention import Attention
from vllm.v1.attention.backends.registry import AttentionBackendEnum
from vllm.v1.kv_cache_interface import FullAttentionSpec

from bench.attention.geometry import Geometry, write_config

PAGE_TOKENS: Final = 64


@dataclass(frozen=True)
class Group:
    """Layers that share block tables and a metadata builder: one KV cache group of vLLM."""

    geometry: Geometry
    backend: Any
    window: int | None  # what the group's KV cache spec carries; each layer's own is in ``windows``
    frees_pages: bool  # whether pages that the window has left behind are taken from the requests
    windows: tuple[int | None, ...]
    layers: tuple[Any, ...]
    builder: Any
    pages: int
    page_tokens: int
    max_model_len: int
    device: Any

    @property
    def told(self) -> dict[str, Any]:
        """What the first layer says it runs."""
        return dict(self.layers[0].impl.told())


def backend_class(name: str) -> Any:
    """Return a backend by the name that people use."""
    if name == "XFORMERS":
        from mistral_vllm.backend.attention import XFormersBackend  # noqa: PLC0415

        return XFormersBackend
    return AttentionBackendEnum[name].get_class()


@contextmanager
def single_rank(device: Any) -> Iterator[None]:
    """Stand up vLLM's process groups for one rank, as a worker does before it loads a model."""
    with tempfile.TemporaryDirectory() as folder:
        config = engine_config(Geometry(), Path(folder), max_model_len=1024, layers=1)
        with set_current_vllm_config(config):
            init_distributed_environment(
                world_size=1,
                rank=0,
                local_rank=0,
                distributed_init_method=f"file://{folder}/rendezvous",
                backend="nccl" if device.type == "cuda" else "gloo",
            )
            ensure_model_parallel_initialized(1, 1)
        try:
            yield
        finally:
            destroy_model_parallel()
            destroy_distributed_environment()


def engine_config(
    geometry: Geometry, folder: Path, *, layers: int, max_model_len: int, page_tokens: int = PAGE_TOKENS, **more: Any
) -> Any:
    """Return the configuration vLLM would make for such a model; ``more`` goes to its ``EngineArgs``."""
    write_config(folder, geometry, layers=layers, max_model_len=max_model_len)
    arguments: dict[str, Any] = {
        "model": str(folder),
        "skip_tokenizer_init": True,
        "load_format": "dummy",
        "dtype": geometry.dtype,
        "max_model_len": max_model_len,
        "max_num_seqs": 256,
        "max_num_batched_tokens": 8192,
        "block_size": page_tokens,
    }
    return EngineArgs(**{**arguments, **more}).create_engine_config()


def attention_groups(
    name: str,
    geometry: Geometry,
    windows: Sequence[int | None],
    config: Any,
    device: Any,
    *,
    pages: int,
    page_tokens: int = PAGE_TOKENS,
    gap_elements: int = 0,
    alone: bool = False,
    merged: bool = False,
) -> list[Group]:
    """Build one layer for each window, grouped by window as vLLM groups them.

    Parameters
    ----------
    name
        The backend's name.
    windows
        Of each layer; None for one that attends to everything.
    config
        From :func:`engine_config`; layers that it holds from before are forgotten.
    gap_elements
        Unused elements after each page, as vLLM leaves where layers of unlike page sizes share memory.
    alone
        A group for each layer, as where a model has more layers of one kind than of the other.
    merged
        One group for all layers whose spec carries the window, as without the hybrid KV cache manager.
    """
    backend, dtype = backend_class(name), getattr(torch, geometry.dtype)
    config.compilation_config.static_forward_context.clear()
    with set_current_vllm_config(config), torch.device(device), _default_dtype(dtype):
        layers = [
            Attention(
                geometry.query_heads,
                geometry.head_size,
                geometry.scale,
                num_kv_heads=geometry.kv_heads,
                cache_config=config.cache_config,
                per_layer_sliding_window=window,
                prefix=f"model.layers.{index}.self_attn.attn",
                attn_backend=backend,
            )
            for index, window in enumerate(windows)
        ]
        for layer in layers:
            layer.process_weights_after_loading(dtype)
        groups = []
        for members in _members(windows, alone=alone, merged=merged):
            spec = _spec(layers, members, windows, config, page_tokens, merged)
            if gap_elements:
                spec = replace(spec, page_size_padded=spec.real_page_size_bytes + gap_elements * dtype.itemsize)
            builder = backend.get_builder_cls()(spec, [layers[index].layer_name for index in members], config, device)
            for index in members:
                layers[index].kv_cache = _allocate(backend, spec, pages, gap_elements, dtype, device)
            groups.append(
                Group(
                    geometry=geometry,
                    backend=backend,
                    window=getattr(spec, "sliding_window", None),
                    frees_pages=not merged,
                    windows=tuple(windows[index] for index in members),
                    layers=tuple(layers[index] for index in members),
                    builder=builder,
                    pages=pages,
                    page_tokens=page_tokens,
                    max_model_len=config.model_config.max_model_len,
                    device=device,
                )
            )
    return groups


def _members(windows: Sequence[int | None], *, alone: bool, merged: bool) -> list[tuple[int, ...]]:
    if merged:
        return [tuple(range(len(windows)))]
    if alone:
        return [(index,) for index in range(len(windows))]
    kinds = dict.fromkeys(windows)
    return [tuple(index for index, window in enumerate(windows) if window == kind) for kind in kinds]


def _spec(
    layers: Sequence[Any],
    members: tuple[int, ...],
    windows: Sequence[int | None],
    config: Any,
    page_tokens: int,
    merged: bool,
) -> Any:
    spec = layers[members[0]].get_kv_cache_spec(config).copy_with_new_block_size(page_tokens)
    if not merged:
        return spec
    return FullAttentionSpec(
        block_size=page_tokens,
        num_kv_heads=spec.num_kv_heads,
        head_size=spec.head_size,
        dtype=spec.dtype,
        sliding_window=next(window for window in windows if window is not None),
    )


def _allocate(backend: Any, spec: Any, pages: int, gap_elements: int, dtype: Any, device: Any) -> Any:
    shape = backend.get_kv_cache_shape(pages, spec.block_size, spec.num_kv_heads, spec.head_size)
    try:
        order = backend.get_kv_cache_stride_order()
    except (AttributeError, NotImplementedError):
        order = tuple(range(len(shape)))
    in_memory = [shape[dimension] for dimension in order]
    page_elements = prod(in_memory[1:])
    memory = torch.empty(pages, page_elements + gap_elements, dtype=dtype, device=device)
    cache = memory[:, :page_elements].unflatten(1, in_memory[1:])
    return cache.permute(*(order.index(dimension) for dimension in range(len(order))))


@contextmanager
def _default_dtype(dtype: Any) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
