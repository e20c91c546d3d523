"""Namespaces for tests, each with a name of its own.

Not in conftest: pytest loads that once for its fixtures and once more for whoever imports it, and two counters would
give one name twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from cluster.live import Live
from devcluster.controlplane import ControlPlane

_numbers = count(1)


@contextmanager
def new_namespace(plane: ControlPlane) -> Iterator[Live]:
    """Make a namespace, and ask for its deletion at the end."""
    namespace = new_name()
    plane.kubectl("create", "namespace", namespace)
    yield Live(plane, namespace)
    plane.kubectl("delete", "namespace", namespace, "--wait=false")


def new_name() -> str:
    """Return a name that no other test of this session has."""
    return f"test-{next(_numbers)}"
