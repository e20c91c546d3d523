"""The plan of every known model, through the hub server: golden files that a person has read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from devcluster.hub import MODELS, HubServer

GOLDEN = Path(__file__).with_name("golden")
MINISTRAL = "mistralai/Ministral-8B-Instruct-2410"

# name of the golden file -> arguments
PLANS = {
    "Mistral-7B-v0.1": ["mistralai/Mistral-7B-v0.1"],
    "Mistral-7B-v0.1-on-T4": [
        "mistralai/Mistral-7B-v0.1", "--compute-capability", "7.5", "--gpu-memory", "16Gi", "--gpus", "2",
    ],
    "Mistral-7B-v0.1-on-vllm-0.11.2": ["mistralai/Mistral-7B-v0.1", "--vllm", "0.11.2"],
    "Mistral-7B-v0.1-on-cpu": ["mistralai/Mistral-7B-v0.1", "--runtime", "vllm-cpu"],
    "Mistral-7B-Instruct-v0.1": ["mistralai/Mistral-7B-Instruct-v0.1"],
    "Mistral-7B-Instruct-v0.3": ["mistralai/Mistral-7B-Instruct-v0.3"],
    "Mistral-Nemo-Instruct-2407": ["mistralai/Mistral-Nemo-Instruct-2407"],
    "Ministral-8B-Instruct-2410": [MINISTRAL],
    "Ministral-8B-Instruct-2410-with-layer_types": [MINISTRAL, "--revision", "with-layer_types"],
    "Ministral-8B-Instruct-2410-at-128k": [MINISTRAL, "--revision", "with-layer_types", "--max-model-len", "131072"],
    "Ministral-3-3B-Reasoning-2512": ["mistralai/Ministral-3-3B-Reasoning-2512"],
    "Codestral-22B-v0.1": ["mistralai/Codestral-22B-v0.1"],
    "Mixtral-8x7B-Instruct-v0.1": ["mistralai/Mixtral-8x7B-Instruct-v0.1", "--gpus", "2"],
    "Mistral-Small-3.1-24B-Instruct-2503": ["mistralai/Mistral-Small-3.1-24B-Instruct-2503"],
    "Devstral-2-123B-Instruct-2512": ["mistralai/Devstral-2-123B-Instruct-2512", "--gpus", "4"],
    "Pixtral-12B-2409": ["mistralai/Pixtral-12B-2409"],
    "e5-mistral-7b-instruct": ["intfloat/e5-mistral-7b-instruct"],
    "TinyMistral-248M": ["Locutusque/TinyMistral-248M"],
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_golden_plan(name: str, run: Callable[..., Result], hub: HubServer, request: pytest.FixtureRequest) -> None:
    """A known model's plan changes only when a person changes the golden file."""
    result = run("plan", *PLANS[name], "-o", "json")
    assert result.exit_code == 0, result.stderr
    printed = result.stdout.replace(hub.url, "http://hub.example")
    path = GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden"):
        path.write_text(printed)
    assert json.loads(printed) == json.loads(path.read_text())


def test_every_model_of_the_hub_has_a_golden_plan() -> None:
    """A model that is added without a golden plan is noticed."""
    folders = {path.name.replace("__", "/", 1).partition("--")[0] for path in MODELS.iterdir() if path.is_dir()}
    assert folders == {arguments[0] for arguments in PLANS.values()}


# What is published about these models: window, sliding layers, layers, head size, longest context, dtype, parameters.
# Pixtral's count is that of its own params.json: patches of 16, and the adapter between tower and text.
PUBLISHED: dict[str, tuple[int | None, int, int, int, int, str, int | None]] = {
    "Mistral-7B-v0.1": (4096, 32, 32, 128, 32768, "bfloat16", 7_241_732_096),
    "Mistral-7B-Instruct-v0.1": (4096, 32, 32, 128, 32768, "bfloat16", 7_241_732_096),
    "Mistral-7B-Instruct-v0.3": (None, 0, 32, 128, 32768, "bfloat16", 7_248_023_552),
    "Mistral-Nemo-Instruct-2407": (None, 0, 40, 128, 131072, "bfloat16", 12_247_782_400),
    "Ministral-8B-Instruct-2410": (32768, 36, 36, 128, 32768, "bfloat16", 8_019_808_256),
    "Ministral-8B-Instruct-2410-with-layer_types": (32768, 27, 36, 128, 32768, "bfloat16", 8_019_808_256),
    "Ministral-3-3B-Reasoning-2512": (None, 0, 26, 128, 262144, "bfloat16", 3_849_090_048),
    "Codestral-22B-v0.1": (None, 0, 56, 128, 32768, "bfloat16", 22_247_282_688),
    "Mixtral-8x7B-Instruct-v0.1": (None, 0, 32, 128, 32768, "bfloat16", 46_702_792_704),
    "Mistral-Small-3.1-24B-Instruct-2503": (None, 0, 40, 128, 131072, "bfloat16", 24_011_361_280),
    "Devstral-2-123B-Instruct-2512": (None, 0, 88, 128, 262144, "bfloat16", 125_025_988_608),
    "Pixtral-12B-2409": (None, 0, 40, 128, 128000, "bfloat16", 12_682_739_712),
    "e5-mistral-7b-instruct": (4096, 32, 32, 128, 32768, "float16", 7_110_660_096),
    "TinyMistral-248M": (32, 12, 12, 32, 32768, "bfloat16", 248_024_064),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_golden_plans_agree_with_what_is_published(name: str) -> None:
    """The golden files say what the models' publishers say."""
    plan: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    window, sliding, layers, head_size, context, dtype, parameters = PUBLISHED[name]
    model, attention = plan["model"], plan["attention"]
    assert attention.get("slidingWindow") == window
    assert attention["layers"] == {"sliding": sliding, "full": layers - sliding}
    assert (model["headSize"], model["maxModelLen"], model["dtype"]) == (head_size, context, dtype)
    assert model["parameters"] == parameters
