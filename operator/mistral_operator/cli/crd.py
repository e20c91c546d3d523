"""``mistral-operator crd``: the CustomResourceDefinition, to apply or to keep in a file."""

import json

import typer


def crd() -> None:
    """Print the CustomResourceDefinition of MistralDeployments."""
    typer.echo(crd_yaml(), nl=False)


def crd_yaml() -> str:
    """Return the CustomResourceDefinition as YAML."""
    import yaml  # noqa: PLC0415 - nobody who only plans should wait for it

    from mistral_operator.api.crd import custom_resource_definition  # noqa: PLC0415

    plain = json.loads(json.dumps(custom_resource_definition()))  # schemas that are shared would become YAML aliases
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
