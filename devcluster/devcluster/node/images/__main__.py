"""``python -m devcluster.node.images``: build the images where a person can see it."""

import sys

from devcluster.binaries.progress import Progress
from devcluster.node import NodeUnavailable
from devcluster.node.images import IMAGES, ImagesError, ensure_images


def main() -> int:
    """Return 0 once every archive is there, and print where."""
    try:
        archives = ensure_images(IMAGES, progress=Progress())
    except (ImagesError, NodeUnavailable) as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    for image, archive in archives.items():
        print(f"{image.tag} {archive}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
