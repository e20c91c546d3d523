"""Children: applied server-side, never taken from somebody else, pruned when no longer wanted.

What keeps it cheap: an apply is left out when the intent is the last one and the watch shows our own last response.
What keeps it safe: force is used only on what is known to be ours, and where nothing is known to be the apply must
create. A forced apply takes a stranger's object over without an error, and so does one that conflicts with nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mistral_operator.api.conditions import ConditionValue, Reason, false
from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NamespaceTerminatingError,
    RefusedError,
)
from mistral_operator.cluster.resources import CHILDREN, Resource
from mistral_operator.controller.keys import Key, controller_of
from mistral_operator.controller.store import Body, Store, version_of

_WHEN_REFUSED: Final = "correct the field of spec that is named, or lift what refuses it: it is tried again each minute"


@dataclass(frozen=True, slots=True)
class Synced:
    """The children after a pass: as the API server last answered, and what stood in the way."""

    bodies: dict[str, Body]  # kind -> body
    trouble: ConditionValue | None = None


@dataclass(frozen=True, slots=True)
class _Applied:
    """Our last word about one child."""

    owner: str  # uid
    intent: str  # digest
    version: int


class StaleViewError(Exception):
    """What was to be created is there already: the object is not as new as it was taken for, and has to be read."""


class _NotOurs(Exception):
    """A child's name is taken by an object of somebody else."""


class Children:
    """Applies the children of all objects."""

    def __init__(self, cluster: Cluster, store: Store) -> None:
        self._cluster = cluster
        self._store = store
        self._applied: dict[tuple[str, Key], _Applied] = {}

    def reset(self) -> None:
        """Believe nothing of before: another process may have led in between."""
        self._applied.clear()

    def forget(self, owner: Key) -> None:
        """Drop what is remembered of an object's children."""
        for kind in CHILDREN:
            self._applied.pop((kind, owner), None)

    def seen(self, owner: Key, uid: str) -> dict[str, Body]:
        """Return the children that the watches show, as far as they are the owner's."""
        found = ((kind, self._store.get(resource, owner)) for kind, resource in CHILDREN.items())
        return {kind: body for kind, body in found if body is not None and _owner_of(body) == uid}

    async def sync(self, owner: Key, uid: str, manifests: Sequence[Manifest], *, creates_only: bool = False) -> Synced:
        """Bring the children to what is wanted, in order; the first that cannot be brought stops the rest.

        Parameters
        ----------
        creates_only
            Whether nothing that is there may be changed, because the owner was not read live.

        Raises
        ------
        StaleViewError
            When something would have to be.
        ClusterError
            When the API server cannot be reached, or somebody else was faster: to be tried again.
        """
        bodies: dict[str, Body] = {}
        for manifest in manifests:
            kind = str(manifest["kind"])
            what = f"{kind} {owner}"
            try:
                bodies[kind] = await self._bring(CHILDREN[kind], owner, uid, manifest, creates_only=creates_only)
            except _NotOurs:
                return Synced(self.seen(owner, uid) | bodies, _taken(what))
            except NamespaceTerminatingError:
                return Synced(self.seen(owner, uid) | bodies)  # the object goes the same way: nobody is to be told
            except (ForbiddenError, RefusedError) as error:
                return Synced(self.seen(owner, uid) | bodies, _refused(what, error))
        return Synced(bodies)

    async def prune(
        self, owner: Key, uid: str, wanted: Sequence[Manifest], prunable: Sequence[str]
    ) -> ConditionValue | None:
        """Delete the owner's children of prunable kinds that are not wanted any more; return what stood in the way.

        Raises
        ------
        ClusterError
            As :meth:`sync`.
        """
        kinds = {str(manifest["kind"]) for manifest in wanted}
        for kind, body in self.seen(owner, uid).items():
            if kind in prunable and kind not in kinds and body["metadata"].get("deletionTimestamp") is None:
                try:
                    await self._cluster.delete(CHILDREN[kind], owner.namespace, owner.name, uid=body["metadata"]["uid"])
                except (ForbiddenError, RefusedError) as error:
                    return _refused(f"to delete {kind} {owner}", error)
                self._applied.pop((kind, owner), None)
        return None

    async def _bring(self, resource: Resource, owner: Key, uid: str, manifest: Manifest, *, creates_only: bool) -> Body:
        intent = _digest(manifest)
        seen = self._store.get(resource, owner)
        last = self._applied.get((resource.kind, owner))
        if seen is not None and last == _Applied(uid, intent, version_of(seen)):
            return seen
        known = str(seen["metadata"]["uid"]) if seen is not None and _owner_of(seen) == uid else None
        if creates_only and known is not None:
            raise StaleViewError
        body = await self._apply(resource, owner, uid, manifest, known, creates_only=creates_only)
        if _owner_of(body) != uid:
            raise _NotOurs
        self._applied[resource.kind, owner] = _Applied(uid, intent, version_of(body))
        return body

    async def _apply(
        self, resource: Resource, owner: Key, uid: str, manifest: Manifest, known: str | None, *, creates_only: bool
    ) -> Body:
        """Apply a child: what is known to be ours by its uid, or else something new."""
        try:
            first = _creating(manifest) if known is None else _that_very(manifest, known)
            return await self._cluster.apply(resource, first, force=known is not None)
        except (ConflictError, RefusedError) as error:
            live = await self._cluster.get(resource, owner.namespace, owner.name)
            if live is not None and _owner_of(live) != uid:
                if Key.of_owner(live) == owner:
                    raise  # a predecessor of the same name is gone, and the garbage collector is on its way
                raise _NotOurs from error
            if isinstance(error, RefusedError) and (live is None or live["metadata"]["uid"] == known):
                raise
        if creates_only:
            raise StaleViewError
        if live is None:  # deleted, and no watch has told yet
            return await self._cluster.apply(resource, _creating(manifest), force=False)
        return await self._cluster.apply(resource, _that_very(manifest, str(live["metadata"]["uid"])), force=True)


def _creating(manifest: Manifest) -> Manifest:
    """Return a manifest whose apply creates, or conflicts with whatever is there: etcd's first write has version 2."""
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "1"}}


def _that_very(manifest: Manifest, uid: str) -> Manifest:
    """Return a manifest whose apply fails where its object is gone (409) or another has taken its name since (422)."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": uid}}


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _owner_of(body: Body) -> str | None:
    reference = controller_of(body)
    return None if reference is None else str(reference.get("uid"))


def _taken(what: str) -> ConditionValue:
    return false(
        Reason.CHILD_NOT_OWNED,
        f"{what} exists and is not controlled by this object, so it is left alone: delete or rename it, "
        "or give this object another name",
    )


def _refused(what: str, error: ClusterError) -> ConditionValue:
    return false(Reason.CHILD_REFUSED, f"the API server refuses {what}: {error.message.rstrip('. ')}; {_WHEN_REFUSED}")
