"""Who lives beside the good objects: their specs, what their pods show, and what those pods do again and again."""

import asyncio
import itertools
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from bench.background import Check, in_background
from bench.converge.api import ApiServer, Resource
from bench.failing import well
from bench.hostile.lying_pods import ADDRESS
from devcluster.controlplane import ControlPlane
from devcluster.hub import Fault, Kind

NAMESPACE: Final = "neighbours"
NODE: Final = "neighbours-node"
ROUND_SECONDS: Final = 10.0  # the shortest back-off of a container that ends
_LONGEST_WORDS: Final = 4096  # bytes of a termination message, as the kubelet cuts it
_LOG_BYTES: Final = 128 * 1024
_LABELS: Final = {"app.kubernetes.io/managed-by": "mistral-operator", "app.kubernetes.io/name": "vllm"}
_HARD_TO_READ: Final = (
    "(Request ID: ", "Failed core proc(s): {'", "max seq len (1), (1 GiB KV cache is needed", "[rank0]: ",
    "Traceback (most recent call last):\n", "No valid attention backend found for ", "🚀\u202e\x1b[31m", "\r",
)  # fmt: skip
_GOOD_MODEL: Final = "mistralai/Mistral-7B-v0.1"
HUBS: Final = {
    "mistralai/Mistral-7B-Instruct-v0.1": Fault(Kind.SLOW, seconds=8),
    "mistralai/Mistral-7B-Instruct-v0.3": Fault(Kind.TORN),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": Fault(Kind.GARBLED),
    "mistralai/Pixtral-12B-2409": Fault(Kind.RATE_LIMITED, seconds=30),
    "mistralai/Codestral-22B-v0.1": Fault(Kind.UNAVAILABLE),
}
_OF_THEIR_OWN: Final = frozenset({Kind.SLOW, Kind.RATE_LIMITED, Kind.UNAVAILABLE})


@dataclass(frozen=True)
class Neighbour:
    """One object beside the good ones."""

    name: str
    model: dict[str, str]
    env: list[dict[str, str]]


@dataclass(frozen=True)
class Kin:
    """Neighbours of one kind, and what their pods show in each turn."""

    neighbours: list[Neighbour]
    statuses: Callable[[int], list[dict[str, Any]]]
    lying: bool  # whether pods that are Ready answer without end


def kinds(count: int) -> dict[str, Kin]:
    """Return the kinds to compare: nobody, as many that are well, and as many that are hostile."""
    well_ones = [Neighbour(f"well-{number:04d}", {"id": _GOOD_MODEL}, []) for number in range(count)]
    return {
        "nobody": Kin([], lambda _: [], lying=False),
        "well": Kin(well_ones, lambda _: well(), lying=False),
        "hostile": Kin(_hostile(count), hostile_statuses, lying=True),
    }


def hostile_log() -> str:
    """Return the log of every container that ends without a word."""
    return "\n".join(_repeated(unit, _LOG_BYTES // 4) for unit in _HARD_TO_READ[:4])


def hostile_statuses(turn: int) -> list[dict[str, Any]]:
    """Return what hostile pods show in one turn: words that are hard to read, or none, so that their log is read."""
    words = [_repeated(unit, _LONGEST_WORDS) for unit in _HARD_TO_READ]
    said: list[str] = [*words, *("" for _ in words)]
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return [
        *({"phase": "Running", "containerStatuses": [_ended(message, turn)]} for message in said),
        *({"phase": "Failed", "reason": "Evicted", "message": f"{turn} {message}"} for message in words),
        *({"phase": "Pending", "conditions": [condition | {"message": f"{turn} {one}"}]} for one in words),
    ]


def _hostile(count: int) -> list[Neighbour]:
    """Return objects whose hubs and pods are hostile; where it can, each asks the hub for something of its own."""
    rocket = [{"name": "ROCKET", "value": "🚀 \u202e"}]
    models: list[tuple[str, Fault | None]] = [*HUBS.items(), (_GOOD_MODEL, None)]
    found = []
    for number, (model, fault) in zip(range(count), itertools.cycle(models), strict=False):
        revision = {"revision": f"r{number}"} if fault is not None and fault.kind in _OF_THEIR_OWN else {}
        found.append(Neighbour(f"hostile-{number:04d}", {"id": model, **revision}, rocket))
    return found


def _repeated(unit: str, length_bytes: int) -> str:
    return (unit * (length_bytes // len(unit.encode()) + 1)).encode()[:length_bytes].decode(errors="ignore")


def _ended(message: str, turn: int) -> dict[str, Any]:
    finished = f"2026-11-25T12:{turn // 60 % 60:02}:{turn % 60:02}Z"
    end = {"reason": "Error", "exitCode": 1, "finishedAt": finished} | ({"message": message} if message else {})
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    container = {"name": "vllm", "image": "a", "imageID": "", "ready": False, "restartCount": 1}
    return container | {"state": state, "lastState": {"terminated": end}}


class Neighbourhood:
    """Neighbours with a pod each, which change again and again."""

    def __init__(self, plane: ControlPlane, api: ApiServer, objects: Resource, kin: Kin) -> None:
        self._plane = plane
        self._api = api
        self._objects = objects
        self._pods = Resource("Pod", "pods", f"/api/v1/namespaces/{NAMESPACE}/pods")
        self._sets = Resource("ReplicaSet", "replicasets", f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets")
        self._kin = kin

    async def create(self) -> None:
        """Create the objects, and a pod of each."""
        kind = {"apiVersion": "mistral-operator.io/v1alpha1", "kind": "MistralDeployment"}
        for one in self._kin.neighbours:
            spec = {"model": one.model, "gpu": {"products": ["NVIDIA-H200"]}, "env": one.env}
            await self._api.create(self._objects, {**kind, "metadata": {"name": one.name}, "spec": spec})
            await self._create_pod(one.name, one.name, {})
        await self._change(0, pause_seconds=0)

    async def lie(self) -> None:
        """Give every Deployment a ReplicaSet and a Ready pod whose answer never ends, where these neighbours lie."""
        if not self._kin.lying:
            return
        for deployment in await self._all("deployments"):
            await self._create_set(deployment)
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-25T12:00:00Z"}
        status = {"phase": "Running", "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}], "conditions": [ready]}
        for one in await self._all("replicasets"):
            name = f"{one['metadata']['name']}-lies"
            metadata = one["spec"]["template"]["metadata"] | {"ownerReferences": [_controller("ReplicaSet", one)]}
            await self._create_pod(name, one["metadata"]["labels"]["app.kubernetes.io/instance"], metadata)
            await self._api.patch_status(self._pods, name, {"status": status})

    def again_and_again(self, check: Check) -> AbstractAsyncContextManager[Check]:
        """Let every pod change anew each round; yield a check that raises when they do so no more, too."""
        return in_background(self._keep_changing(), check)

    async def _create_set(self, deployment: dict[str, Any]) -> None:
        template = deployment["spec"]["template"]
        labels = {**template["metadata"]["labels"], "pod-template-hash": "a"}
        owners = [_controller("Deployment", deployment)]
        metadata = {"name": f"{deployment['metadata']['name']}-a", "ownerReferences": owners, "labels": labels}
        template = {"metadata": {**template["metadata"], "labels": labels}, "spec": template["spec"]}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}
        await self._api.create(self._sets, body)

    async def _create_pod(self, name: str, instance: str, metadata: dict[str, Any]) -> None:
        labels = {**_LABELS, "app.kubernetes.io/instance": instance, **metadata.get("labels", {})}
        metadata = {**metadata, "name": name, "labels": labels}
        spec = {"nodeName": NODE, "containers": [{"name": "vllm", "image": "a"}]}
        await self._api.create(self._pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    async def _all(self, kind: str) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(self._plane.kubectl, "get", kind, "-n", NAMESPACE, "-o", "json")
        items: list[dict[str, Any]] = json.loads(found)["items"]
        return items

    async def _keep_changing(self) -> None:
        for turn in itertools.count(1):
            await self._change(turn, ROUND_SECONDS / len(self._kin.neighbours))

    async def _change(self, turn: int, pause_seconds: float) -> None:
        statuses = itertools.cycle(self._kin.statuses(turn))
        for one, status in zip(self._kin.neighbours, statuses, strict=False):
            await self._api.patch_status(self._pods, one.name, {"status": status})
            await asyncio.sleep(pause_seconds)


def _controller(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    metadata = body["metadata"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
