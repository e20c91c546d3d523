"""What ``--context`` tells: the GPUs of a cluster's nodes, and hub tokens out of its Secrets."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mistral_operator.api.spec import SecretKeyRef
from mistral_operator.cli.cluster_ending import cluster_refusals
from mistral_operator.cli.ending import ExitCode, Refused
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.connection import connect
from mistral_operator.cluster.contexts import namespace_of
from mistral_operator.cluster.resources import NODES
from mistral_operator.controller.tokens import TokenError, Tokens
from mistral_operator.planning.inventory import Inventory, gpus_of_node, inventory_of

WantedToken = tuple[str | None, SecretKeyRef]
"""Namespace (None: the context's own) and key of a Secret."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """One cluster, as far as a plan depends on it."""

    namespace: str  # the context's own
    inventory: Inventory
    tokens: dict[WantedToken, str | Refused] = field(repr=False)


def read_cluster(context: str, wanted: Sequence[WantedToken] = ()) -> ClusterFacts:
    """Read a cluster through a context of the kubeconfig; a token that cannot be had is its object's affair.

    Raises
    ------
    Refused
        When there is no such context, or the API server does not answer or does not let its nodes be read.
    """
    step = "Use a context that may list nodes, or describe the GPU with --gpu-memory and --compute-capability"
    with cluster_refusals(context, if_forbidden=step):
        return asyncio.run(_read(context, wanted))


async def _read(context: str, wanted: Sequence[WantedToken]) -> ClusterFacts:
    namespace = namespace_of(context)
    async with await connect(context) as connection:
        cluster = Cluster(connection)
        nodes = [gpus_of_node(node) async for page in cluster.pages(NODES) for node in page]
        source = Tokens(cluster, time.monotonic, 0, reader=f"the user of context {context}")
        tokens = {one: await _token(source, one[0] or namespace, one[1]) for one in wanted}
    return ClusterFacts(namespace, inventory_of(nodes), tokens)


async def _token(source: Tokens, namespace: str, reference: SecretKeyRef) -> str | Refused:
    try:
        return await source.read(namespace, reference)
    except TokenError as error:
        return Refused(ExitCode.MODEL, error.message, error.next_step)
