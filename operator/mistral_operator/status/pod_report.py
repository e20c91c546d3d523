"""What a pod answers to ``GET /v1/attention``, as far as a plan can be held against it; docs/pod-report.md has it all.

It comes out of a container that a user chose: lengths are bounded, since some of it stands in the status, and so is
the number of what is looked at, since every fault in it would be an error of its own.
"""

import json
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from mistral_operator.api.plain_text import plain_text
from mistral_operator.api.shortening import shortened

_LONGEST: Final = 200  # characters
_MOST: Final = {"backends": 8, "kinds": 64}  # kinds of layers, and layers that are alike
_CONFIG: Final = ConfigDict(alias_generator=to_camel, extra="ignore")

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
_Count = Annotated[int, Field(ge=1, lt=2**31)]


class NoReportError(Exception):
    """An answer that is no report; ``str()`` says what is wrong with it."""


def one_line(text: str) -> str:
    """Return a pod's words as they may stand in a message."""
    return shortened(plain_text(text[: 2 * _LONGEST]), _LONGEST)


def _first(warnings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one_line(warning) for warning in warnings[:1])


@dataclass(config=_CONFIG, frozen=True, slots=True)
class LayersAlike:
    """Layers that are alike."""

    kind: _Name
    layers: _Count
    sliding_window: _Count | None
    backend: _Name


@dataclass(config=_CONFIG, frozen=True, slots=True)
class PodReport:
    """The report of one pod."""

    sliding_window: _Count | None
    backends: Annotated[dict[_Name, _Name], Field(min_length=1, max_length=_MOST["backends"])]
    kinds: Annotated[tuple[LayersAlike, ...], Field(min_length=1, max_length=_MOST["kinds"])]
    ranks_agree: bool
    warnings: Annotated[tuple[str, ...], AfterValidator(_first)] = ()  # the first speaks for all


def _first_of(warnings: Any) -> Any:
    return warnings[:1] if isinstance(warnings, list) else warnings or []


_REPORT: Final = TypeAdapter(PodReport)


def read_report(answer: bytes) -> PodReport:
    """Read a pod's answer.

    Raises
    ------
    NoReportError
        When it is no JSON, or not that of a report.
    """
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise NoReportError(one_line(f"it is no JSON: {error}")) from None
    if not isinstance(told, dict):
        raise NoReportError("it is no JSON object")
    for name, most in _MOST.items():
        if isinstance(told.get(name), list | dict) and len(told[name]) > most:
            raise NoReportError(f"{name}: more than {most} of them")
    try:
        return _REPORT.validate_python(told | {"warnings": _first_of(told.get("warnings"))})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise NoReportError(one_line(f"{where}: {found['msg']}" if where else found["msg"])) from None
