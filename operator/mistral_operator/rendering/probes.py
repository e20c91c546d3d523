"""Probes and deadlines: long enough for a download, and never killing a server that is only busy."""

import math
from typing import Final

from mistral_operator.rendering.owner import Manifest
from mistral_operator.rendering.service import PORT_NAME

_BASE_SECONDS: Final = 10 * 60  # imports, loading, compilation and CUDA graphs
_DOWNLOAD_BYTES_PER_SECOND: Final = 50_000_000
_UNKNOWN_WEIGHTS_BYTES: Final = 140_000_000_000  # a 70B model in bfloat16: too long a deadline costs less than a kill
_PERIOD_SECONDS: Final = 10


def startup_seconds(weights_bytes: int | None) -> int:
    """Return how long a pod may take from its start to its first answer."""
    stored = _UNKNOWN_WEIGHTS_BYTES if weights_bytes is None else weights_bytes
    return _BASE_SECONDS + math.ceil(stored / _DOWNLOAD_BYTES_PER_SECOND)


def render_probes(weights_bytes: int | None) -> Manifest:
    """Return the three probes, all on /health: vLLM answers there without touching the GPU, and 503 once it is dead."""
    health = {"httpGet": {"path": "/health", "port": PORT_NAME, "scheme": "HTTP"}}
    return {
        "startupProbe": {
            **health,
            "periodSeconds": _PERIOD_SECONDS,
            "timeoutSeconds": 5,
            "failureThreshold": math.ceil(startup_seconds(weights_bytes) / _PERIOD_SECONDS),
        },
        "readinessProbe": {**health, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        # one event loop serves requests and probes: minutes of silence mean dead, seconds mean busy
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 12},
    }
