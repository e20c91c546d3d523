"""What a pod answers to ``GET /v1/attention``, as far as a plan can be held against it; docs/pod-report.md has it all.

It comes out of a container that a user chose: lengths are bounded, since some of it stands in the status.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from mistral_operator.api.plain_text import plain_text
from mistral_operator.api.shortening import shortened

_LONGEST: Final = 200  # characters
_CONFIG: Final = ConfigDict(alias_generator=to_camel, extra="ignore")

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
_Tokens = Annotated[int, Field(ge=1)]


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
    layers: Annotated[int, Field(ge=1)]
    sliding_window: _Tokens | None
    backend: _Name


@dataclass(config=_CONFIG, frozen=True, slots=True)
class PodReport:
    """The report of one pod."""

    sliding_window: _Tokens | None
    backends: Annotated[dict[_Name, _Name], Field(min_length=1, max_length=8)]
    kinds: Annotated[tuple[LayersAlike, ...], Field(min_length=1, max_length=64)]
    ranks_agree: bool
    warnings: Annotated[tuple[str, ...], AfterValidator(_first)] = ()  # the first speaks for all


_REPORT: Final = TypeAdapter(PodReport)


def read_report(answer: bytes) -> PodReport:
    """Read a pod's answer.

    Raises
    ------
    NoReportError
        When it is no JSON, or not that of a report.
    """
    try:
        return _REPORT.validate_json(answer)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise NoReportError(one_line(f"{where}: {found['msg']}" if where else found["msg"])) from None
