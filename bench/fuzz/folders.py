"""Model folders whose every file may be anything, planned by the command line's own code."""

import contextlib
import io
import json
import shutil
import struct
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.fuzz.values import Values
from devcluster.hub.server import MODELS
from mistral_operator.cli.app import app

ALLOWED_CODES: Final = frozenset({0, 2, 3, 4})
_DTYPES: Final = ("BF16", "F16", "F32", "F8_E4M3", "I32", "U8", "F4", "WHAT", "")
_OUTPUTS: Final = ("text", "json", "yaml")


@dataclass(frozen=True, slots=True)
class Planned:
    """What one plan came to."""

    folder: str
    code: int | None
    cpu_seconds: float
    output: str
    fault: str | None


class Folders:
    """Writes folders, one after the other in the same place."""

    def __init__(self, values: Values, place: Path) -> None:
        self._values = values
        self._place = place
        self._configs = [
            {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
            for folder in sorted(MODELS.iterdir())
            if folder.is_dir()
        ]

    def planned(self, count: int) -> Iterator[Planned]:
        """Write and plan that many."""
        for number in range(count):
            folder = self._place / f"model-{number}"
            folder.mkdir()
            self._write(folder)
            yield _plan(folder, self._values.source.choice(_OUTPUTS))
            shutil.rmtree(folder)

    def _write(self, folder: Path) -> None:
        source = self._values.source
        config = source.choice(self._configs)
        for name in ("config.json", "params.json", "hf_quant_config.json"):
            if name in config or source.random() < 0.05:
                (folder / name).write_bytes(self._file(config.get(name, {})))
        for name in source.choice((("model.safetensors",), ("consolidated.safetensors",), (), self._shards())):
            (folder / name).write_bytes(self._safetensors())
        if source.random() < 0.3:
            (folder / "model.safetensors.index.json").write_bytes(self._file({"metadata": {"total_size": 1}}))
        if source.random() < 0.3:
            (folder / source.choice(("tekken.json", "tokenizer.json", "odd\udcff.gguf"))).write_bytes(b"{}")

    def _shards(self) -> tuple[str, ...]:
        count = self._values.source.choice(("00002", "2", "9" * 200))
        return tuple(f"model-{number}-of-{count}.safetensors" for number in ("00001", "00002"))

    def _file(self, content: Any) -> bytes:
        source, values = self._values.source, self._values
        content = values.mutated(content, source.choice((0.0, 0.0, 0.01, 0.1)))
        if isinstance(content, dict) and source.random() < 0.1:
            content["text_config"] = values.json()
        data = json.dumps(content).encode()
        odd = source.random()
        if odd < 0.03:
            return data[: source.randrange(len(data) + 1)]
        if odd < 0.05:
            return b"[" * 100_000 + b"]" * 100_000
        if odd < 0.06:
            return data.replace(b":", b":" + b"9" * 5_000 + b",", 1)
        if odd < 0.08:
            return b"\xff\xfe" + data
        return data

    def _safetensors(self) -> bytes:
        values, source = self._values, self._values.source
        if source.random() < 0.7:
            header = json.dumps({"w": {"dtype": "BF16", "shape": [16], "data_offsets": [0, 32]}}).encode()
            return struct.pack("<Q", len(header)) + header + bytes(32)
        tensors = {f"w{number}": self._tensor() for number in range(source.choice((0, 1, 3)))}
        header = json.dumps(values.mutated(tensors, source.choice((0.0, 0.1)))).encode()
        length = source.choice((len(header), len(header), len(header) + 1, 0, 2**63, 2**64 - 1))
        return struct.pack("<Q", length) + header + bytes(source.choice((0, 32, 4096)))

    def _tensor(self) -> dict[str, Any]:
        source = self._values.source
        shapes: list[list[float]] = [[16], [4, 4], [], [0], [10**20], [10**400], [2] * 70, [9] * 2_000, [1e30], [-1, 4]]
        offsets: list[list[float]] = [[0, 32], [0, 0], [32, 0], [0, 2**63], [0, 10**20], [-1, 3], [0.5, 2]]
        return {"dtype": source.choice(_DTYPES), "shape": source.choice(shapes), "data_offsets": source.choice(offsets)}


def _plan(folder: Path, output: str) -> Planned:
    """Plan a folder as `mistral-operator plan` does, and catch what it must not raise."""
    out, code, fault = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), None, None
    begun = time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            app(["plan", str(folder), "-o", output], standalone_mode=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - this is what is looked for
        fault = traceback.format_exc()
    cpu_seconds = time.process_time() - begun
    out.flush()
    text = out.buffer.getvalue().decode(errors="backslashreplace")
    return Planned(folder.name, code, cpu_seconds, text, fault)
