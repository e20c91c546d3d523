"""What the decoder's attention layers got, against what the config means. Pure: layers in, a verdict or a line out."""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from mistral_vllm.backends import people_name
from mistral_vllm.layer_types import LayerType
from mistral_vllm.layout import AttentionLayout

_NAMED_MAX: Final = 4  # layers that an error names, of up to a hundred that are wrong alike


class BuiltLayer(NamedTuple):
    """One decoder layer as the engine built it."""

    name: str
    place: int  # among the decoder's layers
    window_tokens: int | None  # what reaches the kernel; None is full attention
    backend: str  # the engine's own name


class WindowMismatch(RuntimeError):
    """Some layers would attend to other tokens than the config says; the message names them and both values."""


def check_windows(layout: AttentionLayout, layers: Sequence[BuiltLayer]) -> None:
    """Compare each layer's window with the layout's.

    Parameters
    ----------
    layout
        What the config means.
    layers
        Those that this process holds: with pipeline parallelism not all of them.

    Raises
    ------
    WindowMismatch
        When a window differs, or there is a layer that the layout does not have.
    """
    windows = dict(enumerate(layout.windows))
    wrong = [layer for layer in layers if layer.place not in windows or windows[layer.place] != layer.window_tokens]
    if not wrong:
        return
    shown = ", ".join(
        f"{layer.name} has {_shown(layer.window_tokens)} instead of {_shown(windows.get(layer.place))}"
        for layer in wrong[:_NAMED_MAX]
    )
    more = f" and {len(wrong) - _NAMED_MAX} more" if len(wrong) > _NAMED_MAX else ""
    raise WindowMismatch(
        f"refusing to serve: {len(wrong)} of {len(layers)} attention layers did not get the window that the model's "
        f"config means ({layout.source}): {shown}{more}; correct --hf-overrides, or the model's sliding_window and "
        "layer_types"
    )


def summary(architecture: str, layout: AttentionLayout, layers: Sequence[BuiltLayer], xformers: str) -> str:
    """Return what is logged once: window, number of layers, backend of each kind and xFormers' availability."""
    names: dict[LayerType, set[str]] = {}
    for layer in layers:
        kind = LayerType.FULL if layer.window_tokens is None else LayerType.SLIDING
        names.setdefault(kind, set()).add(people_name(layer.backend))
    words: dict[str, object] = {
        "architecture": architecture,
        "sliding_window": layout.window_tokens,
        "sliding_layers": layout.sliding,
        "full_layers": layout.full,
        **{str(kind): "|".join(sorted(names[kind])) for kind in LayerType if kind in names},
        "xformers": xformers,
    }
    return " ".join(f"{key}={_as_word(value)}" for key, value in words.items())


def _shown(window_tokens: int | None) -> str:
    return "no window" if window_tokens is None else f"a window of {window_tokens}"


def _as_word(value: object) -> str:
    if value is None:
        return "none"
    text = str(value)
    return json.dumps(text) if " " in text else text
