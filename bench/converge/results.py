"""Results as a file: the figures, and what they depend on."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from devcluster.binaries import KUBERNETES_VERSION

_DIGITS: Final = 4


def write(path: Path, command: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write runs, with the command that made them and the machine they were made on."""
    result = {
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "python": platform.python_version(),
            "kubernetes": KUBERNETES_VERSION,
        },
        "runs": [_rounded(run) for run in runs],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value
