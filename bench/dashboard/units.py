"""Numbers as Grafana writes them."""

from typing import Final

_KILO: Final = 1000.0
_KIBI: Final = 1024.0


def shown(value: float, unit: str) -> str:
    """Return a value in one of Grafana's units."""
    if unit == "s":
        return f"{value * _KILO:.3g} ms" if 0 < value < 1 else f"{value:.3g} s"
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "bytes":
        return f"{value / _KIBI**2:.0f} MiB"
    suffix = {"ops": "/s", "reqps": "/s"}.get(unit, "")
    return f"{value / _KILO:.3g} K{suffix}" if value >= 10 * _KILO else f"{value:.3g}{suffix}"
