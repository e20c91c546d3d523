"""What a hub says about a model at one revision: which commit that is, and which files it has."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_operator.hub.bounded_http import Answer, HttpFailed, HttpUnexpected
from mistral_operator.hub.errors import ConfigTooLargeError
from mistral_operator.hub.json_stream import Bounds, JsonCutShort, JsonInvalid, JsonStream, JsonTooLarge, is_count

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
MAX_LISTING_BYTES: Final = 2 << 20
"""How long a listing may be: some 9,000 weight files; a model has dozens of files, rarely thousands."""
_MAX_FILES: Final = 10_000  # at the root
_LONGEST_NAME: Final = 255  # of a file, in characters: no file system has longer ones
_READ: Final = frozenset({"sha", "gated", "safetensors"})
_BOUNDS: Final = Bounds(value_bytes=16 << 10, containers=100_000)


@dataclass(frozen=True, slots=True)
class Listing:
    """A model at one revision, as its hub describes it.

    Attributes
    ----------
    sizes
        Of the files at the repository's root, in bytes.
    declared_elements
        Stored elements by safetensors' name of their dtype; empty where the hub does not count them.
    """

    commit: str
    gated: bool
    sizes: Mapping[str, int]
    declared_elements: Mapping[str, int]


def read_listing(answer: Answer, model: str) -> Listing:
    """Read a hub's answer.

    Raises
    ------
    ConfigTooLargeError
        When it is longer than any model's.
    HttpFailed
        When it was cut short on its way.
    HttpUnexpected
        When it is none.
    """
    said: dict[str, Any] = {}
    try:
        content = JsonStream(_limited(answer.chunks, model), _BOUNDS)
        for name, value in content.members(_READ.__contains__, in_pieces=("siblings",)):
            said[name] = _sizes(value, model) if name == "siblings" else value
        return Listing(
            _commit(said["sha"]), bool(said.get("gated")), said["siblings"], _elements(said.get("safetensors"))
        )
    except JsonTooLarge as error:
        raise HttpUnexpected(f"reading its list of files, {error}") from error
    except JsonCutShort as error:
        if answer.delimited:
            raise HttpUnexpected("its description of the model ends too early") from error
        raise HttpFailed("its description of the model ended too early") from error
    except (JsonInvalid, LookupError, TypeError) as error:
        raise HttpUnexpected("its description of the model is not the JSON expected") from error


def _limited(chunks: Iterable[bytes], model: str) -> Iterator[bytes]:
    left = MAX_LISTING_BYTES
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ConfigTooLargeError(model, "the list of files", f"{MAX_LISTING_BYTES >> 20} MiB")
        yield chunk


def _commit(sha: object) -> str:
    if not isinstance(sha, str) or not COMMIT.fullmatch(sha):
        raise TypeError("sha is no commit")
    return sha


def _sizes(siblings: Iterable[Any], model: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for file in siblings:
        name, size = file["rfilename"], file["size"]
        if not isinstance(name, str) or not is_count(size):
            raise TypeError("a file has no name or no size")
        if "/" not in name and len(name) <= _LONGEST_NAME:
            sizes[name] = size
        if len(sizes) > _MAX_FILES:
            raise ConfigTooLargeError(model, "the list of files", f"{_MAX_FILES:,} names")
    return sizes


def _elements(safetensors: object) -> dict[str, int]:
    """Return what is said about the safetensors files; nothing where it is no count for each dtype."""
    parameters = safetensors.get("parameters") if isinstance(safetensors, dict) else None
    if not isinstance(parameters, dict) or not all(is_count(count) for count in parameters.values()):
        return {}
    return parameters
