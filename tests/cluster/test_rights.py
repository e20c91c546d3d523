"""The operator's rights suffice for all that it does, and each of them is used."""

from typing import Final

from cluster.conftest import QUICK
from cluster.live import Body, Live, pod_of
from cluster.processes import blind, until_ended
from cluster.traces import Audit, Request, Sample, samples
from devcluster.hub import HubServer
from devcluster.operator import NAMESPACE, Operator
from mistral_operator.cluster.rbac import Rule, lease_rules, node_rules, operator_rules

Right = tuple[str, str, str]  # API group, resource with its subresource, verb

# what the operator never asks for here, and why it has the right
UNASKED: Final[dict[Right, str]] = {
    ("mistral-operator.io", "mistraldeployments/finalizers", "update"): "admission asks for it: blockOwnerDeletion",
    ("", "pods", "get"): "before an API key goes to a pod of the object's own ReplicaSet, of which there is none here",
}
# of everybody who is authenticated: what may I do?
EVERYBODYS: Final[Right] = ("authorization.k8s.io", "selfsubjectaccessreviews", "create")


def rights_of(*rules: Rule) -> set[Right]:
    """Return what rules allow, one by one."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used_by(request: Request) -> set[Right]:
    """Return the rights that a request needed."""
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    verbs = {request.verb}
    if request.verb == "patch" and request.status == 201:
        verbs.add("create")  # a server-side apply of what was not there
    return {(request.group, resource, verb) for verb in verbs}


def stranger(kind: str, api_version: str, spec: Body) -> Body:
    """Return an object that has the name of a child and belongs to nobody."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": f"taken-{kind.lower()}"}, "spec": spec}


def strangers() -> list[Body]:
    """Return an object for each kind of child."""
    labels = {"app": "stranger"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return [
        stranger("Deployment", "apps/v1", {"selector": {"matchLabels": labels}, "template": pod}),
        stranger("Service", "v1", {"ports": [{"port": 1234}]}),
        stranger("PersistentVolumeClaim", "v1", claim),
    ]


CLAIM: Final = {"pvc": {"create": {"size": "20Gi", "accessModes": ["ReadWriteMany"]}}}

# of a run that ended and did not say why, its log is read
CRASHED: Final = {
    "name": "vllm",
    "image": "vllm",
    "imageID": "vllm",
    "ready": False,
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-25T12:00:00Z"}},
}


def live_through(bare: Live, operator: Operator) -> None:
    """Let the operator do everything that it can."""
    for name in ("token", "api-key", "of-others"):
        bare.secret(name, {"key": name})
    token, key = {"name": "token", "key": "key"}, {"name": "api-key", "key": "key"}
    bare.mdep("m", storage=CLAIM, hfTokenSecretRef=token, apiKeySecretRef=key)
    bare.until_there("m")
    bare.until("the claim", lambda: bare.find("PersistentVolumeClaim", "m"))
    for name in ("silent", "short-lived", "crashed"):
        bare.create(pod_of(bare.get("Deployment", "m"), name))
    bare.create(pod_of_a_replica_set(bare.get("Deployment", "m"), "ready"))
    bare.patch(
        "Pod", "ready", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}, "status"
    )
    bare.patch("Pod", "crashed", {"status": {"phase": "Running", "containerStatuses": [CRASHED]}}, "status")
    bare.patch("MistralDeployment", "m", {"spec": {"replicas": 2}}, "scale")
    bare.patch("MistralDeployment", "m", {"spec": {"env": [{"name": "A", "value": "1"}], "storage": None}})
    bare.until("the claim to go", lambda: is_going(bare, "PersistentVolumeClaim", "m"))
    bare.patch("Deployment", "m", {"spec": {"replicas": 7}})
    bare.until("replicas to be restored", lambda: bare.get("Deployment", "m")["spec"]["replicas"] == 2)
    bare.delete("Service", "m")
    bare.until_there("m")

    for body in strangers():
        bare.create(body)
        bare.mdep(body["metadata"]["name"], storage=CLAIM)
        bare.until_condition(body["metadata"]["name"], "Ready", "False", "ChildNotOwned")
    with blind(operator, bare.plane):
        bare.delete("Pod", "short-lived")
    bare.until("the pod to be missed", lambda: bare.get("MistralDeployment", "m")["status"]["replicas"] == 3)


def pod_of_a_replica_set(deployment: Body, name: str) -> Body:
    """Return a pod of the Deployment's plan that a ReplicaSet, which is looked up, is said to control."""
    pod = pod_of(deployment, name)
    pod["metadata"]["annotations"] = deployment["spec"]["template"]["metadata"]["annotations"]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "m-1", "uid": "u", "controller": True}
    pod["metadata"]["ownerReferences"] = [owner]
    return pod


def is_going(live: Live, kind: str, name: str) -> bool:
    """Tell whether an object's deletion was asked for."""
    found = live.find(kind, name)
    return found is None or "deletionTimestamp" in found["metadata"]


def shown(live: Live, operator: Operator) -> list[Sample]:
    """Return what an operator's metrics tell of the objects of a namespace."""
    return samples(operator, "mistral_operator_condition", namespace=live.namespace)


def test_every_right_suffices_and_is_used(bare: Live, hub: HubServer) -> None:
    """Nothing is ever forbidden, no right is left over, and no Secret is read that no object names for the hub."""
    bare.plane.kubectl("delete", "lease", "mistral-operator", f"--namespace={NAMESPACE}", "--ignore-not-found")
    audit = Audit(bare.plane)
    with Operator(bare.plane, hub.url, arguments=QUICK, name="operator-rights") as operator:
        operator.wait_ready()
        live_through(bare, operator)
        rules = rights_of(*operator_rules(), *node_rules(), *lease_rules("mistral-operator"))

        def unused() -> set[Right]:
            seen = set().union(*(used_by(request) for request in audit.everything()))
            return rules - seen - UNASKED.keys() - {right for right in rules if right[2] == "watch"}

        # a pod is asked about when it has been silent for 20 s
        bare.until("every right to be used", lambda: not unused(), 60)
        for body in bare.all("MistralDeployment"):
            bare.delete("MistralDeployment", body["metadata"]["name"])
        bare.until("the operator to forget", lambda: not shown(bare, operator))
        operator.stop()
        assert until_ended(operator) == 0

    requests = audit.everything()
    assert [request for request in requests if request.status in (401, 403)] == []
    secrets = {(request.namespace, request.name) for request in requests if request.resource == "secrets"}
    assert secrets == {(bare.namespace, "token")}

    def used() -> set[Right]:
        found = set().union(*(used_by(request) for request in audit.everything()))
        # what is no resource (the list of what is served) and what everybody may ask need no right
        return {right for right in found if not right[1].startswith("/")} - {EVERYBODYS}

    bare.until("the watches to end in the log too", lambda: rules - used() == UNASKED.keys())
    assert used() <= rules
