"""``mistral-operator rbac``: the operator's rights, as manifests to apply."""

from typing import Annotated, Final

import typer

from mistral_operator.cli.terminal import takes_unicode
from mistral_operator.cli.yaml_text import yaml_text
from mistral_operator.cluster.rbac import rbac_manifests
from mistral_operator.controller.settings import LeaseSettings

DEFAULT_ACCOUNT: Final = "mistral-operator"


def rbac(
    *,
    namespace: Annotated[str, typer.Option(help="Namespace of the operator.")] = LeaseSettings.namespace,
    watch_namespace: Annotated[
        list[str] | None,
        typer.Option(help="Namespace that it watches; may be repeated.", show_default="all, by a ClusterRole"),
    ] = None,
    service_account: Annotated[str, typer.Option(help="Its ServiceAccount.")] = DEFAULT_ACCOUNT,
    lease_name: Annotated[str, typer.Option(help="Name of its Lease.")] = LeaseSettings.name,
    nodes: Annotated[bool, typer.Option("--nodes/--no-nodes", help="Whether it may read nodes.")] = True,
) -> None:
    """Print the ServiceAccount of the operator with exactly the rights it needs."""
    manifests = rbac_manifests(namespace, service_account, lease_name, watched=watch_namespace or (), nodes=nodes)
    typer.echo(yaml_text(manifests, is_unicode=takes_unicode()), nl=False)
