"""Kubernetes' own binaries, built once from pinned Go modules and kept outside the tree.

There is no image and no download to trust: Go's checksum database vouches for the sources, and the same go.mod files
build on Linux and macOS, on amd64 and arm64.
"""

from devcluster.binaries.catalogue import (
    API_SERVER,
    BINARIES,
    CONTROL_PLANE,
    CONTROLLERS,
    KUBERNETES_VERSION,
    NODE,
)
from devcluster.binaries.store import BinariesError, ensure

__all__ = [
    "API_SERVER",
    "BINARIES",
    "CONTROLLERS",
    "CONTROL_PLANE",
    "KUBERNETES_VERSION",
    "NODE",
    "BinariesError",
    "ensure",
]
