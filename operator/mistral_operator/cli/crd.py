"""``mistral-operator crd``: the CustomResourceDefinition, to apply or to keep in a file."""

import json

import typer
import yaml

from mistral_operator.api.crd import custom_resource_definition


def crd() -> None:
    """Print the CustomResourceDefinition of MistralDeployments."""
    typer.echo(crd_yaml(), nl=False)


def crd_yaml() -> str:
    """Return the CustomResourceDefinition as YAML."""
    plain = json.loads(json.dumps(custom_resource_definition()))  # schemas that are shared would become YAML aliases
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
