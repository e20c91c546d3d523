"""Output of kubectl on a screen: folded where it is too wide, left out where it is too long, never changed."""

import re
import textwrap
from collections.abc import Sequence
from typing import Final

_KEY: Final = re.compile(r"\s*[\w ]+:\s+(?=\S)")
_BETWEEN_COLUMNS: Final = re.compile(r"\s{2,}(?=\S)|$")


def fold_table(table: str, width: int) -> str:
    """Break a table that is wider than ``width`` characters between columns, and set the parts below each other."""
    lines = [line.rstrip() for line in table.splitlines()]
    if not lines or max(map(len, lines)) <= width:
        return "\n".join(lines)
    starts = _column_starts(lines[0])
    parts: list[tuple[int, int | None]] = []
    begin = 0
    for here, following in zip(starts, [*starts[1:], None], strict=True):
        end = max(len(line[:following].rstrip()) for line in lines)
        if end - begin > width and here > begin:
            parts.append((begin, here))
            begin = here
    parts.append((begin, None))
    return "\n\n".join("\n".join(line[a:b].rstrip() for line in lines) for a, b in parts)


def wrap(text: str, width: int) -> str:
    """Break lines at words, and let what follows hang below the value they began with."""
    wrapped = []
    for line in text.splitlines():
        if len(line) <= width:
            wrapped.append(line)
            continue
        lead = len(line) - len(line.lstrip())
        key = _KEY.match(line)
        hang = key.end() if key is not None and key.end() <= width // 2 else lead
        pieces = textwrap.wrap(line[hang:], width - hang, break_long_words=False, break_on_hyphens=False)
        wrapped += [line[:hang] + pieces[0], *(" " * hang + piece for piece in pieces[1:])]
    return "\n".join(wrapped)


def excerpt(description: str, section: str, without: Sequence[str]) -> str:
    """Return what ``kubectl describe`` says from a section on; parts of it are named and counted in their place."""
    lines = description.rstrip().splitlines()
    lines = lines[lines.index(f"{section}:") :]
    kept: list[str] = []
    left_out, name = 0, ""
    for line in [*lines, ""]:
        if left_out and (line.startswith("   ") or not line):
            left_out += bool(line)
            continue
        if left_out:
            kept.append(f"  {name}:  … ({left_out - 1} lines)")
            left_out = 0
        name = line.strip().removesuffix(":")
        if line.startswith("  ") and not line.startswith("   ") and name in without:
            left_out = 1
        else:
            kept.append(line)
    return "\n".join(kept).rstrip()


def _column_starts(header: str) -> list[int]:
    return [0, *(match.end() for match in _BETWEEN_COLUMNS.finditer(header) if match.end() < len(header))]
