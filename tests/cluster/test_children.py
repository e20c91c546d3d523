"""Children are brought back to what is wanted, and nobody else's objects are touched."""

import json

import pytest

from cluster.live import Answer, Live, condition_of, container_of, manifest


def test_a_deleted_child_comes_back(live: Live) -> None:
    """Whoever deletes a child finds it again."""
    live.mdep("m")
    live.until_ready("m")
    for kind in ("Service", "Deployment"):
        uid = live.get(kind, "m")["metadata"]["uid"]
        live.delete(kind, "m")

        def is_back(kind: str = kind, uid: str = uid) -> bool:
            child = live.find(kind, "m")
            return child is not None and child["metadata"]["uid"] != uid

        live.until(f"the {kind} to be back", is_back)
    live.until_ready("m")


def test_an_edited_child_is_put_right(live: Live) -> None:
    """What the operator renders is restored, whoever changed it and however."""
    live.mdep("m")
    live.until_ready("m")
    arguments = container_of(live.get("Deployment", "m"))["args"]
    live.patch("Deployment", "m", {"spec": {"replicas": 3}})
    live.until("replicas to be restored", lambda: live.get("Deployment", "m")["spec"]["replicas"] == 1)
    live.plane.kubectl(
        *("patch", "deployment", "m", "-n", live.namespace, "--type=json"),
        *("-p", json.dumps([{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--evil"}])),
    )
    live.until("the arguments to be restored", lambda: container_of(live.get("Deployment", "m"))["args"] == arguments)
    live.patch("Deployment", "m", {"spec": {"template": {"spec": {"tolerations": []}}}})
    live.until(
        "the toleration to be restored",
        lambda: live.get("Deployment", "m")["spec"]["template"]["spec"].get("tolerations"),
    )
    live.patch("Service", "m", {"spec": {"selector": {"app.kubernetes.io/instance": "other"}}})
    live.until(
        "the selector to be restored",
        lambda: live.get("Service", "m")["spec"]["selector"]["app.kubernetes.io/instance"] == "m",
    )


def test_a_conflicting_field_manager_does_not_win(live: Live) -> None:
    """Server-side apply by somebody else of a field that is ours is taken back, and others' fields are left."""
    live.mdep("m")
    live.until_ready("m")
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m", "annotations": {"theirs": "stays"}},
        "spec": {"replicas": 4},
    }
    path = live.path("Deployment", "m") + "?fieldManager=somebody&force=true"
    live.request("PATCH", path, theirs, "application/apply-patch+yaml")
    live.until("replicas to be restored", lambda: live.get("Deployment", "m")["spec"]["replicas"] == 1)
    assert live.get("Deployment", "m")["metadata"]["annotations"]["theirs"] == "stays"
    live.until_ready("m")


def test_an_apply_by_uid_makes_and_takes_nothing(live: Live) -> None:
    """What the operator relies on where its watches are behind: the API server refuses even a forced one."""
    ports = {"ports": [{"port": 80}]}
    stranger = live.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "stranger"}, "spec": ports})
    for name, status in {"stranger": 422, "nobody": 409}.items():
        metadata = {"name": name, "uid": "uid-of-before", "labels": {"ours": "yes"}}
        wanted = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports}
        path = live.path("Service", name) + "?fieldManager=x&force=true"
        with pytest.raises(Answer) as refused:
            live.request("PATCH", path, wanted, "application/apply-patch+yaml")
        assert refused.value.status == status
    assert live.get("Service", "stranger") == stranger
    assert live.find("Service", "nobody") is None


def test_a_strangers_deployment_is_left_alone(live: Live) -> None:
    """A forced apply would take it over without an error; it is told instead, and adopted never."""
    labels = {"app": "stranger"}
    stranger = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}},
        },
    }
    before = live.create(stranger)
    live.mdep("m")
    told = live.until_condition("m", "Ready", "False", "ChildNotOwned")
    assert "Deployment" in told["message"]
    assert ("Warning", "ChildNotOwned") in live.events("m")
    after = live.get("Deployment", "m")
    assert after["spec"] == before["spec"]
    assert "ownerReferences" not in after["metadata"]
    live.delete("Deployment", "m")
    live.until_ready("m")


def test_a_strangers_service_with_our_labels_is_left_alone(live: Live) -> None:
    """Labels make nobody ours: only a controller reference does."""
    live.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "m", "labels": {"app.kubernetes.io/managed-by": "mistral-operator"}},
            "spec": {"ports": [{"port": 1234}]},
        }
    )
    live.mdep("m")
    live.until_condition("m", "Ready", "False", "ChildNotOwned")
    assert live.get("Service", "m")["spec"]["ports"][0]["port"] == 1234
    live.delete("Service", "m")
    live.until_ready("m")


def test_a_child_the_api_server_refuses_is_told(live: Live) -> None:
    """A quota, a policy or a webhook speaks in the status, and the object heals when it gives way."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/deployments.apps": "0"}},
    }
    collection = f"api/v1/namespaces/{live.namespace}/resourcequotas"
    live.request("POST", collection, quota)
    live.until("the quota to count", lambda: live.request("GET", f"{collection}/none")["status"].get("hard"))
    live.mdep("m")
    told = live.until_condition("m", "Ready", "False", "ChildRefused")
    assert "quota" in told["message"]
    live.request("DELETE", f"{collection}/none")
    live.until_ready("m")


def test_a_paused_object_is_only_looked_at(live: Live) -> None:
    """Nothing is planned or applied until the annotation is gone; what is seen is still told."""
    live.mdep("m")
    live.until_ready("m")
    live.patch("MistralDeployment", "m", {"metadata": {"annotations": {"mistral-operator.io/paused": "true"}}})
    live.until_condition("m", "PlanCurrent", "Unknown", "Paused")
    live.patch("MistralDeployment", "m", {"spec": {"extraArgs": ["--enable-prefix-caching"]}})
    live.delete("Service", "m")
    live.until_condition("m", "PlanCurrent", "Unknown", "Paused")
    assert live.find("Service", "m") is None
    assert "--enable-prefix-caching" not in container_of(live.get("Deployment", "m"))["args"]
    live.patch("MistralDeployment", "m", {"metadata": {"annotations": {"mistral-operator.io/paused": None}}})
    live.until("the Service to be back", lambda: live.find("Service", "m"))
    live.until_ready("m")
    assert "--enable-prefix-caching" in container_of(live.get("Deployment", "m"))["args"]


def test_a_new_object_that_is_paused_gets_no_children(live: Live) -> None:
    """Paused from the start: the status says so, and nothing is made."""
    body = manifest("m")
    body["metadata"]["annotations"] = {"mistral-operator.io/paused": "yes"}
    live.create(body)
    live.until_condition("m", "PlanCurrent", "Unknown", "Paused")
    assert condition_of(live.get("MistralDeployment", "m"), "Ready")["status"] == "False"
    assert live.find("Deployment", "m") is None


def test_a_strangers_claim_that_looks_like_ours_is_left_alone(live: Live) -> None:
    """An apply that nothing conflicts with would make it ours too, and delete it with the object."""
    size = {"requests": {"storage": "20Gi"}}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "m"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": size},
    }
    before = live.create(claim)
    live.mdep("m", storage={"pvc": {"create": {"size": "20Gi"}}})
    told = live.until_condition("m", "Ready", "False", "ChildNotOwned")
    assert "PersistentVolumeClaim" in told["message"]
    after = live.get("PersistentVolumeClaim", "m")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
