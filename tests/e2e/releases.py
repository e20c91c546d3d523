"""The operator as a release of the chart: its pods, and who of them leads."""

from pathlib import Path
from typing import Final

from chart.helm import Release
from devcluster.hub import HubServer
from devcluster.node import Node
from devcluster.node.images import VLLM_CPU
from devcluster.waiting import wait_until

NAMESPACE: Final = "mistral-operator-system"
PREVIOUS: Final = Path(__file__).parent / "mistral-operator-0.1.0.tgz"
"""The chart as it was released before this one."""
_NAME: Final = "mistral-operator"
_ROLLOUT_SECONDS: Final = 120
_LEADER_SECONDS: Final = 60.0


def release(hub: HubServer, *, vllm_tag: str = "") -> Release:
    """Return a release with two replicas, whose models are served on the CPU; by another image, if told so."""
    repository, _, version = VLLM_CPU.tag.partition(":")
    vllm = {"repository": repository, "tag": vllm_tag or version, "runtime": "vllm-cpu", "version": version}
    return Release(_NAME, NAMESPACE, {"replicaCount": 2, "vllm": vllm, "hub": {"endpoint": hub.url}})


class Operators:
    """The operator's pods."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def until_ready(self) -> None:
        """Wait until all replicas are there and the newest."""
        self._node.kubectl(
            "rollout", "status", f"deployment/{_NAME}", f"--namespace={NAMESPACE}", f"--timeout={_ROLLOUT_SECONDS}s",
            timeout_seconds=_ROLLOUT_SECONDS + 10,
        )  # fmt: skip

    def names(self) -> set[str]:
        """Return the names of the pods."""
        found = self._node.get("pods", f"--namespace={NAMESPACE}", "-l", f"app.kubernetes.io/name={_NAME}")
        return {pod["metadata"]["name"] for pod in (found or {"items": ()})["items"]}

    def until_gone(self, names: set[str]) -> None:
        """Wait until none of these pods is there."""
        wait_until("operators to end", lambda: not names & self.names(), seconds=_ROLLOUT_SECONDS)

    def leader(self) -> str:
        """Wait until one of the pods leads, and return its name."""

        def leads() -> str | None:
            lease = self._node.get("lease", _NAME, f"--namespace={NAMESPACE}")
            holder = (lease or {}).get("spec", {}).get("holderIdentity", "")
            return next((name for name in self.names() if holder.startswith(name)), None)

        found = wait_until("an operator to lead", leads, seconds=_LEADER_SECONDS)
        assert found is not None
        return found

    def delete(self, name: str) -> None:
        """Delete a pod, and wait until it is gone."""
        self._node.kubectl("delete", "pod", name, f"--namespace={NAMESPACE}")
