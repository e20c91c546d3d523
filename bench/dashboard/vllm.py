"""One real vLLM on the CPU with the mistral-vllm plugin, serving a tiny random Mistral, and its clients."""

import json
import os
import random
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from devcluster.cluster import Cluster
from devcluster.operator import COMMAND
from devcluster.processes import Process
from devcluster.waiting import wait_until
from mistral_operator.api.names import CONTAINER_PORT

MODEL: Final = "acme/tiny-mistral"
MAX_MODEL_LEN_TOKENS: Final = 256
_ROOT: Final = Path(__file__).parents[2]
_PYTHON: Final = _ROOT / ".venv-image" / "bin" / "python"  # of make test-image
_START_SECONDS: Final = 300.0
_SAVE: Final = (
    "import sys, pathlib; from image.tiny import *; save_tiny(pathlib.Path(sys.argv[1]), sliding_window=WINDOW_TOKENS)"
)
_BLOCKS: Final = 60  # of 16 tokens: a KV cache that a few clients fill
_WORDS: Final = 500


class Vllm:
    """It is where a pod of it would be: at an address of the loopback, on vLLM's port."""

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._cluster = cluster
        self._address = address
        self._process: Process | None = None
        self.folder = cluster.folder / "tiny-mistral"

    def save_model(self) -> None:
        """Write the model."""
        paths = {**os.environ, "PYTHONPATH": str(_ROOT / "tests")}
        saving = self._cluster.run("save-model", (str(_PYTHON), "-c", _SAVE, str(self.folder)), paths)
        if saving.wait() != 0:
            raise RuntimeError(
                f"the tiny model cannot be written; make test-image makes what it needs:\n{saving.end_of_log()}"
            )

    def start(self) -> None:
        """Start it, without waiting."""
        environment = {
            **os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_PLUGINS": "mistral_vllm", "TORCHDYNAMO_DISABLE": "1", "VLLM_CACHE_ROOT": str(self.folder / "cache"),
        }  # fmt: skip
        command = (
            str(_PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", *self._planned(),
            f"--served-model-name={MODEL}", f"--host={self._address}", f"--port={CONTAINER_PORT}",
            f"--num-gpu-blocks-override={_BLOCKS}",
        )  # fmt: skip
        self._process = self._cluster.run("vllm", command, environment)

    def wait_ready(self) -> None:
        """Wait until it serves."""
        wait_until("vLLM to serve", self._serves, seconds=_START_SECONDS)

    def check(self) -> None:
        """Raise when it has ended."""
        if self._process is not None:
            self._process.check()

    @contextmanager
    def clients(self, count: int) -> Iterator[None]:
        """Let so many clients ask, each again and again after a while, until the context ends."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(stop, random.Random(number))) for number in range(count)]  # noqa: S311
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _planned(self) -> list[str]:
        """Return what the operator gives such a pod."""
        asked = ("--runtime=vllm-cpu", "--vllm=0.26.0", "--dtype=float32", f"--max-model-len={MAX_MODEL_LEN_TOKENS}",
                 "--extra-arg=--enforce-eager", "--output=json")  # fmt: skip
        command = (str(COMMAND), "plan", str(self.folder), *asked)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)  # noqa: S603
        return [str(argument) for argument in json.loads(done.stdout)["args"]]

    def _ask(self, stop: threading.Event, chance: random.Random) -> None:
        while not stop.wait(chance.expovariate(1.0)):
            prompt = [chance.randrange(3, _WORDS) for _ in range(chance.randrange(8, 120))]
            self._post({"model": MODEL, "prompt": prompt, "max_tokens": chance.randrange(40, 120), "ignore_eos": True})

    def _post(self, body: Any) -> None:
        request = urllib.request.Request(
            f"http://{self._address}:{CONTAINER_PORT}/v1/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            answer.read()

    def _serves(self) -> bool:
        self.check()
        try:
            with urllib.request.urlopen(f"http://{self._address}:{CONTAINER_PORT}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
