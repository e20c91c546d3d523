"""A pod with vLLM's libraries and Python, in which tests run what must run inside the cluster."""

import json
import shutil
from pathlib import Path
from typing import Any, Final, NamedTuple

from devcluster.node import Node
from devcluster.node.images import VLLM_CPU

MODEL: Final = "tiny/mistral"
_NAME: Final = "toolbox"
_NAMESPACE: Final = "default"
_SHARED: Final = "/shared"
_TESTS: Final = Path(__file__).parents[1]
_READY_SECONDS: Final = 120
_ORACLE_SECONDS: Final = 180
_ANSWER_SECONDS: Final = 60
# standard input is the request, the one line of output is the answer's status and body
_POST: Final = """
import json, sys, urllib.error, urllib.request
body = sys.stdin.buffer.read()
request = urllib.request.Request(sys.argv[1], body or None, {"Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
except OSError as error:
    print(json.dumps([0, str(error)]))
"""


class Expected(NamedTuple):
    """What transformers makes of a prompt; all are numbers of tokens."""

    prompt: list[int]
    tokens: list[int]
    windowless: list[int]  # what would come of ignoring the window


class Toolbox:
    """The pod, and a folder that it shares with the tests."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.models = node.folder / "toolbox" / "models"

    def start(self) -> None:
        """Start the pod and wait until it is ready."""
        shared = self.models.parent
        self.models.mkdir(parents=True)
        (shared / "image").mkdir()
        shutil.copy(_TESTS / "image" / "tiny.py", shared / "image")
        shutil.copy(_TESTS / "e2e" / "oracle.py", shared)
        self._node.apply(_pod(shared))
        seconds = f"--timeout={_READY_SECONDS}s"
        self._node.kubectl(
            "wait", "--for=condition=Ready", f"pod/{_NAME}", f"--namespace={_NAMESPACE}", seconds,
            timeout_seconds=_READY_SECONDS + 10,
        )  # fmt: skip

    def make_model(self) -> Expected:
        """Write the tiny model as a repository of the hub, and return what transformers makes of a prompt."""
        folder = MODEL.replace("/", "__")
        command = ("python", f"{_SHARED}/oracle.py", f"{_SHARED}/models/{folder}")
        said = self._exec(*command, timeout_seconds=_ORACLE_SECONDS)
        return Expected(**json.loads(said.splitlines()[-1]))

    def ask(self, url: str, body: Any = None) -> tuple[int, str]:
        """Send JSON to a URL inside the cluster, or get it; return the status, 0 for no answer, and the text."""
        sent = "" if body is None else json.dumps(body)
        said = self._exec("python", "-c", _POST, url, stdin=sent, timeout_seconds=_ANSWER_SECONDS)
        status, text = json.loads(said)
        return int(status), str(text)

    def _exec(self, *command: str, timeout_seconds: float, stdin: str = "") -> str:
        return self._node.kubectl(
            "exec", "--stdin", f"--namespace={_NAMESPACE}", _NAME, "--", *command,
            stdin=stdin, timeout_seconds=timeout_seconds,
        )  # fmt: skip


def _pod(shared: Path) -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": VLLM_CPU.tag,
        "command": ["python", "-c", "import signal; signal.pause()"],
        "env": [{"name": "PYTHONPATH", "value": _SHARED}],
        "volumeMounts": [{"name": "shared", "mountPath": _SHARED}],
        "securityContext": {"runAsUser": 0},  # the folder is root's
    }
    volume = {"name": "shared", "hostPath": {"path": str(shared), "type": "Directory"}}
    spec = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": _NAME, "namespace": _NAMESPACE}, "spec": spec}
