"""``python -m devcluster.kubernetes_schemas FILE TYPE…``: keep Kubernetes' own schemas of some types in a file.

They are those of ``/openapi/v3`` of the API server that demo and tests run, with everything they refer to.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane

_GROUPS = ("api/v1", "apis/apps/v1")  # every type of a pod is in them


def published_schemas(plane: ControlPlane, types: Iterable[str]) -> dict[str, Any]:
    """Return the schemas of types and of all that they refer to, by name.

    Raises
    ------
    KeyError
        When the API server has no such type.
    """
    published: dict[str, Any] = {}
    for group in _GROUPS:
        published |= json.loads(plane.kubectl("get", "--raw", f"/openapi/v3/{group}"))["components"]["schemas"]
    found: dict[str, Any] = {}
    wanted = [*types]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = published[name]
            wanted += _references(published[name])
    return dict(sorted(found.items()))


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rpartition("/")[2]] if isinstance(schema.get("$ref"), str) else []
    return own + [name for value in schema.values() for name in _references(value)]


def main() -> None:
    """Write the file."""
    target, *types = sys.argv[1:]
    with ControlPlane(Progress(), controllers=False) as plane:
        Path(target).write_text(json.dumps(published_schemas(plane, types), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
