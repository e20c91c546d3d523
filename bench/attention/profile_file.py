"""From measured kernels to a profile: the file that :func:`mistral_vllm.profiles.parse_profile` reads. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

# What the profiles call the kernels; a variant that is another layout of the same kernel is folded into it, the faster
# one of each row, so that nobody is compared with the worse
_KERNELS: Final = {
    "XFORMERS": "xformers_splitk_tuned",
    "FLASH_ATTN": "flash_attn",
    "FLASH_ATTN, pages of 16": "flash_attn",
    "TRITON_ATTN": "triton_attn",
}
# In prefill XFORMERS runs FlashAttention's kernel: one figure for the two would be compared with itself
_PREFILL: Final = {name: kernel for name, kernel in _KERNELS.items() if name != "XFORMERS"}


def profile(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the profile of one run of :mod:`bench.attention.kernels`.

    Parameters
    ----------
    measured
        What that run wrote as JSON.

    Raises
    ------
    ValueError
        When the run lacks a backend in one of its rows.
    """
    geometry, versions = measured["geometry"], measured["versions"]
    made_of = (
        f"python -m bench.attention.kernels on {measured['gpu']}, {measured['date']}: vLLM {versions['vllm']}, "
        f"xFormers {versions['xformers']}, torch {versions['torch']}, triton {versions['triton']}; each backend's own "
        "builder and layers without an engine"
    )
    tables = [
        {
            "phase": "decode",
            "unit": "milliseconds per layer",
            "provenance": f"{made_of}; CUDA graphs over {measured['decode_layers']}, each with a KV cache of its own; "
            f"bandwidth floor by a copy at {measured['bandwidth']['copy_bytes_per_second'] / 1e12:.2f} TB/s; "
            "flash_attn with ahead-of-time scheduler metadata and at most 32 splits, the faster of pages of 16 and 64",
            "rows": [_row(row, _KERNELS, ("batch", "context")) for row in measured["decode"]],
        },
        {
            "phase": "prefill",
            "unit": "milliseconds per layer",
            "provenance": f"{made_of}; one prompt, or its last chunk over cached context; XFORMERS prefills with "
            "flash_attn",
            "rows": [_row(row, _PREFILL, ("new", "context")) for row in measured["prefill"]],
        },
    ]
    shared = {"device": measured["gpu"], "higher_is_better": False}
    return {
        "schema": 1,
        "compute_capability": measured["compute_capability"],
        "head_size": geometry["head_size"],
        "dtype": geometry["dtype"],
        "window_tokens": measured["window"],
        "query_heads": geometry["query_heads"],
        "kv_heads": geometry["kv_heads"],
        "vllm_versions": [versions["vllm"]],
        "tables": [{**table, **shared} for table in tables],
    }


def _row(row: Mapping[str, Any], kernels: Mapping[str, str], shape: Iterable[str]) -> dict[str, Any]:
    figures: dict[str, float] = {}
    for name, kernel in kernels.items():
        if name not in row["milliseconds"]:
            raise ValueError(f"no profile can be made: {name} was not measured at {row}")
        figures[kernel] = min(figures.get(kernel, float("inf")), row["milliseconds"][name])
    made = {"shape": {word: row[word] for word in shape}, "figures": figures}
    if "floor_ms" in row:
        made["bandwidth_floor"] = row["floor_ms"]
    if row.get("launch") is not None:
        made["tuned_split_k_warps_stages"] = row["launch"]
    return made
