"""Watches: kopf tells what changed, and the owner's key goes into the queue. Nothing else happens here.

kopf is the informer and no more: only ``on.event`` handlers, which write nothing and set no finalizer. A handler that
fails is never retried, so that none does anything that could.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import kopf

from mistral_operator.api import names
from mistral_operator.cluster.connection import Connection, credentials_of
from mistral_operator.cluster.resources import (
    CHILDREN,
    MISTRAL_DEPLOYMENTS,
    NODES,
    PODS,
    Resource,
)
from mistral_operator.controller.keys import Key
from mistral_operator.controller.nodes import Nodes
from mistral_operator.controller.queue import Cause, WorkQueue
from mistral_operator.controller.store import WATCHED, Body, Store

_TOKEN_LIFE: Final = timedelta(minutes=10)  # a mounted token is renewed well before it ends


class Watches:
    """Turns events of everything watched into keys."""

    def __init__(self, store: Store, nodes: Nodes, queue: WorkQueue) -> None:
        self._store = store
        self._nodes = nodes
        self._queue = queue

    def seen(self, resource: Resource, body: Body, *, deleted: bool) -> None:
        """Take one event."""
        if resource is NODES:
            if self._nodes.is_lost_anew(body, deleted=deleted):
                self._pods_are_due(str(body["metadata"]["name"]))
            if self._nodes.watched(body, deleted=deleted):
                self.everything_is_due()
            return
        self._store.watched(resource, body, deleted=deleted)
        key = owner_key(resource, body)
        if key is not None:
            self._queue.add(key, Cause.DUE if deleted else Cause.WATCHED)

    def everything_is_due(self) -> None:
        """Want every object to be looked at: what they were planned on has changed."""
        for key in self._store.keys(MISTRAL_DEPLOYMENTS):
            self._queue.add(key, Cause.DUE)

    def _pods_are_due(self, node: str) -> None:
        """Want the objects to be looked at whose pods are on a node; the pods' own news may have come before."""
        for key in self._store.keys(PODS):
            pod = self._store.get(PODS, key)
            owner = None if pod is None or pod["spec"].get("nodeName") != node else owner_key(PODS, pod)
            if owner is not None:
                self._queue.add(owner, Cause.DUE)


def owner_key(resource: Resource, body: Body) -> Key | None:
    """Return the MistralDeployment that an object belongs to; pods belong by their label."""
    if resource is MISTRAL_DEPLOYMENTS:
        return Key.of(body)
    if resource is PODS:
        instance = (body["metadata"].get("labels") or {}).get(names.INSTANCE_LABEL)
        return Key(body["metadata"]["namespace"], instance) if instance else None
    return Key.of_owner(body)


async def watch(
    watches: Watches,
    client: Connection,
    namespaces: tuple[str, ...],
    *,
    nodes: bool,
    started: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Run kopf until ``stop`` is set; ``started`` is set once it has begun."""
    registry = kopf.OperatorRegistry()
    resources = (*WATCHED, NODES) if nodes else WATCHED
    for resource in resources:
        _register(registry, resource, watches)

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(client)

    identity: Any = names.MANAGER  # else kopf asks for a user's name, and the number that a pod runs as has none
    await kopf.operator(
        registry=registry,
        settings=_settings(),
        identity=identity,
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=started,
        stop_flag=stop,
    )


def _register(registry: kopf.OperatorRegistry, resource: Resource, watches: Watches) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)
    async def seen(event: Any, **_: Any) -> None:
        watches.seen(resource, event["object"], deleted=event["type"] == "DELETED")


class _NoDiff(kopf.DiffBaseStorage):
    """Compares nothing: kopf would copy each object whole for handlers of changes, and there are none."""

    def build(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        return None


class _Forever:
    """Backoffs without an end: an API server that is away is no reason to give up."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1, 2, 3)
        while True:
            yield 5


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = None  # kopf kills the process some time after it gave up watching
    settings.persistence.diffbase_storage = _NoDiff()
    settings.networking.error_backoffs = _Forever()
    settings.networking.connect_timeout = 10
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 600
    settings.watching.chunk_size = 500
    for resource in (PODS, *CHILDREN.values()):
        settings.watching.label_selectors[resource.group, resource.version, resource.plural] = names.MANAGED_SELECTOR
    return settings


async def _connection(client: Connection) -> kopf.ConnectionInfo:
    """Lend kopf the credentials of our own client."""
    credentials = await credentials_of(client)
    scheme, _, token = (credentials.authorization or "").partition(" ")
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.ca_file,
        insecure=not credentials.verify,
        scheme=scheme or None,
        token=token or None,
        certificate_path=credentials.certificate_file,
        private_key_path=credentials.key_file,
        proxy_url=credentials.proxy,
        expiration=datetime.now(UTC) + _TOKEN_LIFE,
    )
