"""What the watches and the lists show of the cluster."""

from collections.abc import Callable
from typing import Any

import pytest

from mistral_operator.cluster.resources import DEPLOYMENTS, MISTRAL_DEPLOYMENTS, PODS, PVCS, SERVICES, Resource
from mistral_operator.controller.keys import Key
from mistral_operator.controller.store import Store, version_of

KEY = Key("ns", "m")


@pytest.fixture
def store() -> Store:
    """Return an empty store."""
    return Store()


def body(version: int = 1, name: str = "m", **more: Any) -> dict[str, Any]:
    """Return an object as the API server tells it."""
    metadata = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata | more.pop("metadata", {}), "spec": {"replicas": 1}, "status": {}} | more


def pod(name: str, instance: str | None = "m", version: int = 1) -> dict[str, Any]:
    """Return a pod of an instance."""
    labels = {} if instance is None else {"app.kubernetes.io/instance": instance}
    return body(version, name, metadata={"labels": labels}, spec={"nodeName": "n", "containers": [{}]})


def names(store: Store, owner: Key = KEY) -> list[str]:
    """Return the names of an instance's pods."""
    return sorted(str(found["metadata"]["name"]) for found in store.pods_of(owner))


def test_what_a_watch_tells(store: Store) -> None:
    """The newest word counts, and what is deleted is gone."""
    store.watched(DEPLOYMENTS, body(1), deleted=False)
    store.watched(DEPLOYMENTS, body(2), deleted=False)
    found = store.get(DEPLOYMENTS, KEY)
    assert found is not None
    assert version_of(found) == 2
    assert list(store.keys(DEPLOYMENTS)) == [KEY]
    store.watched(DEPLOYMENTS, body(3), deleted=True)
    assert store.get(DEPLOYMENTS, KEY) is None
    assert list(store.keys(DEPLOYMENTS)) == []


def test_kinds_do_not_mix(store: Store) -> None:
    """All children of an object bear its name."""
    store.watched(SERVICES, body(1), deleted=False)
    store.watched(DEPLOYMENTS, body(2), deleted=False)
    store.watched(SERVICES, body(3), deleted=True)
    assert store.get(DEPLOYMENTS, KEY) is not None


@pytest.mark.parametrize(
    ("seen", "listed", "news"),
    [
        pytest.param(None, 5, True, id="never seen"),
        pytest.param(4, 5, True, id="seen when it was older"),
        pytest.param(5, 5, False, id="seen as it is"),
        pytest.param(6, 5, True, id="history was restored from a backup"),
    ],
)
def test_what_a_list_shows(store: Store, seen: int | None, listed: int, news: bool) -> None:
    """Only what differs from what was known becomes work; the list is right."""
    if seen is not None:
        store.watched(DEPLOYMENTS, body(seen), deleted=False)
    assert store.listed(DEPLOYMENTS, body(listed)) is news
    found = store.get(DEPLOYMENTS, KEY)
    assert found is not None
    assert version_of(found) == listed


def test_the_dead_are_forgotten(store: Store) -> None:
    """A cluster in which pods come and go all day does not fill the memory."""
    for number in range(2000):
        store.watched(PODS, pod(f"p{number}", f"i{number}", 2 * number + 1), deleted=False)
        store.watched(PODS, pod(f"p{number}", f"i{number}", 2 * number + 2), deleted=True)
    assert list(store.keys(PODS)) == []
    assert sum(len(value) for value in vars(store).values() if isinstance(value, dict)) < 60
    assert store.pods_of(Key("ns", "i5")) == ()


def test_pods_by_their_owner(store: Store) -> None:
    """Pods are found by their instance label, in their own namespace."""
    store.watched(PODS, pod("m-1"), deleted=False)
    store.watched(PODS, pod("m-2"), deleted=False)
    store.watched(PODS, pod("o-1", "other"), deleted=False)
    store.watched(PODS, pod("stray", None), deleted=False)
    assert names(store) == ["m-1", "m-2"]
    assert names(store, Key("elsewhere", "m")) == []
    store.watched(PODS, pod("m-1", version=2), deleted=True)
    assert names(store) == ["m-2"]


@pytest.mark.parametrize("how", ["watched", "listed"])
def test_a_pod_whose_label_changes(store: Store, how: str) -> None:
    """Who takes a pod out of service by its label does not want it counted: it is nobody's, or another's, at once."""
    store.watched(PODS, pod("m-1"), deleted=False)
    if how == "watched":
        store.watched(PODS, pod("m-1", "other", version=2), deleted=False)
    else:
        store.listed(PODS, pod("m-1", "other", version=2))
    assert names(store) == []
    assert names(store, Key("ns", "other")) == ["m-1"]


@pytest.mark.parametrize(
    ("resource", "found", "kept_fields"),
    [
        pytest.param(
            MISTRAL_DEPLOYMENTS, body(status={"phase": "Ready"}), {"metadata"}, id="the object itself is read live"
        ),
        pytest.param(SERVICES, body(), {"metadata", "status"}, id="a Service"),
        pytest.param(PVCS, body(), {"metadata", "status"}, id="a claim"),
        pytest.param(DEPLOYMENTS, body(), {"metadata", "spec", "status"}, id="a Deployment"),
        pytest.param(PODS, pod("m"), {"metadata", "spec", "status"}, id="a pod"),
    ],
)
def test_what_is_kept(store: Store, resource: Resource, found: dict[str, Any], kept_fields: set[str]) -> None:
    """A thousand objects fit into memory: managed fields and pod templates, the bulk of them, are dropped."""
    found["metadata"]["managedFields"] = [{"manager": "x" * 1000}]
    store.watched(resource, found, deleted=False)
    seen = store.get(resource, KEY)
    assert seen is not None
    assert seen.keys() == kept_fields
    assert "managedFields" not in seen["metadata"]
    assert len(str(seen)) < 400


@pytest.mark.parametrize(
    ("metadata", "version"),
    [({"resourceVersion": "12"}, 12), ({"resourceVersion": ""}, 0), ({"resourceVersion": "x"}, 0), ({}, 0)],
)
def test_versions(metadata: dict[str, str], version: int) -> None:
    """A number, as Kubernetes says since 1.35; anything else is older than everything."""
    assert version_of({"metadata": metadata}) == version


CONDITION = {"conditions": [{"type": "Ready"}]}


def test_what_nobody_has_handled_is_kept_whole_until_it_is_taken(store: Store) -> None:
    """The API server fills in defaults of a status at once; a condition is what somebody has written."""
    shown = body(3, status={"replicas": 0}, spec={"model": {"id": "a/b"}})
    shown["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    store.watched(MISTRAL_DEPLOYMENTS, shown, deleted=False)
    kept = store.take_new(KEY)
    assert kept is not None
    assert (kept["spec"], kept["status"]) == (shown["spec"], shown["status"])
    assert "managedFields" not in kept["metadata"]
    assert store.take_new(KEY) is None


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(lambda store: store.watched(MISTRAL_DEPLOYMENTS, body(4), deleted=True), id="gone"),
        pytest.param(
            lambda store: store.watched(MISTRAL_DEPLOYMENTS, body(4, status=CONDITION), deleted=False), id="handled"
        ),
        pytest.param(lambda store: store.forget_new(), id="forgotten"),
    ],
)
def test_what_is_not_new_any_more(store: Store, then: Callable[[Store], None]) -> None:
    """It is not kept."""
    store.watched(MISTRAL_DEPLOYMENTS, body(3), deleted=False)
    then(store)
    assert store.take_new(KEY) is None


def test_new_objects_do_not_fill_the_memory(store: Store) -> None:
    """A hundred of a megabyte are not kept, and there is room again when some are taken."""
    for name in map(str, range(100)):
        store.watched(MISTRAL_DEPLOYMENTS, body(3, name, spec={"x": "y" * 2**20}), deleted=False)
    taken = [name for name in map(str, range(100)) if store.take_new(Key("ns", name)) is not None]
    assert 5 <= len(taken) <= 8
    store.watched(MISTRAL_DEPLOYMENTS, body(3), deleted=False)
    assert store.take_new(KEY) is not None
