"""What the tests of ``plan -f`` share: a way to write MistralDeployments, and what a refusal looks like."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import yaml
from typer.testing import Result

Run: TypeAlias = Callable[..., Result]
MISTRAL: Final = "mistralai/Mistral-7B-v0.1"
NEMO: Final = "mistralai/Mistral-Nemo-Instruct-2407"
API_VERSION: Final = "mistral-operator.io/v1alpha1"


def deployment(name: str = "m", namespace: str | None = "team", model: str = MISTRAL, **spec: Any) -> dict[str, Any]:
    """Return a MistralDeployment as a user writes it."""
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    body = {"apiVersion": API_VERSION, "kind": "MistralDeployment", "metadata": metadata}
    return body | {"spec": {"model": {"id": model}} | spec}


def text_of(*bodies: Mapping[str, Any]) -> str:
    """Return a file's content."""
    return yaml.safe_dump_all(bodies)


def check(result: Result, code: int, *says: str) -> None:
    """Check that the command printed no plan, one sentence of cause and a next step."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Next: ")
    assert "Traceback" not in result.output
    for text in says:
        assert text in result.stderr
