"""One namespace as a scenario sees it: what may be done there, and what there is."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.faults.admin import MERGE, STRATEGIC, Admin, Body
from bench.faults.history import VIEWED, History
from mistral_operator.api.names import KIND

_RESOURCES: Final = {resource.kind: resource for resource in VIEWED}


class World:
    """One namespace.

    Parameters
    ----------
    move_branch
        Moves the branch of the repository that can move, as this namespace's token sees it.
    pod_annotations
        What pods need for somebody to answer in their place.
    """

    def __init__(
        self,
        admin: Admin,
        namespace: str,
        history: History,
        move_branch: Callable[[], None],
        pod_annotations: Mapping[str, str],
    ) -> None:
        self._admin = admin
        self._namespace = namespace
        self._history = history
        self.move_branch = move_branch
        self.pod_annotations = dict(pod_annotations)

    async def create(self, body: Body) -> None:
        """Create an object."""
        await self._admin.request("POST", self._path(body["kind"]), body)

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into an object."""
        await self._admin.request("PATCH", self._path(kind, name), patch, MERGE)

    async def patch_strategically(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into an object of Kubernetes' own kinds, its lists entry by entry."""
        await self._admin.request("PATCH", self._path(kind, name), patch, STRATEGIC)

    async def delete(self, kind: str, name: str) -> None:
        """Delete an object; what it owns follows."""
        await self._admin.request("DELETE", self._path(kind, name), {"propagationPolicy": "Background"})

    def get(self, kind: str, name: str) -> Body | None:
        """Return an object, if it is there."""
        return self._history.state(kind).get(name)

    def pods(self) -> list[str]:
        """Return the names of the pods."""
        return sorted(self._history.state("Pod"))

    def status(self) -> Body:
        """Return the status of the one MistralDeployment; empty where there is none."""
        for body in self._history.state(KIND).values():
            return dict(body.get("status") or {})
        return {}

    def condition(self, kind: str) -> tuple[str, str]:
        """Return status and reason of a condition; empty where there is none."""
        for one in self.status().get("conditions") or ():
            if one["type"] == kind:
                return str(one["status"]), str(one["reason"])
        return "", ""

    def is_rolled_out(self, name: str) -> bool:
        """Tell whether a Deployment has come to its newest spec: its pods are as many as it wants, new, and Ready."""
        body = self.get("Deployment", name)
        if body is None:
            return False
        status, replicas = body.get("status") or {}, body["spec"]["replicas"]
        counts = {status.get(count, 0) for count in ("replicas", "updatedReplicas", "readyReplicas")}
        return body["metadata"]["generation"] == status.get("observedGeneration") and counts == {replicas}

    def is_current(self) -> bool:
        """Tell whether the status is of the newest spec."""
        generations = [body["metadata"]["generation"] for body in self._history.state(KIND).values()]
        return bool(generations) and generations[0] == self.status().get("observedGeneration")

    def _path(self, kind: str, name: str | None = None) -> str:
        return _RESOURCES[kind].path(self._namespace, name)
