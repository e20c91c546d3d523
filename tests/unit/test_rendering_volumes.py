"""Volumes and claims: where weights are, what may be written, and what a user may add."""

from typing import Any

import pytest

from mistral_operator.rendering.children import prunable_kinds
from mistral_operator.rendering.problems import RenderingReason, Unrenderable
from unit.planning_on_clusters import spec
from unit.rendering_from_specs import OWNER, container, pod, rendered

ON_VOLUME = {"id": "mistralai/Mistral-7B-v0.1", "source": "PVC", "path": "mistral-7b"}
CREATED = {"pvc": {"create": {"size": "50Gi"}}}


def volumes(**fields: Any) -> dict[str, Any]:
    """Return the pod's volumes by name; every name stands there once."""
    found = pod(**fields)["volumes"]
    by_name = {volume["name"]: volume for volume in found}
    assert len(by_name) == len(found)
    return by_name


@pytest.mark.parametrize(
    ("storage", "source"),
    [
        pytest.param(None, {"emptyDir": {}}, id="the node's disk"),
        pytest.param({"emptyDir": {"sizeLimit": "40Gi"}}, {"emptyDir": {"sizeLimit": "40Gi"}}, id="a part of it"),
        pytest.param({"pvc": {"name": "w"}}, {"persistentVolumeClaim": {"claimName": "w"}}, id="a claim there is"),
        pytest.param(CREATED, {"persistentVolumeClaim": {"claimName": "mistral"}}, id="a claim to make"),
    ],
)
def test_where_weights_are(storage: dict[str, Any] | None, source: dict[str, Any]) -> None:
    """Downloads are kept where the spec says."""
    fields: dict[str, Any] = {} if storage is None else {"storage": storage}
    assert volumes(**fields)["models"] == {"name": "models", **source}


def test_weights_that_are_there_are_only_read() -> None:
    """A volume that the user filled is mounted read-only, and vLLM is given the folder in it."""
    fields: dict[str, Any] = {"model": ON_VOLUME, "storage": {"pvc": {"name": "weights"}}}
    found = container(**fields)
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in found["volumeMounts"]
    assert found["args"][0] == "/models/mistral-7b"
    assert "--revision" not in found["args"]


@pytest.mark.parametrize("path", ["/models", "/cache", "/tmp", "/dev/shm"])  # noqa: S108
def test_what_may_be_written(path: str) -> None:
    """The root filesystem is read-only: these are all there is to write to."""
    (mount,) = [mount for mount in container()["volumeMounts"] if mount["mountPath"] == path]
    assert "readOnly" not in mount
    assert "emptyDir" in volumes()[mount["name"]]


@pytest.mark.parametrize(("gpus", "size"), [(1, "2Gi"), (8, "16Gi")])
def test_shared_memory(gpus: int, size: str) -> None:
    """It grows with the workers, and it has a limit: without one it would be half of the node's memory."""
    assert volumes(parallelism={"tensor": gpus})["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": size}


def test_shared_memory_counts_in_the_memory_limit() -> None:
    """The kernel charges it to the container, whose limit stays what the user wrote."""
    fields: dict[str, Any] = {"resources": {"limits": {"memory": "24Gi"}}, "parallelism": {"tensor": 4}}
    assert container(**fields)["resources"]["limits"]["memory"] == "24Gi"


def test_the_users_own_come_last() -> None:
    """Volumes and mounts beside the operator's, one of the operator's mounted once more included."""
    mine = {"name": "certificates", "configMap": {"name": "ca"}}
    mounts = [
        {"name": "certificates", "mountPath": "/etc/ssl/certs"},
        {"name": "cache", "mountPath": "/root/.cache", "subPath": "root"},
        {"name": "certificates", "mountPath": "/models/extra"},
    ]
    found = pod(volumes=[mine], volumeMounts=mounts)
    assert found["volumes"][-1] == mine
    assert found["containers"][0]["volumeMounts"][-3:] == mounts


@pytest.mark.parametrize("name", ["models", "cache", "tmp", "shm"])
def test_a_volume_that_every_pod_has(name: str) -> None:
    """Server-side apply answers HTTP 500 to two volumes of one name: refused here, and by its name."""
    with pytest.raises(Unrenderable, match=rf"spec\.volumes names a volume '{name}'") as caught:
        pod(volumes=[{"name": name, "emptyDir": {}}])
    assert caught.value.reason is RenderingReason.VOLUME_CONFLICT
    assert caught.value.next_step == "Give that volume another name"


@pytest.mark.parametrize(
    "path",
    ["/models", "/cache/", "/tmp//", "//dev/shm", "/dev/./shm", "/srv/../cache", "/models/."],  # noqa: S108
)
def test_a_mount_where_one_of_ours_is(path: str) -> None:
    """However the path is written: one of the two mounts would hide the other."""
    with pytest.raises(Unrenderable, match=r"spec\.volumeMounts mounts 'mine' at /"):
        pod(volumes=[{"name": "mine", "emptyDir": {}}], volumeMounts=[{"name": "mine", "mountPath": path}])


def test_a_problem_becomes_a_condition() -> None:
    """It is False with its reason, and its sentence says what to do."""
    with pytest.raises(Unrenderable) as caught:
        pod(volumes=[{"name": "tmp", "emptyDir": {}}])
    condition = caught.value.as_condition()
    assert (condition.is_false, condition.reason) == (True, "VolumeConflict")
    assert condition.message.endswith("Give that volume another name.")


@pytest.mark.parametrize(
    ("create", "claim"),
    [
        pytest.param(
            {"size": "50Gi"},
            {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "50Gi"}}},
            id="the cluster's default class",
        ),
        pytest.param(
            {"size": "1Ti", "storageClassName": "fast", "accessModes": ["ReadWriteMany"]},
            {
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "1Ti"}},
                "storageClassName": "fast",
            },
            id="all of it",
        ),
    ],
)
def test_a_claim_to_make(create: dict[str, Any], claim: dict[str, Any]) -> None:
    """It bears the owner's name, and goes with the owner."""
    found = rendered(spec(storage={"pvc": {"create": create}}))["PersistentVolumeClaim"]
    assert found["spec"] == claim
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == ("mistral", "models")
    assert found["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid


@pytest.mark.parametrize("storage", [{"pvc": {"name": "w"}}, {"emptyDir": {}}])
def test_no_claim_to_make(storage: dict[str, Any]) -> None:
    """A claim that exists is the user's: it is mounted, and never applied."""
    assert "PersistentVolumeClaim" not in rendered(spec(storage=storage))


@pytest.mark.parametrize(
    ("storage", "kinds"),
    [
        pytest.param({"emptyDir": {}}, ("PersistentVolumeClaim",), id="not wanted any more"),
        pytest.param({"pvc": {"name": "other"}}, ("PersistentVolumeClaim",), id="another one is"),
        pytest.param({"pvc": {"name": "mistral"}}, (), id="the created one, by its name: pods run on it"),
    ],
)
def test_what_may_be_pruned(storage: dict[str, Any], kinds: tuple[str, ...]) -> None:
    """A claim holds hours of downloads: it is deleted when no pod is to use it, and not before."""
    assert prunable_kinds(OWNER, spec(storage=storage)) == kinds
