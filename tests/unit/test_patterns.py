"""Every regular expression that reads what pods, nodes and users say is linear: the text decides how long it runs.

Those of :mod:`mistral_operator.hub` are tried in one place of a file after the other, and are bounded by its tests.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import mistral_operator
import mistral_vllm
from unit.pattern_steps import steps_per_character

_MOST_STEPS: Final = 500  # per character: 4,096 characters take some milliseconds
_PACKAGES: Final = (mistral_operator, mistral_vllm)
_OTHERS: Final = "mistral_operator.hub"
_ENGINE: Final = ("torch", "vllm")  # of the image, where these modules run
_MATCHING: Final = {"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}


def _modules() -> Iterator[ModuleType]:
    for package in _PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__") or found.name.startswith(_OTHERS):
                continue
            try:
                yield importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                if error.name not in _ENGINE:
                    raise


def _compiled(value: Any) -> Iterator[re.Pattern[str]]:
    """Find patterns in a module's constant, however deep."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from (pattern for one in value.values() for pattern in _compiled(one))
    elif isinstance(value, tuple | list | frozenset | set):
        yield from (pattern for one in value for pattern in _compiled(one))


def _written(source: str) -> Iterator[str]:
    """Find patterns that are given to a function of ``re`` as they are used."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("re"), attr=name), args=[ast.Constant(str() as text), *_]
            ) if name in _MATCHING:
                yield text


def _all_patterns() -> list[Any]:
    found = {
        (module.__name__, pattern.pattern): pattern
        for module in _modules()
        for value in vars(module).values()
        for pattern in _compiled(value)
    }
    for package in _PACKAGES:
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            where = ".".join([package.__name__, *file.relative_to(root).with_suffix("").parts])
            if not where.startswith(_OTHERS):
                for text in _written(file.read_text(encoding="utf-8")):
                    found.setdefault((where, text), re.compile(text))
    return [pytest.param(pattern, id=f"{where}: {text[:40]}") for (where, text), pattern in found.items()]


_ALL: Final = _all_patterns()


@pytest.mark.parametrize("pattern", _ALL)
def test_a_pattern_is_linear(pattern: re.Pattern[str]) -> None:
    """Whatever the text is, twice as much of it takes twice as long: bound repeats that something must follow."""
    assert steps_per_character(pattern) <= _MOST_STEPS


def test_they_are_found() -> None:
    """In tuples of tuples, in functions, and in what runs in the pod."""
    names = {param.id.partition(":")[0] for param in _ALL}
    assert {
        "mistral_operator.status.diagnosis.engine",
        "mistral_vllm.telling.root_cause",
        "mistral_vllm.runtimes",
    } <= names
    assert len(_ALL) > 80


@pytest.mark.parametrize(
    "text",
    [
        r"(a+)+$",
        r"\(Request ID: [^)]*\)",
        r"Failed core proc\(s\): \{.*?'(?P<name>[^']+)': -(?P<signal>\d+)",
        r"\S+ is not a local folder",
        r"x*y",
        r"begin.*end",
        r"begin.*?end",
        r" *preemption",
        r"(?:ab)*c",
        r"\d+$",
        r"\d+(?!x)",
        r"(?=.*secret)a",
        r"[a-z]{1,400}[a-z0-9]{1,400}!",
        r"(?:\w{1,9}-?){1,9}!",
        r"\A(a|a)*b",
        r"^.*end",
    ],
)
def test_one_that_is_not_linear_is_noticed(text: str) -> None:
    """Scans that begin at every character, scans within scans, and repeats of what can be read in several ways."""
    assert steps_per_character(re.compile(text)) > _MOST_STEPS


@pytest.mark.parametrize(
    "text",
    [
        r"", r"end", r"begin: (.*)", r"gated repo(?: for url (\S+))?", r"\(Request ID: [^)]{0,99}\)", r"\Ax*y",
        r"\b0x[0-9a-f]{6,32}\b", r"(?i)denied|forbidden", r"hf_[A-Za-z0-9]{8,}",
    ],
)  # fmt: skip
def test_one_that_is_linear_is_left_alone(text: str) -> None:
    """Repeats that end the pattern, that are bounded, or that begin in one place and end in one way."""
    assert steps_per_character(re.compile(text)) < _MOST_STEPS
