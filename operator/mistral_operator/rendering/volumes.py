"""Volumes: where the weights are, what may be written, and the shared memory of tensor parallel."""

import posixpath
from typing import Any, Final

from mistral_operator.api.rendered import RENDERED_VOLUMES
from mistral_operator.api.spec import MistralDeploymentSpec, ModelSource
from mistral_operator.rendering.owner import Owner
from mistral_operator.rendering.problems import RenderingReason, Unrenderable

CACHE_FOLDER: Final = RENDERED_VOLUMES["cache"]
_MODELS: Final = "models"
_SHM_PER_GPU_GIB: Final = 2  # NCCL and vLLM's message queues between the workers; counts in the memory limit


def render_volumes(owner: Owner, spec: MistralDeploymentSpec) -> list[dict[str, Any]]:
    """Return the pod's volumes, the user's last.

    Raises
    ------
    Unrenderable
        When a user's volume has the name of one of ours.
    """
    shm = {"medium": "Memory", "sizeLimit": f"{_SHM_PER_GPU_GIB * spec.parallelism.tensor}Gi"}
    ours = [
        {"name": _MODELS, **_models_source(owner, spec)},
        {"name": "cache", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": shm},
    ]
    for volume in spec.volumes or ():
        if volume.get("name") in RENDERED_VOLUMES:
            raise _conflict(f"spec.volumes names a volume {volume['name']!r}", "Give that volume another name")
    return [*ours, *(spec.volumes or ())]


def render_mounts(spec: MistralDeploymentSpec) -> list[dict[str, Any]]:
    """Return the container's mounts, the user's last.

    Raises
    ------
    Unrenderable
        When a user mounts something where one of ours is.
    """
    read_only = spec.model.source is ModelSource.PVC
    ours: list[dict[str, Any]] = [
        {"name": name, "mountPath": path, **({"readOnly": True} if name == _MODELS and read_only else {})}
        for name, path in RENDERED_VOLUMES.items()
    ]
    for mount in spec.volume_mounts or ():
        path = posixpath.normpath("/" + str(mount.get("mountPath", "")).lstrip("/"))
        if path in RENDERED_VOLUMES.values():
            raise _conflict(f"spec.volumeMounts mounts {mount.get('name')!r} at {path}", "Mount it somewhere else")
    return [*ours, *(spec.volume_mounts or ())]


def claim_name(owner: str, spec: MistralDeploymentSpec) -> str | None:
    """Return the name of the claim that pods mount; None where they mount none."""
    pvc = spec.storage and spec.storage.pvc
    return (pvc.name or owner) if pvc else None


def _models_source(owner: Owner, spec: MistralDeploymentSpec) -> dict[str, Any]:
    storage = spec.storage
    claim = claim_name(owner.name, spec)
    if claim is not None:
        return {"persistentVolumeClaim": {"claimName": claim}}
    limit = storage and storage.empty_dir and storage.empty_dir.size_limit
    return {"emptyDir": {"sizeLimit": limit} if limit else {}}


def _conflict(what: str, next_step: str) -> Unrenderable:
    return Unrenderable(RenderingReason.VOLUME_CONFLICT, f"{what}, which every pod has already", next_step)
