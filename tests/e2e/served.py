"""The MistralDeployment of these tests: a tiny Mistral from the local hub, served on the CPU."""

import json
from collections.abc import Callable
from typing import Any, Final

import yaml

from devcluster.node import Node
from devcluster.waiting import wait_until
from e2e.toolbox import MODEL, Expected, Toolbox

NAMESPACE: Final = "models"
NAME: Final = "tiny"
_SERVES_SECONDS: Final = 300.0  # vLLM loads for half a minute on two free cores
_QUICK_SECONDS: Final = 60.0
_ENDS_SECONDS: Final = 120.0

Body = dict[str, Any]

MANIFEST: Final[Body] = {
    "apiVersion": "mistral-operator.io/v1alpha1",
    "kind": "MistralDeployment",
    "metadata": {"name": NAME, "namespace": NAMESPACE},
    "spec": {
        "model": {"id": MODEL},
        # as transformers computes: tokens are compared one by one
        "engine": {"dtype": "float32", "maxModelLen": 256, "enforceEager": True},
        "env": [
            {"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"},
            # vLLM compiles its sampler for a minute, whatever enforceEager says
            {"name": "TORCHDYNAMO_DISABLE", "value": "1"},
        ],
        "terminationGracePeriodSeconds": 12,
    },
}


class Served:
    """What a user sees of it, by kubectl and by HTTP."""

    def __init__(self, node: Node, toolbox: Toolbox) -> None:
        self._node = node
        self._toolbox = toolbox

    def apply(self) -> None:
        """Apply it as a user does; what they have scaled it to stays."""
        self._node.kubectl("apply", "-f", "-", stdin=json.dumps(MANIFEST))

    def scale(self, replicas: int) -> None:
        """Scale it as a user does."""
        self._node.kubectl("scale", "mdep", NAME, f"--namespace={NAMESPACE}", f"--replicas={replicas}")

    def annotate_service(self, value: str) -> None:
        """Change something that rolls no pod."""
        patch = json.dumps({"spec": {"service": {"annotations": {"example.com/changed": value}}}})
        self._node.kubectl("patch", "mdep", NAME, f"--namespace={NAMESPACE}", "--type=merge", f"--patch={patch}")

    def body(self) -> Body:
        """Return it as it is."""
        body: Body = self._node.get("mdep", NAME, f"--namespace={NAMESPACE}")
        return body

    def status(self) -> Body:
        """Return what the operator says of it; empty before it says anything."""
        status: Body = self.body().get("status", {})
        return status

    def condition(self, kind: str) -> Body:
        """Return a condition; empty where there is none for the newest generation."""
        body = self.body()
        found = {one["type"]: one for one in body.get("status", {}).get("conditions", ())}.get(kind, {})
        return found if found.get("observedGeneration") == body["metadata"]["generation"] else {}

    def pods(self) -> dict[str, Body]:
        """Return its pods by uid, with those that end."""
        selector = f"app.kubernetes.io/instance={NAME}"
        found = self._node.get("pods", f"--namespace={NAMESPACE}", "-l", selector)
        return {pod["metadata"]["uid"]: pod for pod in (found or {"items": ()})["items"]}

    def lives(self) -> dict[str, int]:
        """Return how often each of its pods was restarted, by uid: no life of a model is lost while this stays."""
        return {uid: _restarts(pod) for uid, pod in self.pods().items()}

    def service_annotation(self) -> str:
        """Return what the Service says of the last change."""
        service = self._node.get("service", NAME, f"--namespace={NAMESPACE}")
        return str(service["metadata"].get("annotations", {}).get("example.com/changed", ""))

    def until_ready(self, replicas: int = 1) -> None:
        """Wait until that many replicas are Ready, and no pod more is there."""

        def ready() -> bool:
            counts = self.condition("Ready").get("status") == "True" and self.status().get("readyReplicas") == replicas
            return counts and len(self.pods()) == replicas

        self.until(f"{replicas} ready", ready, _SERVES_SECONDS)

    def until_stopped(self) -> None:
        """Wait until it says so, and no pod is there."""
        self.until("it to stop", lambda: self.status()["phase"] == "Stopped" and not self.pods(), _ENDS_SECONDS)

    def until_changed(self, value: str) -> None:
        """Wait until the operator has acted on the last change."""
        self.until(f"the change {value}", lambda: self.service_annotation() == value, _QUICK_SECONDS)

    def until(self, what: str, condition: Callable[[], bool], seconds: float = _QUICK_SECONDS) -> None:
        """Wait for a condition, and tell what there is where it was waited for in vain."""
        try:
            wait_until(what, condition, seconds=seconds, every_seconds=0.5)
        except TimeoutError as error:
            error.add_note(yaml.safe_dump(self.status()))
            error.add_note(self._node.kubectl("get", "pods", "--all-namespaces", "-o", "wide", check=False))
            log = ("logs", f"deployment/{NAME}", f"--namespace={NAMESPACE}", "--tail=40")
            error.add_note(self._node.kubectl(*log, check=False))
            raise

    def complete(self, expected: Expected) -> list[int]:
        """Ask through the Service, by its name, for as many tokens as are expected."""
        url = f"{self.status()['url']}/completions"
        body = {
            "model": MODEL, "prompt": expected.prompt, "max_tokens": len(expected.tokens), "temperature": 0,
            "ignore_eos": True, "return_token_ids": True,
        }  # fmt: skip
        # kube-proxy hears of an endpoint a moment after everybody else
        answer = wait_until("an answer", lambda: self._answered(url, body), seconds=_QUICK_SECONDS, every_seconds=0.5)
        assert answer is not None
        status, text = answer
        assert status == 200, text
        tokens: list[int] = json.loads(text)["choices"][0]["token_ids"]
        return tokens

    def _answered(self, url: str, body: Body) -> tuple[int, str] | None:
        status, text = self._toolbox.ask(url, body)
        return (status, text) if status else None


def _restarts(pod: Body) -> int:
    return sum(container["restartCount"] for container in pod["status"].get("containerStatuses", ()))
