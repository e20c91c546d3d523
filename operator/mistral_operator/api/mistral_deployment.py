"""One MistralDeployment as the API server holds it, read into types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mistral_operator.api import names
from mistral_operator.api.conditions import ConditionType
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import MistralDeploymentStatus

_SENTENCES: Final = {
    "extra_forbidden": "there is no such field",
    "missing": "is required",
    "model_type": "must be an object",
    "dict_type": "must be an object",
}
"""By pydantic's type of error; for others its own sentence will do."""


class SpecInvalidError(Exception):
    """A spec that cannot be understood; ``str()`` names each field and what is wrong with it."""


class StatusInvalidError(Exception):
    """A status that cannot be understood; ``str()`` names each field and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class MistralDeployment:
    """One object."""

    name: str
    namespace: str
    uid: str
    generation: int
    paused: bool
    replan: str | None
    spec: MistralDeploymentSpec


def read_object(body: Mapping[str, Any]) -> MistralDeployment:
    """Read an object.

    Raises
    ------
    SpecInvalidError
        When a field has no meaning here; the CustomResourceDefinition of another release may let it pass.
    """
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return MistralDeployment(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        paused=annotations.get(names.PAUSED_ANNOTATION, "false") != "false",
        replan=annotations.get(names.REPLAN_ANNOTATION),
        spec=read_spec(body.get("spec")),
    )


def read_spec(spec: Any, *, strict: bool = False) -> MistralDeploymentSpec:
    """Read a spec; ``strict`` refuses fields that do not exist.

    Raises
    ------
    SpecInvalidError
        Naming each field and what is wrong with it.
    """
    try:
        return MistralDeploymentSpec.model_validate(spec, extra="forbid" if strict else None)
    except ValidationError as error:
        raise SpecInvalidError(_told("spec", error)) from None


def read_status(status: Any) -> MistralDeploymentStatus:
    """Read a status, and only what is the operator's in it: conditions of other controllers are theirs.

    Raises
    ------
    StatusInvalidError
        When another release of the operator wrote what this one does not understand.
    """
    try:
        read = MistralDeploymentStatus.model_validate(status or {})
    except ValidationError as error:
        raise StatusInvalidError(_told("status", error)) from None
    ours = [condition for condition in read.conditions if condition.type in frozenset(ConditionType)]
    return read.model_copy(update={"conditions": ours})


def write_status(status: MistralDeploymentStatus) -> dict[str, Any]:
    """Return a status as the API server keeps it; what is not known and lists of nothing are left out."""

    def present(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: present(of) for name, of in value.items() if of is not None and of != []}
        return [present(item) for item in value] if isinstance(value, list) else value

    written: dict[str, Any] = present(status.model_dump(mode="json", by_alias=True))
    return written


def _told(root: str, error: ValidationError) -> str:
    found = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(str(part) for part in (root, *one['loc']))}: {_sentence(one)}" for one in found)


def _sentence(found: ErrorDetails) -> str:
    return _SENTENCES.get(found["type"], found["msg"])
