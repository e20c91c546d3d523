"""``mistral-operator crd``: the CustomResourceDefinition, to apply or to keep in a file."""

import typer

from mistral_operator.cli.terminal import takes_unicode
from mistral_operator.cli.yaml_text import yaml_text


def crd() -> None:
    """Print the CustomResourceDefinition of MistralDeployments."""
    typer.echo(crd_yaml(is_unicode=takes_unicode()), nl=False)


def crd_yaml(*, is_unicode: bool = True) -> str:
    """Return the CustomResourceDefinition as YAML."""
    from mistral_operator.api.crd import custom_resource_definition  # noqa: PLC0415 - long for those who only plan

    return yaml_text([custom_resource_definition()], is_unicode=is_unicode)
