"""Whether the CustomResourceDefinition is there, served, and the one that this operator was made with."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mistral_operator.api import names
from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.cli.doctor.facts import Body, Definition, Unread
from mistral_operator.cli.doctor.finding import Check, Finding, ok, problem, warning
from mistral_operator.cli.doctor.reasons import DoctorReason

_ABOUT: Final = f"CustomResourceDefinition {names.PLURAL}.{names.GROUP}"
_APPLY: Final = "Run `mistral-operator crd | kubectl apply --server-side -f -`"
_SHOWN: Final = 3
_COLUMNS: Final = "columns"  # of kubectl get: nothing breaks by other ones
_WITHIN: Final = ("items", "additionalProperties")


def check_definition(definition: Definition) -> Iterator[Finding]:
    """Yield at least one finding."""
    if isinstance(definition.body, Unread):
        served = f"{'serves' if definition.served else 'does not serve'} {names.VERSION}"
        message = f"{served}; whether it is this operator's cannot be told: {definition.body.why}"
        step = "Use a context that may get CustomResourceDefinitions"
        tell = warning if definition.served else problem
        yield tell(Check.DEFINITION, _ABOUT, DoctorReason.DEFINITION_NOT_READABLE, message, step)
    elif definition.body is None:
        message = "is not installed, so that the cluster knows no MistralDeployment"
        yield problem(Check.DEFINITION, _ABOUT, DoctorReason.DEFINITION_MISSING, message, _APPLY)
    else:
        yield from _faults(definition.body, served=definition.served)


def _faults(body: Body, *, served: bool) -> Iterator[Finding]:
    spec = body.get("spec", {})
    versions = {str(version["name"]): version for version in spec.get("versions", ())}
    installed = versions.get(names.VERSION)
    if body["metadata"].get("deletionTimestamp"):
        message = "is being deleted, and every MistralDeployment with it"
        step = "Apply it again once it is gone: `mistral-operator crd | kubectl apply --server-side -f -`"
        yield problem(Check.DEFINITION, _ABOUT, DoctorReason.DEFINITION_BEING_DELETED, message, step)
    elif installed is None or not installed.get("served"):
        there = ", ".join(sorted(name for name, version in versions.items() if version.get("served"))) or "no version"
        message = f"serves {there}, and this operator needs {names.VERSION}"
        step = f"{_APPLY}, or use the operator that the definition came with"
        yield problem(Check.DEFINITION, _ABOUT, DoctorReason.VERSION_NOT_SERVED, message, step)
    elif not served:
        message = f"is not served: {_why_not(body)}"
        step = f"Look at `kubectl describe crd {names.PLURAL}.{names.GROUP}`"
        yield problem(Check.DEFINITION, _ABOUT, DoctorReason.DEFINITION_NOT_ESTABLISHED, message, step)
    else:
        yield _compared(installed)


def _why_not(body: Body) -> str:
    conditions = body.get("status", {}).get("conditions") or ()
    against = [one for one in conditions if one.get("type") in ("NamesAccepted", "Established")]
    said = [str(one.get("message")) for one in against if one.get("status") != "True"]
    return "; ".join(dict.fromkeys(said)) or "it was made a moment ago"


def _compared(installed: Body) -> Finding:
    own = custom_resource_definition()["spec"]["versions"][0]
    lacks, has_more, differs = differences(own, installed)
    if not (lacks or has_more or differs):
        message = f"serves {names.VERSION} with this operator's own schema"
        return ok(Check.DEFINITION, _ABOUT, DoctorReason.DEFINITION_CURRENT, message)
    parts = (("lacks", lacks), ("has besides", has_more), ("differs in", differs))
    message = "is another release's: " + "; ".join(f"{verb} {_some(paths)}" for verb, paths in parts if paths)
    step = f"{_APPLY}, or use the operator that the definition came with"
    tell = problem if lacks or set(differs) - {_COLUMNS} else warning
    return tell(Check.DEFINITION, _ABOUT, DoctorReason.DEFINITION_DIFFERS, message, step)


def differences(own: Body, installed: Body) -> tuple[list[str], list[str], list[str]]:
    """Compare a version of the definition with another, apart from its descriptions.

    Returns
    -------
    tuple of list of str
        Paths of fields that the other lacks, that it has besides, and that it describes otherwise; ``columns`` and
        ``subresources`` stand for what is no field.
    """
    ours, theirs = (dict(_fields(version["schema"]["openAPIV3Schema"])) for version in (own, installed))
    lacks = [path for path in ours if path not in theirs]
    has_more = [path for path in theirs if path not in ours]
    differs = [path or "its root" for path, schema in ours.items() if path in theirs and theirs[path] != schema]
    for part, name in ((_COLUMNS, "additionalPrinterColumns"), ("subresources", "subresources")):
        if own.get(name) != installed.get(name):
            differs.append(part)
    return _outermost(lacks), _outermost(has_more), differs


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field by its path, with what its schema says of the field itself."""
    yield path, {key: of for key, of in schema.items() if key not in ("description", "properties", *_WITHIN)}
    for name, of in schema.get("properties", {}).items():
        yield from _fields(of, f"{path}.{name}".lstrip("."))
    for part in _WITHIN:
        if isinstance(schema.get(part), Mapping):
            yield from _fields(schema[part], f"{path}[]")


def _outermost(paths: list[str]) -> list[str]:
    """Leave out what is missing only because the field around it is."""
    return [path for path in paths if not any(path.startswith((f"{other}.", f"{other}[")) for other in paths)]


def _some(paths: list[str]) -> str:
    shown = ", ".join(paths[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN} more"
