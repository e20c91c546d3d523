"""What it takes to let an object fail in one way, and to put it right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from cluster.live import Body, Live
from mistral_vllm.telling.root_cause import root_cause

ANNOTATION: Final = "devcluster.mistral-operator.io"
FATE: Final = f"{ANNOTATION}/fate"
LOGS: Final = Path(__file__).parents[1] / "unit" / "vllm_logs"
ROOMY: Final = "NVIDIA-H100-80GB-HBM3"
ON_ROOMY: Final[dict[str, Any]] = {"gpu": {"products": [ROOMY]}}


class Case(NamedTuple):
    """One way to fail."""

    name: str
    reason: str
    phase: str
    spec: dict[str, Any]
    heal: Callable[[Live, str], None] | None = None
    namespace: str = ""  # what is special about it
    seconds: float = 30  # until it can be told


def respec(live: Live, name: str, **spec: Any) -> None:
    """Put an object right by changing its spec."""
    live.patch("MistralDeployment", name, {"spec": spec})


def release(live: Live, name: str) -> None:
    """Let the pods live whose fate it was to fail."""
    for pod in live.pods(name):
        live.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": {FATE: None}}})


def remove(kind: str, other: str, live: Live, _: str) -> None:
    """Take away what stands in the way."""
    live.delete(kind, other)


def fated(fate: str, **annotations: str) -> dict[str, Any]:
    """Return the spec of an object whose pods have a fate."""
    told = {f"{ANNOTATION}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {**ON_ROOMY, "podAnnotations": {FATE: fate, **told}}


def waits(name: str, reason: str, phase: str = "Failed", fate: str = "", seconds: float = 30) -> Case:
    """Return a case that the kubelet tells of."""
    return Case(name, reason, phase, fated(fate or name), release, seconds=seconds)


def says(name: str, reason: str, words: str = "", code: int = 1) -> Case:
    """Return a case that vLLM tells of, in our image's termination message."""
    text = words or root_cause((LOGS / f"{name.replace('-', '_')}.log").read_text(encoding="utf-8"), code)
    return Case(name, reason, "Failed", fated("ends", last_words=text, exit_code=str(code)), release)


def claim(name: str, **spec: Any) -> Body:
    """Return a claim."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted | spec}


def volume(name: str, namespace: str, **spec: Any) -> Body:
    """Return a volume for a claim of that name."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{name}"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": "/models"},
            "claimRef": {"namespace": namespace, "name": name},
            **spec,
        },
    }


def volume_nowhere(name: str, namespace: str) -> Body:
    """Return a volume that is where no node is."""
    nowhere = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["nowhere"]}
    terms = [{"matchExpressions": [nowhere]}]
    return volume(name, namespace, nodeAffinity={"required": {"nodeSelectorTerms": terms}})


def provide(live: Live, name: str, **spec: Any) -> None:
    """Give a claim its volume."""
    live.plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump(volume(name, live.namespace, **spec)))


def admit(live: Live, name: str) -> None:
    """Open the gate that holds back pods."""
    for pod in live.pods(name):
        live.patch("Pod", pod["metadata"]["name"], {"spec": {"schedulingGates": None}})
