"""What a new user meets: every mistake ends in one clear sentence, the next step and the right exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from devcluster.hub import MODELS, Fault, HubServer, Kind

Run = Callable[..., Result]
MISTRAL = "mistralai/Mistral-7B-v0.1"
NEMO = str(MODELS / "mistralai__Mistral-Nemo-Instruct-2407")
FOLDER = str(MODELS / "mistralai__Mistral-7B-v0.1")


def check(result: Result, code: int, *says: str) -> None:
    """Check that the command ended with one sentence and a next step, and nothing else."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Error: ")
    assert lines[-1].startswith("Next: ")
    assert "Traceback" not in result.stderr
    for text in says:
        assert text in result.stderr


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        pytest.param(Kind.GATED, ("is gated", "Accept the licence", "HF_TOKEN"), id="gated"),
        pytest.param(Kind.PRIVATE, ("does not exist", "private"), id="private"),
        pytest.param(Kind.REVISION_MISSING, ("no revision 'main'",), id="revision"),
        pytest.param(Kind.NO_CONFIG, ("neither config.json nor params.json",), id="no config"),
        pytest.param(Kind.GARBLED, (".json of", "is not a JSON object"), id="garbled"),
        pytest.param(Kind.TORN, ("config.json ended after", "then retry"), id="torn"),
        pytest.param(Kind.RATE_LIMITED, ("429", "Retry in"), id="rate limited"),
        pytest.param(Kind.UNAVAILABLE, ("503",), id="unavailable"),
        pytest.param(Kind.DISABLED, ("disabled",), id="disabled"),
    ],
)
def test_a_hub_that_says_no(kind: Kind, says: tuple[str, ...], run: Run, clean: HubServer) -> None:
    """Each way a hub can refuse has its own sentence."""
    clean.faults[MISTRAL] = Fault(kind)
    check(run("plan", MISTRAL), 3, MISTRAL, *says)


def test_a_bad_token_of_this_machine(run: Run, clean: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command says where it takes one from."""
    clean.faults[MISTRAL] = Fault(Kind.BAD_TOKEN)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    check(run("plan", MISTRAL), 3, "refuses the token", "Put a valid token into HF_TOKEN")


def test_a_gated_model_heals_with_a_granted_token(run: Run, clean: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command works once the token may read the model; the token is never shown."""
    clean.faults[MISTRAL] = Fault(Kind.GATED, tokens=frozenset({"hf_granted"}))
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    refused = run("plan", MISTRAL)
    check(refused, 3, "has not been granted access")
    assert "hf_other" not in refused.output
    monkeypatch.setenv("HF_TOKEN", "hf_granted")
    assert run("plan", MISTRAL).exit_code == 0


def test_a_hub_that_is_down(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody listens is named."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    check(run("plan", MISTRAL), 3, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        pytest.param("mistralai/Mistral-7B-v9", ("mistralai/Mistral-7B-v9 does not exist",), id="wrong id"),
        pytest.param("not a model", ("is not a model id", "OWNER/NAME", "a folder's path"), id="no id"),
        pytest.param("./does-not-exist", ("is not a folder",), id="no folder"),
    ],
)
def test_a_model_that_is_not_there(model: str, says: tuple[str, ...], run: Run) -> None:
    """A mistyped model is named as it was written."""
    check(run("plan", model), 3, *says)


def test_weights_of_another_kind(run: Run, tmp_path: Path) -> None:
    """A folder whose only weights are GGUF is refused by the file's name, and not planned as if it had none."""
    (tmp_path / "config.json").write_text((Path(FOLDER) / "config.json").read_text())
    (tmp_path / "mistral-7b.Q4_K_M.gguf").write_bytes(b"GGUF")
    check(run("plan", str(tmp_path)), 3, "mistral-7b.Q4_K_M.gguf", "safetensors")


def test_a_folder_without_config(run: Run, tmp_path: Path) -> None:
    """A folder that holds no model says which files were looked for."""
    check(run("plan", str(tmp_path)), 3, "neither config.json nor params.json")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        pytest.param({"model_type": "mistral", "num_hidden_layers": 8, "sliding_window": True}, "true", id="bool"),
        pytest.param(
            {"model_type": "mistral", "num_hidden_layers": 8, "layer_types": ["full_attention"]},
            "has 1 entries, but the model has 8 layers",
            id="length",
        ),
        pytest.param({"n_layers": 8, "model_type": "mistral"}, "MLX", id="foreign words"),
        pytest.param({"model_type": "bert"}, "bert", id="another model"),
        pytest.param([], "not a JSON object", id="a list"),
    ],
)
def test_a_config_that_cannot_be_read(config: Any, says: str, run: Run, tmp_path: Path) -> None:
    """An inconsistent config ends with exit code 3, and no layer is counted."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    check(run("plan", str(tmp_path)), 3, says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--attention-backend", "FLASHY"], "FLASHY", id="backend"),
        pytest.param(["--compute-capability", "sm_90"], "MAJOR.MINOR", id="compute capability"),
        pytest.param(["--gpu-memory", "80 GB"], "80Gi", id="memory"),
        pytest.param(["--vllm", "latest"], "0.26.0", id="release"),
        pytest.param(["--runtime", "sglang"], "mistral-vllm", id="runtime"),
        pytest.param(["--gpus", "0"], "--gpus", id="gpus"),
        pytest.param(["--output", "xml"], "--output", id="output"),
        pytest.param(["--frobnicate"], "--frobnicate", id="option"),
    ],
)
def test_usage(arguments: list[str], says: str, run: Run) -> None:
    """A flag that means nothing is a usage error, before anything is read."""
    result = run("plan", "./does-not-exist", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(
            ["--vllm", "0.11.2", "--attention-backend", "XFORMERS"], "ignores the window in decode", id="0.11"
        ),
        pytest.param(["--runtime", "vllm", "--attention-backend", "xformers"], "mistral-vllm image", id="stock"),
        pytest.param(["--compute-capability", "7.0"], "needs compute capability 7.5", id="Volta"),
        pytest.param(["--extra-arg=--decode-context-parallel-size=2"], "--decode-context-parallel-size", id="DCP"),
        pytest.param(["--extra-arg", "--revision=main"], "--revision", id="a rendered argument"),
        pytest.param(["--gpus", "3"], "3 GPUs cannot share", id="three GPUs"),
        pytest.param(["--kv-cache-dtype", "int2"], "int2", id="KV cache dtype"),
        pytest.param(["--attention-backend", "XFORMERS", "--kv-cache-dtype", "fp8"], "fp8", id="fp8 with XFORMERS"),
    ],
)
def test_nothing_valid(arguments: list[str], says: str, run: Run) -> None:
    """What cannot run is refused with exit code 4 and the cause."""
    check(run("plan", FOLDER, *arguments), 4, says)


def test_what_does_not_fit_is_planned_and_then_refused(run: Run) -> None:
    """The numbers are printed, then one sentence says what would make it fit, and that does."""
    result = run("plan", NEMO, "--gpu-memory", "24Gi", "-o", "json")
    assert result.exit_code == 4
    assert json.loads(result.stdout)["memory"]["fits"] is False
    assert "does not fit on 1 GPU of 24.0 GiB" in result.stderr
    assert "Raise --gpus to 2 (4 for all of the 131,072 tokens), or choose larger GPUs" in result.stderr
    assert run("plan", NEMO, "--gpu-memory", "24Gi", "--gpus", "2").exit_code == 0
    tight = ("plan", NEMO, "--gpu-memory", "40Gi", "-o", "json", "--max-model-len")
    plan = json.loads(run(*tight, "131072").stdout)
    largest = plan["memory"]["largestMaxModelLen"]
    assert 0 < largest < 131072
    assert plan["memory"]["smallestGPUs"] == 2
    assert f"--max-model-len {largest} or less, raise --gpus to 2" in run(*tight, "131072").stderr
    assert run(*tight, str(largest)).exit_code == 0
    assert run(*tight, str(largest + 1)).exit_code == 4


def test_a_length_that_nobody_asks_for_is_set_to_what_fits(run: Run) -> None:
    """The model's own length does not fit: it is planned with the longest that does, and a warning has the numbers."""
    done = run("plan", NEMO, "--gpu-memory", "40Gi", "-o", "json")
    assert done.exit_code == 0
    plan = json.loads(done.stdout)
    length = plan["model"]["maxModelLen"]
    assert length % plan["memory"]["kvCacheBlockSize"] == 0
    assert 0.94 < length / plan["memory"]["largestMaxModelLen"] <= 0.95
    assert plan["args"][plan["args"].index("--max-model-len") + 1] == str(length)
    [warning] = plan["warnings"]
    assert warning["reason"] == "MaxModelLenReduced"
    for said in ("131,072 tokens do not fit on 1 GPU of 40.0 GiB", f"set to {length:,}", "raise --gpus to 2"):
        assert said in warning["message"]


def test_assumptions_are_named_until_a_flag_tells(run: Run) -> None:
    """What no flag told is listed; what a flag told is not."""
    silent = json.loads(run("plan", MISTRAL, "-o", "json").stdout)["assumptions"]
    assert [text.split(":")[0] for text in silent] == [
        "runtime", "GPU", "context", "working memory (activations, CUDA graphs, CUDA context)",
    ]  # fmt: skip
    told = run(
        "plan", MISTRAL, "-o", "json", "--runtime", "vllm", "--vllm", "0.26.0", "--gpu-memory", "141Gi",
        "--compute-capability", "9.0", "--max-model-len", "8192",
    )  # fmt: skip
    assert len(json.loads(told.stdout)["assumptions"]) == 1


def test_yaml_and_json_say_the_same(run: Run) -> None:
    """Both outputs are one object."""
    assert yaml.safe_load(run("plan", FOLDER, "-o", "yaml").stdout) == json.loads(
        run("plan", FOLDER, "-o", "json").stdout
    )


def test_text_draws_layers_and_memory(run: Run) -> None:
    """The text shows each layer, the memory of one GPU and a command to run."""
    text = run("plan", MISTRAL, "--revision", "main").stdout
    assert "▄" * 32 in text
    assert "weights 13.5 GiB" in text
    assert "vllm serve mistralai/Mistral-7B-v0.1" in text
    assert "--attention-backend CUSTOM" in text
    interleaved = run("plan", "mistralai/Ministral-8B-Instruct-2410", "--revision", "with-layer_types").stdout
    assert "█▄▄▄" * 9 in interleaved
    assert "1 full, 3 sliding; 9 times over" in interleaved


def test_help_and_version(run: Run) -> None:
    """The command explains itself."""
    assert "plan" in run("--help").stdout
    assert "--attention-backend" in run("plan", "--help").stdout
    assert run("--version").stdout.startswith("mistral-operator ")
