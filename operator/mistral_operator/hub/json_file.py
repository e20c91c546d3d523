"""Reading a JSON object of a repository as strictly, and as laxly, as the engine will read it later."""

import json
import re
from typing import Any, Final

from mistral_operator.hub.errors import ConfigTooLargeError, TornConfigError
from mistral_operator.hub.files import ModelFiles
from mistral_operator.hub.json_stream import Bounds, JsonInvalid, JsonStream, JsonTooLarge, decode

MAX_CONFIG_BYTES: Final = 256 << 10  # the largest config.json known is below 100 kB
MAX_CONFIG_VALUES: Final = 10_000  # that many objects and lists take 2 MiB of memory
MAX_INDEX_BYTES: Final = 8 << 20  # a longer one is left out, and the headers read

_STRING: Final = re.compile(rb'(?s)"(?:[^"\\]++|\\.)*+"')
_JSON_NAMES: Final = {
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def read_object(files: ModelFiles, name: str) -> dict[str, Any] | None:
    """Return a file's JSON object, or None if there is no such file.

    ``NaN`` and ``Infinity`` are accepted, a byte order mark is not: both as transformers has it.

    Raises
    ------
    TornConfigError
        When the file is not UTF-8, not JSON, nested too deeply or not an object.
    ConfigTooLargeError
        When the file is larger than any config, in bytes or in values.
    HubError
        Whatever reading the file raises.
    """
    if name not in files.sizes:
        return None
    content = files.read(name, MAX_CONFIG_BYTES + 1)
    if content is None:
        return None
    damage = _damage(content)
    if isinstance(damage, JsonTooLarge):
        raise TornConfigError(files.model, name, str(damage))
    if len(content) > MAX_CONFIG_BYTES:
        raise ConfigTooLargeError(files.model, name, f"{MAX_CONFIG_BYTES >> 10} KiB")
    if _count_values(content) > MAX_CONFIG_VALUES:
        raise ConfigTooLargeError(files.model, name, f"{MAX_CONFIG_VALUES:,} values")
    try:
        value = decode(content)
    except ValueError as error:
        raise TornConfigError(files.model, name, _cause(error, content)) from None
    if damage is not None:  # decode is stricter than that, so that it has found the same
        raise TornConfigError(files.model, name, str(damage))
    if not isinstance(value, dict):
        raise TornConfigError(files.model, name, f"it holds {_JSON_NAMES[type(value)]}")
    return value


def _count_values(content: bytes) -> int:
    """Count the values that a text can become at most, without making any."""
    bare = _STRING.sub(b"", content)
    return 1 + sum(bare.count(sign) for sign in (b",", b"[", b"{"))


def _damage(content: bytes) -> JsonInvalid | None:
    """Return what a look at the brackets alone finds: the depth is known before anything recurses."""
    text = JsonStream([content], Bounds(value_bytes=MAX_CONFIG_BYTES, containers=len(content)))
    try:
        text.skip()
        text.end()
    except JsonInvalid as damage:
        return damage
    return None


def _cause(error: ValueError, content: bytes) -> str:
    match error:
        case JsonInvalid():
            return str(error)
        case _ if not content:
            return "it is empty"
        case json.JSONDecodeError(msg=msg, lineno=line, colno=column):
            return f"{msg} at line {line}, column {column}"
        case UnicodeDecodeError(start=start):
            return f"byte {start} is not UTF-8"
        case _:
            return "it cannot be decoded"
