"""A node of these tests' own, and an image for its pods: one static program of Debian's.

One node at a time runs on a machine. These tests come before the others, by the name of their folder, and their node
is gone by then.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from devcluster.binaries.progress import Progress
from devcluster.node import Node
from devcluster.node.archives import write_image
from devcluster.node.packages import ensure_packages

IMAGE: Final = "localhost/busybox:1"
_BUSYBOX: Final = Path("/bin/busybox")
_PACKAGES: Final = {"/var/lib/dpkg/info/busybox-static.list": "busybox-static"}  # the other one is not static
_COMMANDS: Final = ("busybox", "httpd", "id", "sh", "sleep", "tail", "wget")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image's archive."""
    ensure_packages(_PACKAGES, Progress())
    archive = tmp_path_factory.mktemp("image") / "busybox.tar"
    write_image(archive, IMAGE, {f"/bin/{name}": _BUSYBOX for name in _COMMANDS}, ("/bin/busybox",))
    return archive


@pytest.fixture(scope="module")
def own_node(archive: Path) -> Iterator[Node]:
    """Return a node with that image."""
    with Node(Progress()) as node:
        node.load_image(archive)
        yield node


def pod(name: str, *command: str, **container: Any) -> dict[str, Any]:
    """Return a pod that runs one command and is not restarted."""
    containers = [{"name": "main", "image": IMAGE, "command": [*command], **container}]
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
