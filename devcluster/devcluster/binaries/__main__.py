"""``python -m devcluster.binaries``: build what a control plane needs, where a person can see it."""

import sys

from devcluster.binaries import BINARIES, CONTROL_PLANE, BinariesError, ensure
from devcluster.binaries.progress import Progress


def main() -> int:
    """Return 0 once everything is there."""
    try:
        ensure([BINARIES[name] for name in CONTROL_PLANE], progress=Progress())
    except BinariesError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
