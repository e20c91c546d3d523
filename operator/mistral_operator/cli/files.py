"""MistralDeployments in a file: read strictly, and refused where the API server would refuse them."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from mistral_operator.api import names
from mistral_operator.api.checks import refusals
from mistral_operator.api.mistral_deployment import SpecInvalidError, read_spec
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.cli.ending import ExitCode, Refused
from mistral_operator.cli.terminal import tell

STDIN: Final = "-"
_FIELDS: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_EXAMPLE: Final = f"apiVersion: {names.API_VERSION}, kind: {names.KIND}"


@dataclass(frozen=True, slots=True)
class AskedDeployment:
    """One MistralDeployment as its user wrote it."""

    name: str
    namespace: str | None  # None: the file leaves it open
    replan: str | None
    spec: MistralDeploymentSpec

    def __str__(self) -> str:
        return f"{names.KIND} {self.namespace}/{self.name}" if self.namespace else f"{names.KIND} {self.name}"


def read_deployments(path: str) -> list[AskedDeployment]:
    """Read all MistralDeployments of a YAML or JSON file; of other kinds it is said that they are skipped.

    Raises
    ------
    Refused
        When the file cannot be read, holds none, or one of them would be refused at apply; all faults are named.
    """
    shown = "standard input" if path == STDIN else path
    asked, faults = [], []
    for body in _objects(_documents(_text(path, shown), shown)):
        if not isinstance(body, Mapping):
            faults.append(f"{body!r:.60} is no object")
        elif body.get("kind") != names.KIND:
            tell(f"Skipped: {_told(body)}, which is no {names.KIND}.")
        else:
            wrong = _faults(body)
            faults += [f"{_told(body)}: {fault}" for fault in wrong]
            if not wrong:
                asked.append(_asked(body))
    if faults:
        raise Refused(ExitCode.USAGE, f"{shown} would be refused", "Correct what is named; nothing was planned", faults)
    if not asked:
        raise Refused(ExitCode.USAGE, f"{shown} holds no {names.KIND}", f"Write one ({_EXAMPLE})")
    return asked


def _text(path: str, shown: str) -> str:
    try:
        return sys.stdin.read() if path == STDIN else Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Refused(ExitCode.USAGE, f"{shown} cannot be read: {why}", "Name a YAML or JSON file, or -") from error


def _documents(text: str, shown: str) -> list[Any]:
    try:
        if text.lstrip().startswith("{"):
            return [json.loads(text)]  # YAML takes most JSON, but no tabs
    except (ValueError, RecursionError):
        pass  # YAML has flow mappings too, and its error says where
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise Refused(ExitCode.USAGE, f"{shown} is neither YAML nor JSON: {why}", "Correct the file") from error


def _objects(documents: Iterable[Any]) -> Iterator[Any]:
    """Yield every object; kubectl prints several as one List."""
    for document in documents:
        if isinstance(document, Mapping) and document.get("kind") == "List":
            items = document.get("items") or []
            yield from items if isinstance(items, list) else [items]
        else:
            yield document


def _faults(body: Mapping[str, Any]) -> list[str]:
    """Return what the API server would refuse, one sentence each."""
    faults = [f"{field}: there is no such field" for field in sorted(map(str, body.keys() - _FIELDS))]
    if body.get("apiVersion") != names.API_VERSION:
        faults.append(f"apiVersion: must be {names.API_VERSION}, not {body.get('apiVersion')!r}")
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        return [*faults, "metadata.name: is required"]
    if not isinstance(metadata.get("namespace"), str | None):
        faults.append("metadata.namespace: must be a string")
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, Mapping) or not all(isinstance(value, str) for value in annotations.values()):
        faults.append("metadata.annotations: must be strings by name")
    if faults:
        return faults
    try:
        spec = read_spec(body.get("spec"), strict=True)
    except SpecInvalidError as error:
        return [str(error)]
    return refusals(metadata["name"], body["spec"], spec.model_dump(mode="json", by_alias=True, exclude_none=True))


def _asked(body: Mapping[str, Any]) -> AskedDeployment:
    metadata = body["metadata"]
    return AskedDeployment(
        name=metadata["name"],
        namespace=metadata.get("namespace") or None,
        replan=(metadata.get("annotations") or {}).get(names.REPLAN_ANNOTATION),
        spec=read_spec(body["spec"], strict=True),
    )


def _told(body: Mapping[str, Any]) -> str:
    """Name an object as far as it has a name."""
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{body.get('kind') or 'an object without kind'} {name or 'without name'}"
