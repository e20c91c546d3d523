"""What pods of the image answer to ``GET /v1/attention``, as docs/pod-report.md shows it."""

import json
from typing import Any

from mistral_operator.status.pod_report import PodReport, read_report


def layers(kind: str, count: int, window: int | None, backend: str) -> dict[str, Any]:
    """Return layers that are alike."""
    shape = {"headSize": 128, "queryHeads": 32, "kvHeads": 8, "kernels": None}
    return {"kind": kind, "layers": count, "slidingWindow": window, "backend": backend} | shape


SLIDING_32 = layers("sliding_attention", 32, 4096, "XFORMERS")


def answer(*kinds: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a report of layers, by default those of Mistral-7B-v0.1 as it is planned on an H200."""
    alike = kinds or (SLIDING_32,)
    backends: dict[str, str] = {}
    for kind in alike:
        backends.setdefault(kind["kind"], kind["backend"])
    count = {
        name: sum(kind["layers"] for kind in alike if kind["kind"].startswith(name)) for name in ("sliding", "full")
    }
    return {
        "versions": {"vllm": "0.26.0", "torch": "2.11.0+cu130", "xformers": "0.0.35", "plugin": "0.1.0"},
        "xformers": "Available",
        "slidingWindow": alike[0]["slidingWindow"],
        "layers": count,
        "backends": backends,
        "kinds": list(alike),
        "ranks": 1,
        "ranksAgree": True,
        "warnings": [],
    } | fields


def told(*kinds: dict[str, Any], **fields: Any) -> PodReport:
    """Return a report as it was read."""
    return read_report(json.dumps(answer(*kinds, **fields)).encode())
