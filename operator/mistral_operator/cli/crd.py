"""``mistral-operator crd``: the CustomResourceDefinition, to apply or to keep in a file."""

import typer

from mistral_operator.cli.yaml_text import yaml_text


def crd() -> None:
    """Print the CustomResourceDefinition of MistralDeployments."""
    typer.echo(crd_yaml(), nl=False)


def crd_yaml() -> str:
    """Return the CustomResourceDefinition as YAML."""
    from mistral_operator.api.crd import custom_resource_definition  # noqa: PLC0415 - long for those who only plan

    return yaml_text([custom_resource_definition()])
