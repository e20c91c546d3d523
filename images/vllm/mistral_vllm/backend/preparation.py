"""Before the first step: which kernel decodes, from the setting, the shipped tables, the cache, or by measuring."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from triton.runtime.errors import OutOfResources
from vllm import envs
from vllm.distributed.parallel_state import get_tp_group
from vllm.logger import init_logger

from mistral_vllm.backend.availability import xformers_availability
from mistral_vllm.backend.dispatch import (
    DecodeTable,
    Source,
    as_json,
    flash_attn_table,
    pinned_table,
    rule_table,
    sizes_to_measure,
)
from mistral_vllm.backend.settings import VARIABLE, DecodeSetting, Mode, read_setting
from mistral_vllm.backend.tuning_cache import Shape, TuningCache, shape_of, shipped_table
from mistral_vllm.backend.window_table import WindowTable

if TYPE_CHECKING:
    from mistral_vllm.backend.builder import XFormersMetadataBuilder
    from mistral_vllm.backend.split_k import SplitK

logger = init_logger(f"vllm.{__name__}")

_TUNING_SECONDS: Final = 20.0


class Prepared(NamedTuple):
    """What a builder needs for decode steps."""

    decode_table: DecodeTable
    window_table: WindowTable
    split_k: "SplitK"


def prepare(builder: "XFormersMetadataBuilder", layers: list[Any]) -> Prepared | None:
    """Decide how the windowed layers of a group decode, tell each of them, and compile what will run.

    Parameters
    ----------
    layers
        vLLM's attention layers of the group, with their KV cache.

    Returns
    -------
    Prepared or None
        None where FlashAttention does all of it.

    Raises
    ------
    SettingError
        When ``MISTRAL_VLLM_DECODE`` means nothing.
    """
    setting = read_setting()
    windowed = [layer for layer in layers if layer.impl.can_split_k]
    if builder.window_tokens is None or not windowed:
        return None
    obstacle = _obstacle(builder, windowed, setting)
    if obstacle is not None:
        logger.warning("XFORMERS: FlashAttention decodes: %s", obstacle)
        _tell(windowed, flash_attn_table(obstacle))
        return None

    from mistral_vllm.backend.split_k import SplitK  # noqa: PLC0415 - imports xFormers

    window_table = WindowTable(builder.window_tokens, builder.block_size, builder.max_seqs, builder.device)
    table = _table(setting, builder, windowed, window_table)
    impl, most_splits = windowed[0].impl, table.most_splits(builder.max_seqs)
    split_k = SplitK(impl.num_heads, impl.num_kv_heads, impl.head_size, most_splits, builder.device)
    table = _compiled(table, split_k, window_table, windowed[0])
    _tell(windowed, table)
    logger.info(
        "XFORMERS: window=%d pages=%d source=%s decode=%s",
        *(builder.window_tokens, window_table.pages, table.source.value, as_json(table)),
    )
    return Prepared(table, window_table, split_k)


def _obstacle(builder: "XFormersMetadataBuilder", layers: list[Any], setting: DecodeSetting) -> str | None:
    """Return why split-K does not decode here, in one sentence that says what to do where something can be done."""
    available = xformers_availability()
    if not available.ok:
        return available.reason
    if builder.vllm_config.speculative_config is not None:
        return "speculative decoding makes several tokens a step"

    from mistral_vllm.backend.split_k import HEAD_SIZES, reads_in_place  # noqa: PLC0415 - imports xFormers

    impl = layers[0].impl
    if impl.head_size not in HEAD_SIZES:
        return f"split-K has no head size {impl.head_size}, only {', '.join(map(str, sorted(HEAD_SIZES)))}"
    if not all(reads_in_place(layer.kv_cache) for layer in layers):
        return (
            "the KV cache is laid out by heads (HND) or with padded pages, and split-K reads it by tokens (NHD): unset "
            "VLLM_KV_CACHE_LAYOUT, and name FLASH_ATTN for the full layers"
        )
    if setting.mode is Mode.AUTO and not builder.use_full_cuda_graph:
        return f"without full CUDA graphs launching split-K costs the host more than it saves ({VARIABLE}=rule insists)"
    return None


def _table(
    setting: DecodeSetting, builder: "XFormersMetadataBuilder", layers: list[Any], window_table: WindowTable
) -> DecodeTable:
    kv_heads, pages = layers[0].impl.num_kv_heads, window_table.pages
    sizes = sizes_to_measure(builder.compilation_config.cudagraph_capture_sizes or (), builder.max_seqs)
    if setting.pinned is not None:
        launch = setting.pinned.split_k
        return flash_attn_table() if launch is None else pinned_table(launch, sizes, kv_heads, pages)
    by_rule = rule_table(sizes, kv_heads, pages)
    if setting.mode is Mode.RULE:
        return by_rule
    # one table for all ranks: with tables of their own they would wait for each other at every layer
    group = get_tp_group()
    found = _known_or_measured(builder, layers, window_table, sizes) if group.rank_in_group == 0 else None
    table: DecodeTable = group.broadcast_object(found, src=0)
    return table.extended(by_rule)


def _known_or_measured(
    builder: "XFormersMetadataBuilder", layers: list[Any], window_table: WindowTable, sizes: Sequence[int]
) -> DecodeTable:
    shape = _shape(builder, layers[0].impl)
    cache = TuningCache(Path(envs.VLLM_CACHE_ROOT) / "mistral_vllm")
    known = shipped_table(shape) or cache.read(shape)
    if known is not None:
        return known

    from mistral_vllm.backend.tuning import Tuner  # noqa: PLC0415 - imports xFormers

    table = Tuner(builder, layers, window_table).measure(sizes, _TUNING_SECONDS)
    trouble = cache.keep(shape, table) if table.source is Source.MEASURED else None
    return table if trouble is None else DecodeTable(table.choices, table.source, (*table.warnings, trouble))


def _shape(builder: "XFormersMetadataBuilder", impl: Any) -> Shape:
    return shape_of(
        gpu=torch.cuda.get_device_name(builder.device),
        heads=impl.num_heads,
        kv_heads=impl.num_kv_heads,
        head_size=impl.head_size,
        dtype=str(builder.kv_cache_dtype).removeprefix("torch."),
        window_tokens=int(builder.window_tokens or 0),
        page_tokens=builder.block_size,
        versions={name: metadata.version(name) for name in ("torch", "triton", "xformers")},
    )


def _compiled(table: DecodeTable, split_k: "SplitK", window_table: WindowTable, layer: Any) -> DecodeTable:
    """Compile every launch of a table on a row without keys; what this GPU has no shared memory for is left out."""
    impl = layer.impl
    rows = torch.zeros((1, impl.num_heads, impl.head_size), dtype=layer.kv_cache.dtype, device=layer.kv_cache.device)
    for parameters in table.distinct():
        try:
            split_k.decode(rows, layer.kv_cache, window_table, parameters, impl.scale, torch.empty_like(rows))
        except OutOfResources as error:
            table = table.without([parameters], f"split-K {tuple(parameters)} is left out: {error}")
    return table


def _tell(layers: list[Any], table: DecodeTable) -> None:
    for layer in layers:
        layer.impl.decode_table = table
