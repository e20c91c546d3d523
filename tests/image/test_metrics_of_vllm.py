"""What real vLLM measures, written down for the dashboard, and for the page on monitoring."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from image.serving import Serving

WRITTEN_DOWN = Path(__file__).parents[1] / "chart" / "vllm_metrics.json"
OF_THE_POD = ("vllm:", "mistral_vllm_")
OF_A_SAMPLE = {"le"}


def metrics(text: str) -> dict[str, Any]:
    """Return type, labels and vLLM's own words of each metric, by the name that Prometheus knows it by."""
    found = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(OF_THE_POD) and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - OF_A_SAMPLE
            found[name] = {"type": family.type, "labels": sorted(labels), "help": family.documentation}
    return dict(sorted(found.items()))


def test_what_is_written_down_is_so(server: Serving, request: pytest.FixtureRequest) -> None:
    """Names, types and labels; another release of vLLM may have others."""
    server.complete([1, 2, 3], 2)
    found = json.dumps(metrics(server.get("/metrics").text), indent=1) + "\n"
    if request.config.getoption("--update-golden"):
        WRITTEN_DOWN.write_text(found, encoding="utf-8")
    else:
        assert WRITTEN_DOWN.read_text(encoding="utf-8") == found
