"""Objects as YAML, as all commands print it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

# texts that kubectl 1.37 reads as a number or a truth, and that PyYAML would write as plain words
_NO_TEXT: Final = re.compile(r"\A([yYnN]|[-+]?(0o[0-7]+|\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?))\Z")
_BEGINNINGS: Final = "yYnN+-.0123456789"


def yaml_text(objects: Sequence[Mapping[str, Any]]) -> str:
    """Return a document for each object; their fields stay in order."""
    import yaml  # noqa: PLC0415 - most plans are read as text

    class Dumper(yaml.SafeDumper):
        """PyYAML's, which quotes those texts too."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NO_TEXT, list(_BEGINNINGS))
    plain = json.loads(json.dumps(objects))  # values that are shared would become YAML aliases
    return str(yaml.dump_all(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120))
