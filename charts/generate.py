"""``python charts/generate.py``: write what the chart repeats of other sources: CRD, rights, and the README's table."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from mistral_operator.cli.crd import crd_yaml
from mistral_operator.cli.yaml_text import yaml_text
from mistral_operator.cluster.rbac import lease_rules, node_rules, operator_rules

CHART: Final = Path(__file__).parent / "mistral-operator"
_BEGIN, _END = "<!-- values -->\n", "<!-- end of values -->\n"
_DEFAULT: Final = "@default -- "


class Value(NamedTuple):
    """One row of the README."""

    section: str
    path: str
    default: str
    description: str


class UndocumentedError(Exception):
    """A value has no comment that begins with ``--``; ``str()`` names it."""


def generated() -> dict[Path, str]:
    """Return the content of each generated file."""
    rights = {"operator": operator_rules(), "nodes": node_rules(), "lease": lease_rules("the release's full name")}
    readme = CHART / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    table = values_table(documented((CHART / "values.yaml").read_text(encoding="utf-8")))
    return {
        CHART / "files" / "crd.yaml": crd_yaml(),
        CHART / "files" / "rules.yaml": yaml_text([rights]),
        readme: f"{before}{_BEGIN}\n{table}\n{_END}{after}",
    }


def documented(text: str) -> list[Value]:
    """Read each value of a values.yaml with the comment above it.

    ``## Title`` begins a section, ``# -- text`` describes the key below it with all that it holds, and
    ``# @default -- text`` says what an empty value means.

    Raises
    ------
    UndocumentedError
        When a value has no description.
    """
    lines = text.splitlines()
    return [_value(lines, *leaf) for leaf in _leaves(lines, yaml.compose(text, Loader=yaml.SafeLoader), "")]


def values_table(values: list[Value]) -> str:
    """Return the tables of all sections, in Markdown."""
    parts: list[str] = []
    section = ""
    for value in values:
        if value.section != section:
            section = value.section
            parts += ["", f"### {section}", "", "| value | meaning | default |", "|---|---|---|"]
        cells = (f"`{value.path}`", value.description, value.default)
        parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(parts[1:]) + "\n"


def _leaves(lines: list[str], node: Any, prefix: str) -> Iterator[tuple[str, int, Any]]:
    """Yield path, line and content of each value that is described, or that ends a branch."""
    for key, content in node.value:
        path, line = f"{prefix}{key.value}", key.start_mark.line
        if isinstance(content, yaml.MappingNode) and content.value and not _comment(lines, line):
            yield from _leaves(lines, content, f"{path}.")
        else:
            yield path, line, content


def _value(lines: list[str], path: str, line: int, content: Any) -> Value:
    comment = _comment(lines, line)
    if not comment:
        raise UndocumentedError(f"values.yaml, line {line + 1}: {path} has no comment that begins with '# --'")
    words = [text for text in comment if not text.startswith(_DEFAULT)]
    told = [text.removeprefix(_DEFAULT) for text in comment if text.startswith(_DEFAULT)]
    default = told[0] if told else f"`{_shown(content)}`"
    section = next(text for text in reversed(lines[:line]) if text.startswith("## "))
    return Value(section.removeprefix("## "), path, default, " ".join(words).removeprefix("-- "))


def _comment(lines: list[str], line: int) -> list[str]:
    """Return the lines of the description that ends above a line; none where there is no description."""
    found: list[str] = []
    for text in reversed(lines[:line]):
        if not text.strip().startswith("# "):
            return []
        found.insert(0, text.strip().removeprefix("# "))
        if found[0].startswith("-- "):
            return found
    return []


def _shown(content: Any) -> str:
    value = yaml.SafeLoader("").construct_object(content, deep=True)
    if isinstance(value, str):
        return value or '""'
    return (
        str(yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False))
        .removesuffix("\n...\n")
        .strip()
    )


def main() -> None:
    """Write each file that is not what it should be."""
    for path, content in generated().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(CHART.parent)}\n")


if __name__ == "__main__":
    main()
