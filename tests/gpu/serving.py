"""The server as a pod runs it: the arguments and the environment of ``mistral-operator plan``, unchanged."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

_ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 280.0
_SHARING_ARGS: Final = (
    *("--worker-cls", "gpu.sharing.SharingWorker"),
    *("--distributed-executor-backend", "mp"),  # named, or vLLM wants a GPU for each rank
    "--compilation-config.pass_config.fuse_allreduce_rms=false",  # FlashInfer's own all-reduce needs two devices
)
_SHARING_ENVIRONMENT: Final = {"VLLM_DISABLE_PYNCCL": "1", "VLLM_ALLREDUCE_USE_SYMM_MEM": "0"}
KEY: Final = "a-key"


def is_installed() -> bool:
    """Tell whether vLLM finds the package's entry points: without them its server has no ``/v1/attention``."""
    return any(point.name == "mistral_vllm" for point in entry_points(group="vllm.endpoint_plugins"))


def save_tokenizer(folder: Path, vocabulary: int) -> None:
    """Write a tokenizer of so many words beside a model."""
    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"t{number}": number for number in range(3, vocabulary)}
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    words_to_ids = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106 - a word
    PreTrainedTokenizerFast(tokenizer_object=words_to_ids, **special).save_pretrained(folder)


def plan(folder: Path, max_model_len: int, *flags: str) -> dict[str, Any]:
    """Return what ``mistral-operator plan FOLDER -o json`` prints for this machine's GPUs."""
    major, minor = torch.cuda.get_device_capability()
    gigabytes = torch.cuda.get_device_properties(0).total_memory // 2**30
    here = ("--compute-capability", f"{major}.{minor}", "--gpu-memory", f"{gigabytes}Gi")
    command = [sys.executable, "-c", "from mistral_operator.cli import main; main()", "plan", str(folder), *here]
    path = os.pathsep.join([str(_ROOT / "operator"), str(_ROOT / "images/vllm"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--max-model-len", str(max_model_len), *flags, "-o", "json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    planned: dict[str, Any] = json.loads(done.stdout)
    return planned


@contextmanager
def served(
    planned: dict[str, Any], log: Path, gpus: Sequence[int] = (0,), more_args: Sequence[str] = ()
) -> Iterator[str]:
    """Run the image's entry point with the plan's arguments and environment; gives its URL until the block ends.

    ``gpus`` are those of the ranks; ranks on one GPU share it as :mod:`gpu.sharing` says.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mistral_vllm.telling.entrypoint", "serve", *planned["args"], *more_args]
    environment = {**os.environ, **planned["env"], "VLLM_API_KEY": KEY, "HF_HUB_OFFLINE": "1"}
    environment["MISTRAL_VLLM_TERMINATION_LOG"] = str(log.with_suffix(".termination"))
    environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, dict.fromkeys(gpus)))
    if len(set(gpus)) < len(gpus):
        command += _SHARING_ARGS
        environment |= _SHARING_ENVIRONMENT
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT / "tests"), environment.get("PYTHONPATH", "")])
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


def ask(url: str, *, key: str | None = KEY, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """GET, or POST a body; returns the status and what was answered: JSON where it is an object."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _is_up(url: str) -> bool:
    try:
        return ask(f"{url}/health", key=None)[0] == 200
    except OSError:
        return False
