"""One raw ``sliding_window`` value, as found in the wild, to what it means.

Accepted: null, a positive integer, text for either, a list of null and one positive integer (params.json's pattern).
Zero and negative numbers mean no window. Anything else is Unsupported: a wrong guess here attends to the wrong tokens.
"""

from typing import Any, NamedTuple

from mistral_vllm.decoder import json_kind, json_shown
from mistral_vllm.reasons import Finding, FindingReason, LayoutReason, Unsupported

_NULL_TEXTS = frozenset({"", "null", "none"})
# a window of more digits is no window, no status can hold it, and int() of megabytes of digits is slow
_DIGITS_MAX = 18
_SIZE_MAX = 10**_DIGITS_MAX - 1


class WindowValue(NamedTuple):
    """A normalised window: its size in tokens, the current one included, and the layers it repeats over."""

    size_tokens: int | None
    pattern: tuple[bool, ...] | None = None  # True where a layer slides; repeats over the layers
    findings: tuple[Finding, ...] = ()


def normalise_window(raw: Any, where: str) -> WindowValue:
    """Normalise one raw value.

    Parameters
    ----------
    raw
        What JSON gave for the key, null included.
    where
        What to call it in a message, such as ``config.json: text_config.sliding_window``.

    Raises
    ------
    Unsupported
        For booleans, fractions, other text, objects, lists that hold no single size, and sizes beyond any sequence.
    """
    if isinstance(raw, list | tuple):
        return _normalise_pattern(list(raw), where)
    if raw is None:
        return WindowValue(None)
    if isinstance(raw, str):
        return _normalise_text(raw, where)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Unsupported(
            LayoutReason.WINDOW_TYPE,
            f"{where} is {json_shown(raw)}, expected an integer, null, or a list of null and one integer",
        )
    if raw <= 0:
        return WindowValue(
            None,
            findings=(
                Finding(FindingReason.NON_POSITIVE_WINDOW, f"{where} is {json_shown(raw)}, which is read as no window"),
            ),
        )
    if raw > _SIZE_MAX:
        raise Unsupported(LayoutReason.WINDOW_TYPE, f"{where} is {json_shown(raw)}, longer than any sequence")
    return WindowValue(raw)


def _normalise_text(raw: str, where: str) -> WindowValue:
    text = raw.strip()
    if text.lower() in _NULL_TEXTS:
        finding = Finding(
            FindingReason.TEXT_FOR_NULL, f"{where} is the text {raw[:20]!r}, which is read as null; vLLM refuses it"
        )
        return WindowValue(None, findings=(finding,))
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        raise Unsupported(LayoutReason.WINDOW_TYPE, f"{where} is the text {raw[:20]!r}, expected an integer or null")
    size = int(text)
    finding = Finding(
        FindingReason.NUMERIC_STRING, f"{where} is the text {raw[:20]!r}, which is read as {size}; vLLM refuses it"
    )
    return WindowValue(size if size > 0 else None, findings=(finding,))


def _normalise_pattern(raw: list[Any], where: str) -> WindowValue:
    if not raw:
        raise Unsupported(LayoutReason.WINDOW_PATTERN, f"{where} is an empty list; it says nothing about any layer")
    wrong = next(
        (entry for entry in raw if entry is not None and (isinstance(entry, bool) or not isinstance(entry, int))), None
    )
    if wrong is not None:
        raise Unsupported(
            LayoutReason.WINDOW_PATTERN, f"{where} holds {json_kind(wrong)}, expected null or an integer in each entry"
        )
    sizes = {entry for entry in raw if entry is not None}
    if any(size <= 0 for size in sizes):
        raise Unsupported(
            LayoutReason.WINDOW_PATTERN,
            f"{where} holds {json_shown(min(sizes))}; in a list a layer without a window is written null",
        )
    if any(size > _SIZE_MAX for size in sizes):
        raise Unsupported(
            LayoutReason.WINDOW_PATTERN, f"{where} holds {json_shown(max(sizes))}, longer than any sequence"
        )
    if len(sizes) > 1:
        shown = ", ".join(str(size) for size in sorted(sizes)[:4])
        raise Unsupported(
            LayoutReason.WINDOW_SIZES_DIFFER,
            f"{where} holds {len(sizes)} window sizes ({shown}); vLLM can represent one size per model",
        )
    return WindowValue(sizes.pop() if sizes else None, pattern=tuple(entry is not None for entry in raw))
