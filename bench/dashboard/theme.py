"""Colours, near those of Grafana's dark theme."""

from typing import Final

BACKGROUND: Final = "#111217"
PANEL: Final = "#181b1f"
TEXT: Final = "#ccccdc"
QUIET: Final = "#50525a"
_NAMED: Final = {"green": "#73bf69", "red": "#e0455b", "orange": "#ff9830", "blue": "#5794f2"}
_SERIES: Final = (
    "#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#e0455b", "#b877d9", "#33a2e5", "#8ab8ff", "#ffadad", "#96d98d",
    "#c4a000", "#8f3bb8",
)  # fmt: skip


def colour(name: str) -> str:
    """Return one of Grafana's named colours; others are as they are written."""
    return _NAMED.get(name, name)


def series_colour(number: int) -> str:
    """Return the colour of one series among several."""
    return _SERIES[number % len(_SERIES)]
