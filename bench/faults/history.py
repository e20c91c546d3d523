"""Everything that ever happened in a namespace, as watches of the administrator show it."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.faults.admin import Admin, Body
from mistral_operator.api.names import MANAGED_BY_LABEL, MANAGER
from mistral_operator.cluster.resources import CHILDREN, EVENTS, MISTRAL_DEPLOYMENTS, PODS, Resource

VIEWED: Final = (MISTRAL_DEPLOYMENTS, *CHILDREN.values(), PODS)
"""What an operator's view consists of: it watches these, of a namespace."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object as a write left it."""

    version: int  # of the whole store: every write has the next one
    kind: str
    deleted: bool
    body: Body

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.body["metadata"]["name"])

    @property
    def is_viewed(self) -> bool:
        """Whether an operator would be told."""
        labels = self.body["metadata"].get("labels") or {}
        managed = self.kind == MISTRAL_DEPLOYMENTS.kind or labels.get(MANAGED_BY_LABEL) == MANAGER
        return managed and self.kind in {resource.kind for resource in VIEWED}


class History:
    """One namespace, from its beginning."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._listeners: set[asyncio.Event] = set()
        self.changed_at = time.monotonic()

    def add(self, change: Change) -> None:
        """Take what a watch shows; those of two kinds need not come in order."""
        self._changes.append(change)
        self._changes.sort(key=lambda one: one.version)
        self.changed_at = time.monotonic()
        for listener in self._listeners:
            listener.set()

    def notify(self, listener: asyncio.Event) -> None:
        """Have an event set with every change from now on."""
        self._listeners.add(listener)

    def of(self, kind: str) -> Iterator[Change]:
        """Return the changes of one kind, the oldest first."""
        return (change for change in self._changes if change.kind == kind)

    def state(self, kind: str, until: int | None = None) -> dict[str, Body]:
        """Return the objects of a kind by name, as they were at a version of the store; as they are, when None."""
        found: dict[str, Body] = {}
        for change in self.of(kind):
            if until is not None and change.version > until:
                break
            if change.deleted:
                found.pop(change.name, None)
            else:
                found[change.name] = change.body
        return found

    def viewed_versions(self) -> list[int]:
        """Return the versions at which an operator's view changed."""
        return [change.version for change in self._changes if change.is_viewed]

    def version_before(self, events: int) -> int:
        """Return the version of the store at which a view that is so many events old stands still."""
        versions = self.viewed_versions()
        return versions[-events] - 1 if events <= len(versions) else 0


class Histories:
    """All namespaces that are asked for; one watch for each kind."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._of: dict[str, History] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch."""
        for resource in (*VIEWED, EVENTS):
            version = await self._admin.version(resource.path())
            self._tasks.append(asyncio.create_task(self._follow(resource, version), name=f"watch {resource.plural}"))

    async def stop(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise what ended a watch.

        Raises
        ------
        HarnessError
            When one has ended.
        """
        for task in self._tasks:
            if task.done():
                task.result()

    def of(self, namespace: str) -> History:
        """Return the history of a namespace that begins now."""
        return self._of.setdefault(namespace, History())

    def forget(self, namespace: str) -> None:
        """Drop a namespace's history."""
        self._of.pop(namespace, None)

    async def _follow(self, resource: Resource, version: int) -> None:
        async for event in self._admin.watch(resource.path(), version):
            body = event["object"]
            history = self._of.get(body.get("metadata", {}).get("namespace", ""))
            if history is not None:
                history.add(change_of(resource.kind, event))


def change_of(kind: str, event: Mapping[str, Any]) -> Change:
    """Read one event of a watch."""
    body = event["object"]
    return Change(int(body["metadata"]["resourceVersion"]), kind, event["type"] == "DELETED", body)


def as_list(resource: Resource, bodies: list[Body], version: int) -> Body:
    """Return a collection as the API server would answer at a version of its store."""
    return {
        "apiVersion": resource.api_version,
        "kind": f"{resource.kind}List",
        "metadata": {"resourceVersion": str(version)},
        "items": bodies,
    }
