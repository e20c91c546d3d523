"""CustomResourceDefinitions: waiting until one is served, and deleting one without a wait of minutes."""

from functools import partial
from typing import Any, Final

from devcluster.cluster import Cluster
from devcluster.waiting import wait_until

_ESTABLISHED_SECONDS: Final = 60.0
_LISTED_SECONDS: Final = 30.0
_DELETED_SECONDS: Final = 120


def until_established(cluster: Cluster, name: str) -> None:
    """Wait until a definition is served, just applied or not; ``kubectl wait`` fails while it has no conditions yet.

    Raises
    ------
    TimeoutError
        When it is not.
    """
    wait_until(f"{name} to be served", partial(_is_established, cluster, name), seconds=_ESTABLISHED_SECONDS)


def until_all_established(cluster: Cluster) -> None:
    """Wait until every definition that there is is served.

    Raises
    ------
    TimeoutError
        When one is not.
    """
    for definition in (cluster.get("crd") or {}).get("items", ()):
        until_established(cluster, definition["metadata"]["name"])


def delete_definition(cluster: Cluster, name: str) -> None:
    """Delete a definition with all its objects, and wait until it is gone; gone already is fine.

    kube-apiserver begins with a list of the objects. If that is the first one ever it is refused, since the cache for
    it has yet to fill (KEP-4568), and the next attempt may come minutes later: so they are listed here before.

    Raises
    ------
    TimeoutError
        When the objects cannot be listed.
    """
    definition = cluster.get("crd", name)
    if definition is None:
        return
    spec = definition["spec"]
    for version in [one["name"] for one in spec["versions"] if one["served"]]:
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        listed = partial(_is_listed_or_gone, cluster, name, path)
        wait_until(f"an answer to GET {path}", listed, seconds=_LISTED_SECONDS)
    patience = f"--timeout={_DELETED_SECONDS}s"
    cluster.kubectl("delete", "crd", name, "--ignore-not-found", patience, timeout_seconds=_DELETED_SECONDS + 10)


def _is_established(cluster: Cluster, name: str) -> bool:
    conditions: list[dict[str, Any]] = (cluster.get("crd", name) or {}).get("status", {}).get("conditions") or []
    return any((found["type"], found["status"]) == ("Established", "True") for found in conditions)


def _is_listed_or_gone(cluster: Cluster, name: str, path: str) -> bool:
    # raw, since kubectl's own lists are cut into pages, which do not come from the cache
    listed = '"items"' in cluster.kubectl("get", "--raw", path, check=False)
    return listed or cluster.get("crd", name) is None
