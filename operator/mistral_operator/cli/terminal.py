r"""What the command prints for a person: nothing of it acts on a terminal, and no terminal makes it fail.

Models' files, objects of a cluster and answers of a hub are others' words. What a terminal would act on is shown as an
escape instead, such as ``\x1b``; JSON and YAML have escapes of their own.
"""

import json
import re
import sys
from typing import Any, Final

import typer

from mistral_operator.api.plain_text import encodable, without_secrets

_DELETE: Final = re.compile("\x7f")  # the one control character that JSON leaves as it is


def visible(text: str) -> str:
    r"""Return a text in which every character can be seen: ESC is ``\x1b``, a line break ``\n``."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def tell(line: str) -> None:
    """Print one line for a person to standard error, without secrets that somebody else's words may hold."""
    typer.echo(visible(without_secrets(line)), err=True)


def takes_unicode() -> bool:
    """Tell whether standard output takes more than ASCII as it is."""
    return (sys.stdout.encoding or "").lower().startswith("utf")


def json_text(value: Any) -> str:
    """Return a value as JSON in ASCII that every parser reads: lone surrogates are U+FFFD."""
    readable = json.loads(encodable(json.dumps(value, ensure_ascii=False)))
    return _DELETE.sub(r"\\u007f", json.dumps(readable, indent=2))


def bear_any_text() -> None:
    """Let standard output and standard error show as an escape what their encoding lacks, such as in Latin-1."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent where a program has put its own stream there
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
