"""``python docs/generate.py``: write what pages repeat of the code: reasons, rights and the fields of the resource.

What is generated stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->``; all else is a person's.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from mistral_operator.api import names
from mistral_operator.api.cel import ATOMIC, LIST_KEYS, RULES
from mistral_operator.api.cel import Path as FieldPath
from mistral_operator.api.conditions import Reason
from mistral_operator.api.core_type import CORE_TYPE_KEY
from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.api.pod_reasons import PodReason
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.api.structural import Schema, structural_schema
from mistral_operator.cluster.rbac import Grant, lease_grants, node_grants, operator_grants
from mistral_operator.hub.errors import HubReason
from mistral_operator.planning.problems import PlanFinding, PlanReason
from mistral_operator.rendering.problems import RenderingReason
from mistral_vllm.reasons import DecisionReason, EngineReason, FindingReason, LayoutReason, RejectionReason

DOCS: Final = Path(__file__).parent
_DESCRIBED: Final = DOCS.parent / "tests" / "cluster" / "golden" / "describe"
_NEXT: Final = " Next: "
_WIDTH: Final = 120


class Meaning(NamedTuple):
    """One reason as its source documents it."""

    section: str  # of the enumeration: the comment above
    reason: str
    means: str
    next_step: str


class UndocumentedError(Exception):
    """A reason or a field says nothing of itself; ``str()`` names it."""


def generated() -> dict[Path, str]:
    """Return the content of each page with what is generated in it."""
    return {path: _filled(path, blocks) for path, blocks in _PAGES.items()}


def meanings(reasons: type[StrEnum]) -> list[Meaning]:
    """Read what each reason of an enumeration means from the text below it, which Python itself forgets.

    Raises
    ------
    UndocumentedError
        When a reason has no text.
    """
    lines = inspect.getsource(reasons).splitlines()
    (definition,) = ast.parse(textwrap.dedent("\n".join(lines))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - of source that is imported
    found: list[Meaning] = []
    for statement, text in zip(definition.body, [*definition.body[1:], None], strict=True):
        if not isinstance(statement, ast.Assign):
            continue
        reason = str(ast.literal_eval(statement.value))
        if not (isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)):
            raise UndocumentedError(f"{reasons.__name__}.{reason} has no text below it that says what it means")
        means, _, next_step = " ".join(str(text.value.value).split()).partition(_NEXT)
        comment = re.fullmatch(r"\s*# (.+)", lines[statement.lineno - 2])
        section = comment[1] if comment else found[-1].section if found else ""
        found.append(Meaning(section, reason, means, next_step))
    return found


def told_in_describe() -> dict[str, str]:
    """Return what ``kubectl describe`` was seen to say of pods, by reason: of several messages the shortest."""
    told: dict[str, str] = {}
    for path in sorted(_DESCRIBED.glob("*.txt")):
        for message, reason in re.findall(r"Message: +(.+)\n +Reason: +(\w+)", path.read_text(encoding="utf-8")):
            if message.startswith("pod") and len(message) < len(told.get(reason, message + " ")):
                told[reason] = message
    return told


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in lines)


def _reasons(*enumerations: type[StrEnum]) -> str:
    """Return one table of all reasons of some enumerations."""
    return _rows([one for reasons in enumerations for one in meanings(reasons)])


def _rows(found: Sequence[Meaning]) -> str:
    if not any(one.next_step for one in found):
        return table(["reason", "means"], ([f"`{one.reason}`", one.means] for one in found))
    return table(["reason", "means", "do"], ([f"`{one.reason}`", one.means, one.next_step] for one in found))


def _sections(reasons: type[StrEnum], told: Mapping[str, str]) -> str:
    """Return a heading and a table for each section of an enumeration, and below it what was seen to be said."""
    found = meanings(reasons)
    parts: list[str] = []
    for section in dict.fromkeys(one.section for one in found):
        ours = [one for one in found if one.section == section]
        parts.append(f"### {section}\n\n{_rows(ours)}")
        said = [f"{one.reason}\n{_wrapped(told[one.reason])}" for one in ours if one.reason in told]
        if said:
            parts.append("```\n" + "\n".join(said) + "\n```\n")
    return "\n".join(parts)


def _wrapped(message: str) -> str:
    return textwrap.fill(message, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False,
                         break_on_hyphens=False)  # fmt: skip


def _rights() -> str:
    """Return what the operator may do: each rule, where it holds and what it is for."""
    everywhere = "every namespace it watches"
    rows = [
        *(_right(grant, everywhere) for grant in operator_grants()),
        *(_right(grant, "the cluster") for grant in node_grants()),
        *(_right(grant, "its own namespace") for grant in lease_grants("mistral-operator")),
    ]
    return table(["resource", "verbs", "where", "what for"], rows)


def _right(grant: Grant, where: str) -> list[str]:
    (group,), (resource,) = grant.rule["apiGroups"], grant.rule["resources"]
    named = "".join(f" `{name}`" for name in grant.rule.get("resourceNames", ()))
    plural, slash, subresource = resource.partition("/")
    shown = f"{plural}.{group}" if group else plural
    return [f"`{shown}{slash}{subresource}`{named}", ", ".join(grant.rule["verbs"]), where, grant.purpose]


def _definition() -> str:
    """Return the names of the resource, and what ``kubectl get`` shows of it."""
    spec = custom_resource_definition()["spec"]
    called = spec["names"]
    (version,) = spec["versions"]
    facts = table(
        ["", ""],
        [
            ["apiVersion", f"`{names.API_VERSION}`"],
            ["kind", f"`{called['kind']}`, {spec['scope'].lower()}"],
            ["names", ", ".join(f"`{name}`" for name in (called["plural"], called["singular"], *called["shortNames"]))],
            ["categories", ", ".join(f"`kubectl get {name}`" for name in called["categories"])],
            ["subresources", ", ".join(f"`{name}`" for name in version["subresources"])],
        ],
    )
    columns = table(
        ["column", "shows", "when"],
        (
            [one["name"], f"`{one['jsonPath'].removeprefix('.')}`", "`-o wide`" if one.get("priority") else "always"]
            for one in version["additionalPrinterColumns"]
        ),
    )
    return f"{facts}\n{columns}"


def _fields(root: str, model: type[MistralDeploymentSpec | MistralDeploymentStatus]) -> str:
    """Return a section for each object of ``spec`` or ``status``, and what is refused at apply."""
    schema = structural_schema(model, lambda name: {CORE_TYPE_KEY: name})
    return "\n".join(_object((root,), schema))


def _object(path: FieldPath, schema: Schema) -> Iterator[str]:
    where = ".".join(part for part in path if part != "*")
    whole = " Written whole, by the operator alone." if path in ATOMIC else ""
    yield f"### {where}\n\n{schema['description']}{whole}\n"
    fields: Mapping[str, Schema] = schema["properties"]
    required = schema.get("required", ())
    yield table(
        ["field", "type", "default", "meaning"],
        ([f"`{name}`", *_field((*path, name), of, is_required=name in required)] for name, of in fields.items()),
    )
    refused = [rule.message for at in (path, *((*path, name) for name in fields if "properties" not in fields[name]))
               for rule in RULES.get(at, ())]  # fmt: skip
    if refused:
        yield "Refused at apply:\n\n" + "".join(f"- {message}\n" for message in refused)
    for name, of in fields.items():
        inner = of.get("items", of)
        if "properties" in inner:
            yield from _object((*path, name) + (("*",) if "items" in of else ()), {"description": "", **inner})


def _field(path: FieldPath, schema: Schema, *, is_required: bool) -> list[str]:
    """Return type, default and meaning of one field."""
    if not schema.get("description"):
        raise UndocumentedError(f"{'.'.join(path)} has no docstring")
    default = schema.get("default")
    has_parts = isinstance(default, dict)
    shown = "required" if is_required else "" if default is None or has_parts else f"`{_shown(default)}`"
    return [_type(path, schema), shown, schema["description"]]


def _type(path: FieldPath, schema: Schema) -> str:
    if CORE_TYPE_KEY in schema:
        return f"Kubernetes' {schema[CORE_TYPE_KEY].rpartition('.')[2]}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema["type"])
    if kind == "array":
        key = [f"one for each `{LIST_KEYS[path]}`"] if path in LIST_KEYS else []
        return ", ".join([f"list of {_most(schema, 'Items')}{_type((*path, '*'), schema['items'])}", *key])
    if "additionalProperties" in schema:
        return f"map to {_most(schema, 'Properties')}{_type((*path, '*'), schema['additionalProperties'])}"
    if "properties" in schema:
        return f"[object](#{''.join(part for part in path if part != '*').lower()})"
    return ", ".join([kind, *_bounds(schema)])


def _most(schema: Schema, of: str) -> str:
    return f"at most {schema[f'max{of}']}: " if f"max{of}" in schema else ""


def _bounds(schema: Schema) -> Iterator[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum", False)
    if least is not None and most is not None:
        yield f"more than {least} and at most {most}" if above else f"{least} to {most}"
    elif least is not None:
        yield f"at least {least}"
    if "maxLength" in schema:
        yield f"at most {schema['maxLength']} characters"
    if "pattern" in schema:
        yield f"`{schema['pattern']}`"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(path: Path, blocks: Mapping[str, Callable[[], str]]) -> str:
    page = path.read_text(encoding="utf-8")
    for name, block in blocks.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{block().strip()}\n\n{end}{rest.split(end)[1]}"
    return page


_PAGES: Final[Mapping[Path, Mapping[str, Callable[[], str]]]] = {
    DOCS / "troubleshooting.md": {
        "reasons of conditions": lambda: _sections(Reason, {}),
        "reasons of pods": lambda: _sections(PodReason, told_in_describe()),
        "reasons of the hub": lambda: _reasons(HubReason),
        "reasons of the config": lambda: _reasons(LayoutReason),
        "reasons of the plan": lambda: _reasons(PlanReason, EngineReason, RenderingReason),
        "reasons of backends": lambda: _reasons(RejectionReason),
        "reasons of the choice": lambda: _reasons(DecisionReason),
        "warnings of the plan": lambda: _reasons(FindingReason, PlanFinding),
    },
    DOCS / "security.md": {"rights": _rights},
    DOCS / "reference" / "mistraldeployment.md": {
        "definition": _definition,
        "name": lambda: "".join(f"- {rule.message}\n" for rule in RULES[()]),
        "spec": lambda: _fields("spec", MistralDeploymentSpec),
        "status": lambda: _fields("status", MistralDeploymentStatus),
    },
}


def main() -> None:
    """Write each page that is not what it should be."""
    for path, content in generated().items():
        if path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
