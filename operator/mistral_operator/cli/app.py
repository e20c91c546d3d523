"""The command's root: what it is called, its version, and its subcommands."""

from typing import Annotated

import typer

from mistral_operator.cli.crd import crd
from mistral_operator.cli.doctor.command import doctor
from mistral_operator.cli.plan import plan
from mistral_operator.cli.rbac import rbac
from mistral_operator.cli.run import run
from mistral_operator.cli.terminal import bear_any_text

app = typer.Typer(
    name="mistral-operator",
    help="Serve Mistral models with vLLM on Kubernetes, on the attention backend their own config asks for.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help keeps long option names whole on 80 columns
    pretty_exceptions_enable=False,
)
app.command()(plan)
app.command()(run)
app.command()(doctor)
app.command()(crd)
app.command()(rbac)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata  # noqa: PLC0415 - brings the mail parser along

        typer.echo(f"mistral-operator {metadata.version('mistral-operator')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    bear_any_text()
    app()
