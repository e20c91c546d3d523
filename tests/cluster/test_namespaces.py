"""Namespaces come and go."""

from cluster.live import Live, condition_of
from devcluster.operator import Operator


def test_a_namespace_that_is_being_deleted_empties(live: Live, operator: Operator) -> None:
    """Children are not brought back into it, so that it can go; the operator goes on elsewhere."""
    for name in ("a", "b", "c"):
        live.mdep(name)
    for name in ("a", "b", "c"):
        live.until_ready(name)
    live.plane.kubectl("delete", "namespace", live.namespace, "--wait=false")

    def is_gone() -> bool:
        said = live.plane.kubectl("get", "namespace", live.namespace, "--ignore-not-found", "-o", "name")
        return not said.strip()

    live.until("the namespace to be gone", is_gone)
    assert operator.running
    live.plane.kubectl("create", "namespace", live.namespace)
    live.mdep("a")
    body = live.until_ready("a")
    assert condition_of(body, "Ready")["reason"] == "Serving"
