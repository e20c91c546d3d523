"""How long the GPU takes, and how fast its memory is."""

from collections.abc import Callable
from typing import Any, Final

import torch

_ROUNDS: Final = 3
_COPIED_BYTES: Final = 4 * 2**30
# torch tells clock and width of the memory; this is for GPUs of which it does not: vendor's figures, bytes a second
_NOMINAL: Final = {"NVIDIA H100 80GB HBM3": 3.35e12, "NVIDIA H200": 4.8e12}


def milliseconds(run: Callable[[], Any], repeats: int) -> float:
    """Return the shortest average over some rounds of repeated runs: disturbance only ever adds."""
    for _ in range(2):
        run()
    best = float("inf")
    for _ in range(_ROUNDS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(repeats):
            run()
        end.record()
        end.synchronize()
        best = min(best, float(begin.elapsed_time(end)) / repeats)
    return best


def repeats_for(run: Callable[[], Any], target_ms: float = 100.0) -> int:
    """Return how often to run for about that long in all."""
    once = milliseconds(run, 3)
    return max(3, min(500, round(target_ms / once)))


def bandwidth(device: Any) -> dict[str, float | None]:
    """Measure the GPU's memory: bytes a second of a copy, read and written counted; beside it what the vendor says."""
    memory = torch.zeros(2, _COPIED_BYTES, dtype=torch.int8, device=device)
    copied = 2 * _COPIED_BYTES / (milliseconds(lambda: memory[1].copy_(memory[0]), 10) / 1e3)
    return {"copy_bytes_per_second": copied, "nominal_bytes_per_second": _nominal(device)}


def _nominal(device: Any) -> float | None:
    properties = torch.cuda.get_device_properties(device)
    if properties.name in _NOMINAL:
        return _NOMINAL[properties.name]
    clock_khz, width_bits = (getattr(properties, name, 0) for name in ("memory_clock_rate", "memory_bus_width"))
    return 2 * clock_khz * 1e3 * width_bits / 8 or None  # two transfers a clock
