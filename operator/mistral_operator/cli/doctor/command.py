"""The command: what is asked, how it ends."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mistral_operator.cli.ending import ExitCode, Refused
from mistral_operator.cli.rbac import DEFAULT_ACCOUNT
from mistral_operator.cli.terminal import json_text
from mistral_operator.controller.settings import LeaseSettings

if TYPE_CHECKING:  # the client takes long to import, and so does the resource
    from mistral_operator.cli.doctor.finding import Finding
    from mistral_operator.cli.doctor.reading import Asked

_ACCOUNT: Final = f"{LeaseSettings.namespace}/{DEFAULT_ACCOUNT}"


class Output(StrEnum):
    """What to print."""

    TEXT = "text"
    JSON = "json"


def doctor(
    *,
    context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig.", show_default="the current one")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("-n", "--namespace", help="Namespace of MistralDeployments; may be repeated.", show_default="all"),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("-A", "--all-namespaces", help="Look at all namespaces, as without -n.")
    ] = False,
    service_account: Annotated[
        str, typer.Option(metavar="NAMESPACE/NAME", help="Account of the operator; its Lease is in that namespace.")
    ] = _ACCOUNT,
    lease_name: Annotated[str, typer.Option(help="Name of the operator's Lease.")] = LeaseSettings.name,
    hf_endpoint: Annotated[
        str | None, typer.Option(help="Hub or mirror to read.", envvar="HF_ENDPOINT", show_default="huggingface.co")
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="What to print.")] = Output.TEXT,
) -> None:
    """Check a cluster: CRD, operator, rights, GPUs, hub, images, every MistralDeployment. Changes nothing."""
    if namespace and all_namespaces:
        raise typer.BadParameter("-A is all namespaces, and -n names some: leave one of them out")
    account_namespace, separator, account = service_account.partition("/")
    if not (account_namespace and separator and account) or "/" in account:
        raise typer.BadParameter(f"--service-account is NAMESPACE/NAME, such as {_ACCOUNT}, not {service_account!r}")

    from mistral_operator.cli.doctor.finding import Level  # noqa: PLC0415 - as above
    from mistral_operator.cli.doctor.reading import Asked  # noqa: PLC0415

    asked = Asked(
        context=context,
        namespaces=tuple(dict.fromkeys(namespace or ())),
        operator_namespace=account_namespace,
        account=account,
        lease_name=lease_name,
        hf_endpoint=hf_endpoint,
    )
    try:
        findings = _examine(asked)
    except Refused as refused:
        refused.tell()
        sys.exit(refused.code)
    _print(findings, output)
    sys.exit(ExitCode.PROBLEMS if any(one.level is Level.PROBLEM for one in findings) else 0)


def _examine(asked: "Asked") -> "list[Finding]":
    import asyncio  # noqa: PLC0415 - as above
    from datetime import UTC, datetime  # noqa: PLC0415

    from mistral_operator.cli.cluster_ending import cluster_refusals  # noqa: PLC0415
    from mistral_operator.cli.doctor.checks import examine  # noqa: PLC0415
    from mistral_operator.cli.doctor.reading import read_facts  # noqa: PLC0415

    with cluster_refusals(asked.context):
        return [*examine(asyncio.run(read_facts(asked, lambda: datetime.now(UTC))))]


def _print(findings: "Sequence[Finding]", output: Output) -> None:
    if output is Output.JSON:
        from mistral_operator.cli.doctor.document import findings_document  # noqa: PLC0415 - as above

        typer.echo(json_text(findings_document(findings)))
        return
    from mistral_operator.cli.doctor.text import draw, plain_lines  # noqa: PLC0415

    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - scripts need no drawing

        draw(findings, Console(highlight=False))
    else:
        for line in plain_lines(findings):
            typer.echo(line)
