"""Tables that were measured before: those shipped with this package, and this machine's own."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from mistral_vllm.backend.dispatch import DecodeTable, Source, as_json, from_json

_SHIPPED: Final = "tables"


class Shape(dict[str, Any]):
    """What a table was measured on, as JSON: the GPU, the layers of one rank, the libraries of split-K."""


def shape_of(
    *,
    gpu: str,
    heads: int,
    kv_heads: int,
    head_size: int,
    dtype: str,
    window_tokens: int,
    page_tokens: int,
    versions: Mapping[str, str],
) -> Shape:
    """Return the key of a table; heads are those of one rank."""
    return Shape(
        gpu=gpu,
        heads=heads,
        kvHeads=kv_heads,
        headSize=head_size,
        dtype=dtype,
        windowTokens=window_tokens,
        pageTokens=page_tokens,
        versions=dict(versions),
    )


def shipped_table(shape: Shape) -> DecodeTable | None:
    """Return the table that ships for exactly this shape."""
    folder = resources.files(__package__).joinpath(_SHIPPED)
    for file in folder.iterdir():
        if file.name.endswith(".json"):
            raw = json.loads(file.read_bytes())
            if raw["shape"] == shape:
                return from_json(raw["table"], Source.SHIPPED)
    return None


class TuningCache:
    """One folder of tables, one file each, written whole or not at all.

    Parameters
    ----------
    folder
        ``$VLLM_CACHE_ROOT/mistral_vllm``; made when the first table is kept.
    releases
        Of the engine and of this plugin: a table chose among their kernels, and on a volume it outlives an upgrade.
    """

    def __init__(self, folder: Path, releases: Mapping[str, str | None]) -> None:
        self._folder = folder
        self._releases = dict(releases)

    def read(self, shape: Shape) -> DecodeTable | None:
        """Return a table kept before; a torn or foreign file counts as none."""
        try:
            raw = json.loads(self._file(shape).read_bytes())
            return from_json(raw["table"], Source.CACHED) if raw["key"] == self._key(shape) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, shape: Shape, table: DecodeTable) -> str | None:
        """Keep a table; return why it could not be, or None."""
        content = json.dumps({"key": self._key(shape), "table": as_json(table)}, indent=1)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False, encoding="utf-8") as file:
                written = Path(file.name)
                try:
                    file.write(content)
                    file.flush()
                    written.replace(self._file(shape))
                except OSError:
                    written.unlink()  # or a full disk would hold one more of them after each start
                    raise
        except OSError as error:
            return f"the measured table cannot be kept in {self._folder}: {os.strerror(error.errno or 0)}"
        return None

    def _key(self, shape: Shape) -> dict[str, Any]:
        return {"shape": shape, "releases": self._releases}

    def _file(self, shape: Shape) -> Path:
        digest = hashlib.sha256(json.dumps(self._key(shape), sort_keys=True).encode()).hexdigest()
        return self._folder / f"decode-{digest[:16]}.json"
