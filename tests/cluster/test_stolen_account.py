"""What docs/security.md says of a stolen token of the operator, and of a forged status: tried, not argued."""

from pathlib import Path
from typing import Any, Final

import yaml

from cluster.live import Body, Live, condition_of, container_of
from devcluster.controlplane import ControlPlane
from devcluster.operator import Operator
from mistral_operator.cluster.rbac import rbac_manifests

ACCOUNT: Final = "cluster-admin"  # of somebody who has every right
HOST: Final = {
    "hostPID": True,
    "serviceAccountName": ACCOUNT,
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "containers": [
        {
            "name": "c",
            "image": "busybox",
            "securityContext": {"privileged": True},
            "volumeMounts": [{"name": "host", "mountPath": "/host"}],
        }
    ],
}


def intruder(namespace: str) -> Body:
    """Return a Deployment whose pods own their node, and act as a ServiceAccount of their namespace."""
    labels = {"app": "intruder"}
    template = {"metadata": {"labels": labels}, "spec": HOST}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "intruder", "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def stolen(live: Live, account: str, **rights: Any) -> Path:
    """Return a kubeconfig with a token of an operator's ServiceAccount that has some rights."""
    live.plane.apply(*rbac_manifests(live.namespace, account, account, **rights))
    return live.plane.kubeconfig_for_service_account(live.namespace, account)


def applied(plane: ControlPlane, kubeconfig: Path, manifest: Body) -> str:
    """Return what the API server answers to whoever has a token."""
    text = yaml.safe_dump(manifest)
    return plane.kubectl("create", "-f", "-", stdin=text, kubeconfig=kubeconfig, check=False)


def pods(plane: ControlPlane, namespace: str) -> list[Body]:
    """Return the intruder's pods."""
    found = plane.get("pods", "-n", namespace, "-l", "app=intruder")
    return [] if found is None else list(found["items"])


def test_rights_on_all_namespaces_are_cluster_admin(solo: Live) -> None:
    """Its token makes a privileged pod in kube-system that acts as any ServiceAccount there."""
    plane, account = solo.plane, "everywhere"
    plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", "kube-system")
    kubeconfig = stolen(solo, account)
    try:
        assert "created" in applied(plane, kubeconfig, intruder("kube-system"))
        spec = solo.until("the pod in kube-system", lambda: pods(plane, "kube-system"))[0]["spec"]
        assert (spec["hostPID"], spec["serviceAccountName"]) == (True, ACCOUNT)
    finally:
        made = ("deployment/intruder", f"serviceaccount/{ACCOUNT}")
        plane.kubectl("delete", *made, "-n", "kube-system", "--ignore-not-found")
        role = f"{solo.namespace}-{account}"
        plane.kubectl("delete", "clusterrole,clusterrolebinding", role, f"{role}-nodes")


def test_rights_on_named_namespaces_end_there(solo: Live) -> None:
    """Elsewhere its token is refused, and within them Pod Security decides what a pod may be."""
    plane = solo.plane
    kubeconfig = stolen(solo, "here", watched=[solo.namespace], nodes=False)
    for namespace in ("kube-system", "default"):
        assert "forbidden" in applied(plane, kubeconfig, intruder(namespace)).lower()
        secret = plane.kubectl("get", "secret", "any", "-n", namespace, kubeconfig=kubeconfig, check=False)
        assert "forbidden" in secret.lower()
    plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", solo.namespace)
    plane.kubectl("label", "namespace", solo.namespace, "pod-security.kubernetes.io/enforce=restricted")
    assert "created" in applied(plane, kubeconfig, intruder(solo.namespace))

    def refusal() -> str:
        conditions = solo.get("Deployment", "intruder").get("status", {}).get("conditions", ())
        return next((one["message"] for one in conditions if one["type"] == "ReplicaFailure"), "")

    assert "violates PodSecurity" in solo.until("the pod's refusal", refusal)
    assert pods(plane, solo.namespace) == []


def test_a_forged_status_is_rendered(live: Live, operator: Operator) -> None:
    """Who may write a status chooses image and arguments of the pods, whatever the spec says; users cannot."""
    live.mdep("m")
    live.until_ready("m")
    forged = {"image": "example.com/forged:1"}
    live.patch("MistralDeployment", "m", {"status": {"resolved": forged}}, "status")
    live.until("the forged image", lambda: container_of(live.get("Deployment", "m"))["image"] == forged["image"])
    assert operator.running
    assert condition_of(live.get("MistralDeployment", "m"), "PlanCurrent")["status"] == "False"
    live.patch("MistralDeployment", "m", {"metadata": {"annotations": {"mistral-operator.io/replan": "1"}}})
    live.until("the operator's own plan", lambda: container_of(live.get("Deployment", "m"))["image"] != forged["image"])
