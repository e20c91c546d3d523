"""Pods as the API server shows them, in the states that the kubelet and the scheduler leave them in."""

from typing import Any

Body = dict[str, Any]
NAME = "m-5b9c7d-x2k4p"


def pod(*containers: Body, node: str | None = "n", name: str = NAME, **status: Any) -> Body:
    """Return a pod that is not ready."""
    conditions = [{"type": "Ready", "status": "False"}, *status.pop("conditions", ())]
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": list(containers), **status},
    }


def container(state: Body, last: Body | None = None, *, name: str = "vllm", started: bool = False) -> Body:
    """Return a container's status."""
    return {
        "name": name,
        "image": "ghcr.io/acme/mistral-vllm:0.1",
        "ready": False,
        "started": started,
        "restartCount": 7,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def waiting(reason: str, message: str = "") -> Body:
    """Return a container that waits."""
    return container({"waiting": {"reason": reason, "message": message}})


def ended(message: str = "", *, code: int = 1, reason: str = "Error", name: str = "vllm") -> Body:
    """Return a container that ends again and again."""
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off 5m0s restarting container={name}"}}
    last = {"reason": reason, "exitCode": code, "finishedAt": "2026-11-25T12:00:00Z"}
    return container(back_off, last | ({"message": message} if message else {}), name=name)


def running(*, started: bool = False, last: Body | None = None) -> Body:
    """Return a container that runs and is not ready."""
    return container({"running": {"startedAt": "2026-11-25T12:00:00Z"}}, last, started=started)


def unscheduled(message: str, reason: str = "Unschedulable") -> Body:
    """Return a pod that the scheduler has found no node for."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(node=None, phase="Pending", conditions=[condition])
