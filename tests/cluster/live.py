"""The administrator's view of a control plane, over HTTP: quick enough to be asked ten times a second."""

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import yaml

from devcluster.controlplane import ControlPlane
from devcluster.waiting import wait_until

MDEPS: Final = "apis/mistral-operator.io/v1alpha1/namespaces/{namespace}/mistraldeployments"
_COLLECTIONS: Final = {
    "MistralDeployment": MDEPS,
    "Deployment": "apis/apps/v1/namespaces/{namespace}/deployments",
    "ReplicaSet": "apis/apps/v1/namespaces/{namespace}/replicasets",
    "Service": "api/v1/namespaces/{namespace}/services",
    "PersistentVolumeClaim": "api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "Pod": "api/v1/namespaces/{namespace}/pods",
    "Secret": "api/v1/namespaces/{namespace}/secrets",
    "Event": "apis/events.k8s.io/v1/namespaces/{namespace}/events",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
}
BOUND_SECONDS: Final = 30.0
MISTRAL_7B: Final = "mistralai/Mistral-7B-v0.1"
NEMO: Final = "mistralai/Mistral-Nemo-Instruct-2407"

Body = dict[str, Any]


class Answer(Exception):
    """The API server refuses."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Live:
    """One namespace of a control plane."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace
        config = yaml.safe_load(plane.admin_kubeconfig.read_text(encoding="utf-8"))
        self._token = config["users"][0]["user"]["token"]
        self._ssl = ssl.create_default_context(cafile=str(plane.ca_file))

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send one request; bytes go out as they are, all else as JSON."""
        return json.loads(self._send(method, path, body, content_type))

    def _send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> bytes:
        request = urllib.request.Request(  # noqa: S310 - always https
            f"{self.plane.server}/{path}",
            body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": content_type},
            method=method,
        )
        if method != "GET":
            return self._open(request)
        # lists and watches are refused while the API server's cache of a kind fills, as after its start (KEP-4568)
        return wait_until(f"an answer to GET {path}", lambda: self._read(request), seconds=BOUND_SECONDS)[0]

    def _read(self, request: urllib.request.Request) -> tuple[bytes, ...]:
        try:
            return (self._open(request),)
        except Answer as answer:
            if answer.status == 429:
                return ()
            raise

    def _open(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._ssl) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            message = json.loads(text)["message"] if text.startswith("{") else text
            raise Answer(error.code, message) from None

    def path(self, kind: str, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path of a collection or of an object."""
        parts = [_COLLECTIONS[kind].format(namespace=self.namespace), name, subresource]
        return "/".join(part for part in parts if part is not None)

    def find(self, kind: str, name: str) -> Body | None:
        """Return an object, or None where there is none."""
        try:
            found: Body = self.request("GET", self.path(kind, name))
        except Answer as answer:
            if answer.status == 404:
                return None
            raise
        return found

    def get(self, kind: str, name: str) -> Body:
        """Return an object that must be there."""
        found = self.find(kind, name)
        assert found is not None, f"{kind} {name} is not there"
        return found

    def all(self, kind: str, selector: str | None = None) -> list[Body]:
        """Return all objects of a kind."""
        query = f"?labelSelector={selector}" if selector else ""
        items: list[Body] = self.request("GET", self.path(kind) + query)["items"]
        return items

    def pods(self, name: str) -> list[Body]:
        """Return the pods of a MistralDeployment that are not being deleted."""
        pods = self.all("Pod", f"app.kubernetes.io/instance={name}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def history(self, kind: str, version: str) -> list[Body]:
        """Return what objects of a kind were after a resourceVersion, every version, the oldest first.

        The API server keeps the last minute at least.
        """
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds=1"
        events = [json.loads(line) for line in self._send("GET", self.path(kind) + query).splitlines()]
        assert {event["type"] for event in events} <= {"ADDED", "MODIFIED", "DELETED"}, events[-1]
        return [event["object"] for event in events]

    def create(self, body: Body) -> Body:
        """Create an object."""
        created: Body = self.request("POST", self.path(body["kind"]), body)
        return created

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], subresource: str | None = None) -> Body:
        """Merge a patch into an object."""
        path = self.path(kind, name, subresource)
        patched: Body = self.request("PATCH", path, patch, "application/merge-patch+json")
        return patched

    def delete(self, kind: str, name: str, policy: str = "Background") -> None:
        """Ask for an object's deletion."""
        self.request("DELETE", self.path(kind, name), {"propagationPolicy": policy})

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        """Create a Secret, or replace its values."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        if self.find("Secret", name) is None:
            self.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
        else:
            self.patch("Secret", name, {"data": data})

    def mdep(self, name: str, model: str = MISTRAL_7B, **spec: Any) -> Body:
        """Create a MistralDeployment."""
        return self.create(manifest(name, model, **spec))

    def until(self, what: str, condition: Callable[[], Any], seconds: float = BOUND_SECONDS) -> Any:
        """Wait for a condition, and say in which state it was waited for in vain."""
        try:
            return wait_until(what, condition, seconds=seconds)
        except TimeoutError as error:
            for body in self.all("MistralDeployment"):
                error.add_note(yaml.safe_dump({body["metadata"]["name"]: body.get("status")}))
            raise

    def until_condition(
        self,
        name: str,
        kind: str,
        status: str,
        reason: str | None = None,
        *,
        generation: int | None = None,
        seconds: float = BOUND_SECONDS,
    ) -> Body:
        """Wait for a condition of a MistralDeployment and return it, for the newest generation unless one is named."""

        def holds() -> Body | None:
            body = self.get("MistralDeployment", name)
            found = condition_of(body, kind)
            wanted = generation or body["metadata"]["generation"]
            met = found.get("status") == status and found.get("observedGeneration") == wanted
            return found if met and reason in (None, found.get("reason")) else None

        answer: Body = self.until(f"{kind}={status}/{reason} of {name}", holds, seconds)
        return answer

    def until_ready(self, name: str, seconds: float = BOUND_SECONDS) -> Body:
        """Wait until a MistralDeployment is Ready and return it."""
        self.until_condition(name, "Ready", "True", seconds=seconds)
        return self.get("MistralDeployment", name)

    def until_there(self, name: str) -> None:
        """Wait until a MistralDeployment has the children that every one has."""
        for kind in ("Deployment", "Service"):
            self.until(f"the {kind} {name}", partial(self.find, kind, name))

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return type and reason of every Event about a MistralDeployment, oldest first."""
        found = [event for event in self.all("Event") if event["regarding"].get("name") == name]
        ours = [event for event in found if event["regarding"]["kind"] == "MistralDeployment"]
        return [(event["type"], event["reason"]) for event in sorted(ours, key=lambda event: str(event["eventTime"]))]


def manifest(name: str, model: str = MISTRAL_7B, **spec: Any) -> Body:
    """Return a MistralDeployment."""
    return {
        "apiVersion": "mistral-operator.io/v1alpha1",
        "kind": "MistralDeployment",
        "metadata": {"name": name},
        "spec": {"model": {"id": model}} | spec,
    }


def condition_of(body: Body, kind: str) -> Body:
    """Return one condition; empty where there is none of that type."""
    conditions = body.get("status", {}).get("conditions", ())
    return next((condition for condition in conditions if condition["type"] == kind), {})


def pod_of(deployment: Body, name: str) -> Body:
    """Return a pod as the controllers of a Deployment would make it."""
    template = deployment["spec"]["template"]
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def container_of(deployment: Body) -> Body:
    """Return the vLLM container of a Deployment's template."""
    container: Body = deployment["spec"]["template"]["spec"]["containers"][0]
    return container
