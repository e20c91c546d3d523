"""Reads a cluster and the hub for the doctor: as one user, writing nothing, and telling apart "no" from "may not"."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final, TypeVar

from mistral_operator.api import names
from mistral_operator.api.mistral_deployment import SpecInvalidError, read_spec
from mistral_operator.cli.doctor.facts import (
    Body,
    Definition,
    Deployment,
    Deployments,
    Facts,
    LeaseSeen,
    PullSecret,
    Rights,
    Server,
    Unread,
)
from mistral_operator.cli.doctor.models import read_models
from mistral_operator.cluster.access import Right, account_may, rights_of, serves, whoami
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.connection import NoClusterError, connect, credentials_of
from mistral_operator.cluster.contexts import namespace_of
from mistral_operator.cluster.errors import ForbiddenError, NotFoundError
from mistral_operator.cluster.rbac import lease_rules, node_rules, operator_rules
from mistral_operator.cluster.resources import LEASES, MISTRAL_DEPLOYMENTS, NODES, PODS, SECRETS, Resource
from mistral_operator.controller.tokens import Tokens

_DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
_SERVICE_ACCOUNTS: Final = Resource("v1", "ServiceAccount", "serviceaccounts")
_NAMESPACES: Final = Resource("v1", "Namespace", "namespaces", namespaced=False)
_LOOK_SECONDS: Final = 0.5  # between two looks at a Lease
_SPARE_SECONDS: Final = 1.0  # clocks of two machines, and the way there

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the doctor is to look at."""

    context: str | None  # None: the current one
    namespaces: tuple[str, ...]  # empty: all of them
    operator_namespace: str
    account: str
    lease_name: str
    hf_endpoint: str | None


async def read_facts(asked: Asked, now: Callable[[], datetime]) -> Facts:
    """Read everything.

    Raises
    ------
    NoClusterError
        When there is nothing to connect with.
    ClusterError
        When the API server does not answer, or does not know the user.
    """
    own_namespace = _own_namespace(asked.context)
    async with await connect(asked.context) as connection:
        cluster = Cluster(connection)
        version = await _unless_forbidden(cluster.request("GET", "/version"))
        server = Server(
            (await credentials_of(connection)).server,
            version if isinstance(version, Unread) else str(version.get("gitVersion")),
        )
        user = await _user(cluster, asked.context)
        # an operator that is silent is waited for; everything else goes on meanwhile
        lease, definition, rights, nodes, deployments = await asyncio.gather(
            _lease(cluster, asked, now),
            _definition(cluster),
            _rights(cluster, asked),
            _unless_forbidden(_all(cluster, NODES)),
            _deployments(cluster, asked, own_namespace),
        )
        tokens = Tokens(cluster, time.monotonic, believed_seconds=60, reader=f"user {user}")
        hub, pods, secrets = await asyncio.gather(
            read_models(cluster, tokens, deployments.found, asked.hf_endpoint),
            _unless_forbidden(_all(cluster, PODS, deployments.namespaces, labels=names.MANAGED_SELECTOR)),
            _pull_secrets(cluster, deployments.found),
        )
    return Facts(server, definition, lease, rights, nodes, hub, pods, secrets, deployments)


def _own_namespace(context: str | None) -> str:
    """Return the context's namespace; a pod needs no kubeconfig."""
    try:
        return namespace_of(context)
    except NoClusterError:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            return "default"
        raise


async def _user(cluster: Cluster, context: str | None) -> str:
    try:
        return await whoami(cluster)
    except (ForbiddenError, NotFoundError):
        return "of the current context" if context is None else f"of context {context}"


async def _lease(cluster: Cluster, asked: Asked, now: Callable[[], datetime]) -> LeaseSeen:
    """Look at the Lease; where its time stamp is old, for as long as it lasts: clocks differ, renewals do not lie."""

    async def look() -> LeaseSeen:
        lease = await _unless_forbidden(cluster.get(LEASES, asked.operator_namespace, asked.lease_name))
        return LeaseSeen(asked.operator_namespace, asked.lease_name, lease)

    seen = first = await look()
    if isinstance(seen.lease, Unread) or seen.lease is None or not seen.holder:
        return seen
    lasts_seconds = float(seen.lease["spec"].get("leaseDurationSeconds") or 15)
    begun = time.monotonic()
    while True:
        renewed = seen.renewed != first.renewed
        if not seen.holder or renewed or 0 <= _age_seconds(seen, now()) <= lasts_seconds + _SPARE_SECONDS:
            return LeaseSeen(seen.namespace, seen.name, seen.lease, alive=True)
        if time.monotonic() - begun > lasts_seconds + _SPARE_SECONDS:
            return seen
        await asyncio.sleep(_LOOK_SECONDS)
        seen = await look()


def _age_seconds(seen: LeaseSeen, now: datetime) -> float:
    try:
        return (now - datetime.fromisoformat(seen.renewed)).total_seconds()
    except (ValueError, TypeError):  # never renewed, or written by somebody else
        return float("inf")


async def _definition(cluster: Cluster) -> Definition:
    served = await _unless_forbidden(serves(cluster, MISTRAL_DEPLOYMENTS))
    body = await _unless_forbidden(cluster.get(_DEFINITIONS, None, f"{names.PLURAL}.{names.GROUP}"))
    return Definition(body, served is True)


async def _rights(cluster: Cluster, asked: Asked) -> Rights:
    """Ask for every right of the one source; in single namespaces where only those are looked at."""
    where, account = asked.operator_namespace, asked.account
    there = await _unless_forbidden(cluster.get(_SERVICE_ACCOUNTS, where, account))
    wanted = [
        *chain.from_iterable(rights_of(operator_rules(), namespace) for namespace in asked.namespaces or (None,)),
        *rights_of(node_rules()),
        *rights_of(lease_rules(asked.lease_name), where),
    ]

    async def ask() -> tuple[Right, ...]:
        answers = await asyncio.gather(*(account_may(cluster, where, account, right) for right in wanted))
        return tuple(right for right, allowed in zip(wanted, answers, strict=True) if not allowed)

    return Rights(
        namespace=where,
        account=account,
        lease=asked.lease_name,
        watched=asked.namespaces,
        there=None if isinstance(there, Unread) else there is not None,
        asked=len(wanted),
        missing=await _unless_forbidden(ask()),
    )


async def _deployments(cluster: Cluster, asked: Asked, own_namespace: str) -> Deployments:
    """List MistralDeployments; who may not list them everywhere gets those of the namespaces where they may."""
    limited, namespaces = None, asked.namespaces
    if not namespaces:
        found = await _mdeps(cluster)
        if not isinstance(found, Unread):
            return Deployments(found, ())
        limited = found
        listed = await _unless_forbidden(_all(cluster, _NAMESPACES))
        namespaces = (
            (own_namespace,) if isinstance(listed, Unread) else tuple(one["metadata"]["name"] for one in listed)
        )
    by_namespace = {namespace: await _mdeps(cluster, namespace) for namespace in namespaces}
    read = {namespace: found for namespace, found in by_namespace.items() if not isinstance(found, Unread)}
    unread = {namespace: found for namespace, found in by_namespace.items() if isinstance(found, Unread)}
    # of many namespaces those that may not be read are no news; of those that were named each is
    told = unread if asked.namespaces else {}
    return Deployments(tuple(chain.from_iterable(read.values())), tuple(read), limited, told)


async def _mdeps(cluster: Cluster, namespace: str | None = None) -> tuple[Deployment, ...] | Unread:
    try:
        bodies = await _unless_forbidden(_all(cluster, MISTRAL_DEPLOYMENTS, () if namespace is None else (namespace,)))
    except NotFoundError:  # the definition is not served: told by its own check
        return ()
    return bodies if isinstance(bodies, Unread) else tuple(_deployment(body) for body in bodies)


def _deployment(body: Body) -> Deployment:
    try:
        return Deployment(body, read_spec(body.get("spec")))
    except SpecInvalidError as error:
        return Deployment(body, str(error))


async def _pull_secrets(cluster: Cluster, deployments: Sequence[Deployment]) -> list[PullSecret]:
    wanted: dict[tuple[str, str], list[str]] = {}
    for one in deployments:
        references = () if isinstance(one.spec, str) else one.spec.image_pull_secrets or ()
        for reference in references:
            wanted.setdefault((one.namespace, str(reference.get("name"))), []).append(one.name)

    async def kind_of(namespace: str, name: str) -> str | Unread | None:
        secret = await _unless_forbidden(cluster.get(SECRETS, namespace, name))
        return secret if isinstance(secret, Unread) or secret is None else str(secret.get("type"))

    kinds = await asyncio.gather(*(kind_of(*where) for where in wanted))
    return [
        PullSecret(namespace, name, kind, tuple(by))
        for ((namespace, name), by), kind in zip(wanted.items(), kinds, strict=True)
    ]


async def _all(
    cluster: Cluster, resource: Resource, namespaces: Sequence[str] = (), *, labels: str | None = None
) -> list[Body]:
    """Return all objects of a kind, everywhere when no namespaces are named."""
    return [
        body
        for namespace in namespaces or (None,)
        async for page in cluster.pages(resource, namespace, labels=labels)
        for body in page
    ]


async def _unless_forbidden(asking: Awaitable[_T]) -> _T | Unread:
    try:
        return await asking
    except ForbiddenError as error:
        return Unread(error.message)
