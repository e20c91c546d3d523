"""Reading a JSON object of a repository as strictly, and as laxly, as the engine will read it later."""

import json
from typing import Any, Final

from mistral_operator.hub.errors import ConfigTooLargeError, TornConfigError
from mistral_operator.hub.files import ModelFiles

MAX_CONFIG_BYTES: Final = 1 << 20  # the largest config.json known is below 100 kB, and each is kept while it is used
MAX_INDEX_BYTES: Final = 8 << 20  # a longer one is left out, and the headers read

_JSON_NAMES: Final = {
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def read_object(files: ModelFiles, name: str, limit_bytes: int = MAX_CONFIG_BYTES) -> dict[str, Any] | None:
    """Return a file's JSON object, or None if there is no such file.

    ``NaN`` and ``Infinity`` are accepted, a byte order mark is not: both as transformers has it.

    Raises
    ------
    TornConfigError
        When the file is not UTF-8, not JSON, nested too deeply or not an object.
    ConfigTooLargeError
        When the file is larger than the limit.
    HubError
        Whatever reading the file raises.
    """
    if name not in files.sizes:
        return None
    content = files.read(name, limit_bytes + 1)
    if content is None:
        return None
    if len(content) > limit_bytes:
        raise ConfigTooLargeError(files.model, name, limit_bytes)
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise TornConfigError(files.model, name, "it is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, and integers of more than 4300 digits
        raise TornConfigError(files.model, name, _cause(error, content)) from None
    if not isinstance(value, dict):
        raise TornConfigError(files.model, name, f"it holds {_JSON_NAMES[type(value)]}")
    return value


def _cause(error: ValueError, content: bytes) -> str:
    match error:
        case _ if not content:
            return "it is empty"
        case json.JSONDecodeError(msg=msg, lineno=line, colno=column):
            return f"{msg} at line {line}, column {column}"
        case UnicodeDecodeError(start=start):
            return f"byte {start} is not UTF-8"
        case _:
            return "it holds a number of too many digits"
