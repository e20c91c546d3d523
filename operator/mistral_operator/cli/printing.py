"""What the command prints of one plan, of a plan on a cluster, and of the MistralDeployments of a file."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from mistral_operator.cli.document import deployment_document, placement_document, plan_document
from mistral_operator.cli.terminal import json_text, takes_unicode, tell, visible
from mistral_operator.cli.yaml_text import yaml_text
from mistral_operator.planning.plan import Plan

if TYPE_CHECKING:  # a plan without a file and without a cluster needs neither
    from mistral_operator.cli.deployments import PlannedDeployment
    from mistral_operator.planning.placement import Placement


class Output(StrEnum):
    """What to print."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    MANIFESTS = "manifests"


def print_one(plan: Plan, output: Output, placement: "Placement | None" = None) -> None:
    """Print the plan of one model."""
    if output is Output.TEXT:
        _draw([(None, plan, placement)])
    else:
        _print_documents([plan_document(plan) if placement is None else placement_document(placement)], output)


def print_deployments(planned: Sequence["PlannedDeployment"], output: Output) -> None:
    """Print the plans of a file: in JSON a list where there are several, in YAML a document for each."""
    if output is Output.TEXT:
        _draw([(str(one), one.placement.plan, one.placement) for one in planned])
    elif output is Output.MANIFESTS:
        for one in planned:
            for assumption in one.assumptions:
                tell(f"Assumed for {one}: {assumption}")
        typer.echo(_yaml([manifest for one in planned for manifest in one.manifests]), nl=False)
    else:
        _print_documents([deployment_document(one) for one in planned], output)


def _print_documents(documents: Sequence[dict[str, Any]], output: Output) -> None:
    if output is Output.JSON:
        typer.echo(json_text(documents[0] if len(documents) == 1 else documents))
    else:
        typer.echo(_yaml(documents), nl=False)


def _yaml(documents: Sequence[Mapping[str, Any]]) -> str:
    return yaml_text(documents, is_unicode=takes_unicode())


def _draw(plans: Iterable[tuple[str | None, Plan, "Placement | None"]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - scripts need no drawing
    from rich.rule import Rule  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from mistral_operator.cli.text import print_plan  # noqa: PLC0415

    console = Console(highlight=False)
    for name, plan, placement in plans:
        if name is not None:
            console.print(Rule(Text(visible(name)), align="left"))
        print_plan(plan, console, placement)
