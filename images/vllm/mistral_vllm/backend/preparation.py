"""Before the first step: which kernel decodes, from the setting, the shipped tables, the cache, or by measuring."""

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
import vllm
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
)
from mistral_vllm.backend.group import LayerGroup
from mistral_vllm.backend.settings import VARIABLE, DecodeSetting, Mode, read_setting
from mistral_vllm.backend.tuning_cache import Shape, TuningCache, shape_of, shipped_table
from mistral_vllm.backend.window_table import WindowTable
from mistral_vllm.distribution import installed_version

if TYPE_CHECKING:
    from mistral_vllm.backend.split_k import SplitK

logger = init_logger(f"vllm.{__name__}")

_TUNING_SECONDS: Final = 20.0


class Prepared(NamedTuple):
    """What a builder needs for decode steps."""

    decode_table: DecodeTable
    window_table: WindowTable
    split_k: "SplitK"


def prepare(group: LayerGroup) -> Prepared | None:
    """Decide how the windowed layers of a group decode, tell each of them, and compile what will run.

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
    group = group.windowed()
    if not group.layers:
        return None
    obstacle = _obstacle(group, setting)
    if obstacle is not None:
        logger.warning("XFORMERS: FlashAttention decodes: %s", obstacle)
        _tell(group, flash_attn_table(obstacle))
        return None

    from mistral_vllm.backend.split_k import SplitK  # noqa: PLC0415 - imports xFormers

    window_table = WindowTable(group.window_tokens, group.page_tokens, group.max_seqs, group.device)
    table = _table(setting, group, window_table)
    impl, most_splits = group.first, table.most_splits(group.max_seqs)
    split_k = SplitK(impl.num_heads, impl.num_kv_heads, impl.head_size, most_splits, group.device)
    table = _compiled(table, group, split_k, window_table)
    _tell(group, table)
    logger.info(
        "XFORMERS: window=%d pages=%d source=%s decode=%s",
        *(group.window_tokens, window_table.pages, table.source.value, as_json(table)),
    )
    return Prepared(table, window_table, split_k)


def _obstacle(group: LayerGroup, setting: DecodeSetting) -> str | None:
    """Return why split-K does not decode here, in one sentence that says what to do where something can be done."""
    available = xformers_availability()
    if not available.ok:
        return available.reason
    if group.speculative:
        return "speculative decoding makes several tokens a step"

    from mistral_vllm.backend.split_k import HEAD_SIZES, reads_in_place  # noqa: PLC0415 - imports xFormers

    if group.first.head_size not in HEAD_SIZES:
        return f"split-K has no head size {group.first.head_size}, only {', '.join(map(str, sorted(HEAD_SIZES)))}"
    if not all(reads_in_place(layer.kv_cache) for layer in group.layers):
        return (
            "the KV cache is laid out by heads (HND) or with padded pages, and split-K reads it by tokens (NHD): unset "
            "VLLM_KV_CACHE_LAYOUT, and name FLASH_ATTN for the full layers"
        )
    if setting.mode is Mode.AUTO and not group.full_cuda_graphs:
        return f"without full CUDA graphs launching split-K costs the host more than it saves ({VARIABLE}=rule insists)"
    return None


def _table(setting: DecodeSetting, group: LayerGroup, window_table: WindowTable) -> DecodeTable:
    kv_heads, pages = group.first.num_kv_heads, window_table.pages
    if setting.pinned is not None:
        launch = setting.pinned.split_k
        return flash_attn_table() if launch is None else pinned_table(launch, group.sizes, kv_heads, pages)
    by_rule = rule_table(group.sizes, kv_heads, pages)
    if setting.mode is Mode.RULE:
        return by_rule
    # one table for all ranks: with tables of their own they would wait for each other at every layer
    ranks = get_tp_group()
    found = _known_or_measured(group, window_table) if ranks.rank_in_group == 0 else None
    table: DecodeTable = ranks.broadcast_object(found, src=0)
    return table.extended(by_rule)


def _known_or_measured(group: LayerGroup, window_table: WindowTable) -> DecodeTable:
    shape = _shape(group)
    releases = {"vllm": vllm.__version__, "plugin": installed_version()}
    cache = TuningCache(Path(envs.VLLM_CACHE_ROOT) / "mistral_vllm", releases)
    known = shipped_table(shape) or cache.read(shape)
    if known is not None:
        return known

    from mistral_vllm.backend.tuning import Tuner  # noqa: PLC0415 - imports xFormers

    table = Tuner(group, window_table).measure(_TUNING_SECONDS)
    trouble = cache.keep(shape, table) if table.source is Source.MEASURED else None
    return table if trouble is None else DecodeTable(table.choices, table.source, (*table.warnings, trouble))


def _shape(group: LayerGroup) -> Shape:
    return shape_of(
        gpu=torch.cuda.get_device_name(group.device),
        heads=group.first.num_heads,
        kv_heads=group.first.num_kv_heads,
        head_size=group.first.head_size,
        dtype=str(group.dtype).removeprefix("torch."),
        window_tokens=group.window_tokens,
        page_tokens=group.page_tokens,
        versions={name: metadata.version(name) for name in ("torch", "triton", "xformers")},
    )


def _compiled(table: DecodeTable, group: LayerGroup, split_k: "SplitK", window_table: WindowTable) -> DecodeTable:
    """Compile every launch of a table on a row without keys; what this GPU has no shared memory for is left out."""
    impl, kv_cache = group.first, group.layers[0].kv_cache
    rows = torch.zeros((1, impl.num_heads, impl.head_size), dtype=group.dtype, device=group.device)
    for parameters in table.distinct():
        try:
            split_k.decode(rows, kv_cache, window_table, parameters, impl.scale, torch.empty_like(rows))
        except OutOfResources as error:
            table = table.without([parameters], f"split-K {tuple(parameters)} is left out: {error}")
    return table


def _tell(group: LayerGroup, table: DecodeTable) -> None:
    for layer in group.layers:
        layer.impl.decode_table = table
