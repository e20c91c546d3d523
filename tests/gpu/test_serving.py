"""What ``mistral-operator plan`` prints, unchanged, starts the server; and what the server tells agrees with the plan.

Needs the package installed with its entry points, and beside it the operator's sources and what ``plan`` imports.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from gpu.model import LAYOUTS, VOCABULARY, Reference

pytestmark = pytest.mark.engine

_ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 280.0
_KEY: Final = "a-key"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, device: Any) -> Reference:
    """Return small random models with a tokenizer."""
    made = Reference(tmp_path_factory.mktemp("models"), 512, device)
    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"t{number}": number for number in range(3, VOCABULARY)}
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    words_to_ids = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106 - a word
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words_to_ids, **special)
    for folder in made.folders.values():
        tokenizer.save_pretrained(folder)
    return made


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_plan_starts_the_server_and_they_agree(
    layout: str, reference: Reference, tmp_path: Path, on_cpu: bool
) -> None:
    """``GET /v1/attention`` needs the key, and tells the plan's backends, window and layers."""
    if on_cpu or not any(point.name == "mistral_vllm" for point in entry_points(group="vllm.endpoint_plugins")):
        pytest.skip("needs a GPU, and the package installed with its entry points")
    plan = _plan(reference.folders[layout])
    assert plan["attention"]["backends"]["sliding_attention"] == "XFORMERS"
    with _served(plan, tmp_path / "log") as url:
        assert _get(f"{url}/v1/attention", key=None)[0] == 401
        status, told = _get(f"{url}/v1/attention", key=_KEY)
        metrics = _get(f"{url}/metrics", key=None)[1]
    assert status == 200
    _keep(layout, plan, told)
    for word in ("backends", "slidingWindow", "layers"):
        assert told[word] == plan["attention"][word], word
    sliding = told["kinds"][0]
    assert sliding["kernels"]["decodeKernel"] == "xformers_splitk"
    assert (told["ranks"], told["ranksAgree"], told["warnings"]) == (1, True, [])
    assert "mistral_vllm_attention_info{backend_full=" in metrics


def _plan(folder: Path) -> dict[str, Any]:
    major, minor = torch.cuda.get_device_capability()
    gigabytes = torch.cuda.get_device_properties(0).total_memory // 2**30
    flags = ["--compute-capability", f"{major}.{minor}", "--gpu-memory", f"{gigabytes}Gi", "--max-model-len", "4096"]
    command = [sys.executable, "-c", "from mistral_operator.cli import main; main()", "plan", str(folder), *flags]
    path = os.pathsep.join([str(_ROOT / "operator"), str(_ROOT / "images/vllm"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "-o", "json"], check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    planned: dict[str, Any] = json.loads(done.stdout)
    return planned


@contextmanager
def _served(plan: dict[str, Any], log: Path) -> Iterator[str]:
    """Run the image's entry point with the plan's arguments and environment, until it serves and the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mistral_vllm.telling.entrypoint", "serve", *plan["args"]]
    environment = {**os.environ, **plan["env"], "VLLM_API_KEY": _KEY, "HF_HUB_OFFLINE": "1"}
    environment["MISTRAL_VLLM_TERMINATION_LOG"] = str(log.with_name("termination-log"))
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=output, stderr=output, env=environment
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + _START_SECONDS
        while not _is_up(url):
            assert server.poll() is None, f"vLLM ended:\n{log.read_text()[-3000:]}"
            assert time.monotonic() < until, f"vLLM does not start:\n{log.read_text()[-3000:]}"
            time.sleep(0.5)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def _is_up(url: str) -> bool:
    try:
        return _get(f"{url}/health", key=None)[0] == 200
    except OSError:
        return False


def _get(url: str, *, key: str | None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _keep(layout: str, plan: dict[str, Any], told: dict[str, Any]) -> None:
    if "OUT" in os.environ:
        kept = {"args": plan["args"], "env": plan["env"], "plan": plan["attention"], "pod": told}
        (Path(os.environ["OUT"]) / f"served-{layout}.json").write_text(json.dumps(kept, indent=1))
