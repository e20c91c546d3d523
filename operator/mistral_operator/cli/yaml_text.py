"""Objects as YAML, as all commands print it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def yaml_text(objects: Sequence[Mapping[str, Any]]) -> str:
    """Return a document for each object; their fields stay in order."""
    import yaml  # noqa: PLC0415 - most plans are read as text

    plain = json.loads(json.dumps(objects))  # values that are shared would become YAML aliases
    return yaml.safe_dump_all(plain, sort_keys=False, allow_unicode=True, width=120)
