"""Objects as YAML, as all commands print it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mistral_operator.api.plain_text import encodable

# texts that kubectl 1.37 reads as a number or a truth, and that PyYAML would write as plain words
_NO_TEXT: Final = re.compile(r"\A([yYnN]|[-+]?(0o[0-7]+|\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?))\Z")
# controls that JSON and YAML leave as they are, Unicode's line breaks, and bidirectional or invisible characters
_ACTED_ON: Final = re.compile("[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")
_BEGINNINGS: Final = "yYnN+-.0123456789"


def yaml_text(objects: Sequence[Mapping[str, Any]], *, is_unicode: bool = True) -> str:
    """Return a document for each object; their fields stay in order.

    Parameters
    ----------
    is_unicode
        Whether what it is written to takes more than ASCII; escapes stand for the rest where it does not, and where a
        terminal would act on some of it.
    """
    import yaml  # noqa: PLC0415 - most plans are read as text

    class Dumper(yaml.SafeDumper):
        """PyYAML's, which quotes those texts too."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NO_TEXT, list(_BEGINNINGS))
    text = encodable(json.dumps(objects, ensure_ascii=False))
    plain = json.loads(text)  # values that are shared would become YAML aliases
    shown = _ACTED_ON.search(text) is None and is_unicode
    return str(yaml.dump_all(plain, Dumper=Dumper, sort_keys=False, allow_unicode=shown, width=120))
