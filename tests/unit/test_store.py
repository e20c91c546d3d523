"""What the watches and the lists say of the cluster, and which of the two is believed when they differ."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from mistral_operator.cluster.resources import DEPLOYMENTS, MISTRAL_DEPLOYMENTS, PODS, PVCS, SERVICES, Resource
from mistral_operator.controller.keys import Key
from mistral_operator.controller.store import Store, version_of

KEY = Key("ns", "m")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Kept(NamedTuple):
    """A store and its clock."""

    store: Store
    clock: Clock


@pytest.fixture
def kept() -> Kept:
    """Return an empty store."""
    clock = Clock()
    return Kept(Store(clock), clock)


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


def test_what_a_watch_tells(kept: Kept) -> None:
    """The newest word counts, and what is deleted is gone."""
    store = kept.store
    store.watched(DEPLOYMENTS, body(1), deleted=False)
    store.watched(DEPLOYMENTS, body(2), deleted=False)
    found = store.get(DEPLOYMENTS, KEY)
    assert found is not None
    assert version_of(found) == 2
    assert list(store.keys(DEPLOYMENTS)) == [KEY]
    store.watched(DEPLOYMENTS, body(3), deleted=True)
    assert store.get(DEPLOYMENTS, KEY) is None
    assert list(store.keys(DEPLOYMENTS)) == []


def test_kinds_do_not_mix(kept: Kept) -> None:
    """All children of an object bear its name."""
    kept.store.watched(SERVICES, body(1), deleted=False)
    kept.store.watched(DEPLOYMENTS, body(2), deleted=False)
    kept.store.watched(SERVICES, body(3), deleted=True)
    assert kept.store.get(DEPLOYMENTS, KEY) is not None


@pytest.mark.parametrize(
    ("seen", "listed", "news"),
    [
        pytest.param(None, 5, True, id="never seen"),
        pytest.param(4, 5, True, id="seen when it was older"),
        pytest.param(5, 5, False, id="seen as it is"),
        pytest.param(6, 5, False, id="the watch is ahead of the list"),
        pytest.param(9, 10, True, id="versions are numbers, not texts"),
    ],
)
def test_what_a_list_shows(kept: Kept, seen: int | None, listed: int, news: bool) -> None:
    """Only what the watch has not told becomes work; the newest is kept."""
    if seen is not None:
        kept.store.watched(DEPLOYMENTS, body(seen), deleted=False)
    assert kept.store.listed(DEPLOYMENTS, body(listed)) is news
    found = kept.store.get(DEPLOYMENTS, KEY)
    assert found is not None
    assert version_of(found) == max(seen or 0, listed)


def test_a_list_raises_no_dead(kept: Kept) -> None:
    """What was deleted while the list was under way stays deleted; what was made since is new."""
    store = kept.store
    store.watched(PODS, pod("p", version=3), deleted=False)
    store.watched(PODS, pod("p", version=7), deleted=True)
    assert not store.listed(PODS, pod("p", version=3))
    assert not store.listed(PODS, pod("p", version=7))
    assert store.get(PODS, Key("ns", "p")) is None
    kept.clock.now += 1000
    assert store.longest_deaf_seconds() == 0
    assert store.listed(PODS, pod("p", version=8))


def test_the_dead_are_forgotten(kept: Kept) -> None:
    """A cluster in which pods come and go all day does not fill the memory."""
    for number in range(2000):
        kept.store.watched(PODS, pod(f"p{number}", f"i{number}", 2 * number + 1), deleted=False)
        kept.store.watched(PODS, pod(f"p{number}", f"i{number}", 2 * number + 2), deleted=True)
        kept.clock.now += 10
    assert sum(len(value) for value in vars(kept.store).values() if isinstance(value, dict)) < 60
    assert kept.store.pods_of(Key("ns", "i5")) == ()


class Step(NamedTuple):
    """Something that happens after a while."""

    seconds: float
    happens: Callable[[Store], object]


@pytest.mark.parametrize(
    ("steps", "deaf"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([Step(0, lambda store: store.listed(PODS, pod("p", version=5)))], 100, id="listed, never told"),
        pytest.param(
            [
                Step(0, lambda store: store.listed(PODS, pod("p", version=5))),
                Step(50, lambda store: store.watched(PODS, pod("p", version=5), deleted=False)),
            ],
            0,
            id="told late",
        ),
        pytest.param(
            [
                Step(0, lambda store: store.listed(PODS, pod("p", version=5))),
                Step(50, lambda store: store.watched(PODS, pod("p", version=4), deleted=False)),
            ],
            150,
            id="told of something older",
        ),
        pytest.param(
            [
                Step(0, lambda store: store.listed(PODS, pod("p", version=5))),
                Step(50, lambda store: store.watched(PODS, pod("p", version=9), deleted=True)),
            ],
            0,
            id="told that it is gone",
        ),
        pytest.param(
            [
                Step(0, lambda store: store.listed(PODS, pod("p", version=5))),
                Step(50, lambda store: store.vanished(PODS, Key("ns", "p"))),
            ],
            0,
            id="gone by itself",
        ),
        pytest.param(
            [
                Step(0, lambda store: store.listed(PODS, pod("p", version=5))),
                Step(50, lambda store: store.listed(PODS, pod("p", version=8))),
                Step(20, lambda store: store.listed(PODS, pod("q", version=9))),
            ],
            170,
            id="the oldest counts",
        ),
        pytest.param(
            [
                Step(0, lambda store: store.listed(PODS, pod("p", version=5))),
                Step(400, lambda store: store.be_patient()),
            ],
            100,
            id="the API server was away meanwhile",
        ),
    ],
)
def test_how_long_watches_have_been_deaf(kept: Kept, steps: list[Step], deaf: float) -> None:
    """Counted from the list that showed a change until the watch tells it, a hundred seconds after the last step."""
    for step in steps:
        kept.clock.now += step.seconds
        step.happens(kept.store)
    kept.clock.now += 100
    assert kept.store.longest_deaf_seconds() == deaf


def test_pods_by_their_owner(kept: Kept) -> None:
    """Pods are found by their instance label, in their own namespace."""
    store = kept.store
    store.watched(PODS, pod("m-1"), deleted=False)
    store.watched(PODS, pod("m-2"), deleted=False)
    store.watched(PODS, pod("o-1", "other"), deleted=False)
    store.watched(PODS, pod("stray", None), deleted=False)
    assert names(store) == ["m-1", "m-2"]
    assert names(store, Key("elsewhere", "m")) == []
    store.watched(PODS, pod("m-1", version=2), deleted=True)
    assert names(store) == ["m-2"]


@pytest.mark.parametrize("how", ["watched", "listed"])
def test_a_pod_whose_label_changes(kept: Kept, how: str) -> None:
    """Who takes a pod out of service by its label does not want it counted: it is nobody's, or another's, at once."""
    store = kept.store
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
def test_what_is_kept(kept: Kept, resource: Resource, found: dict[str, Any], kept_fields: set[str]) -> None:
    """A thousand objects fit into memory: managed fields and pod templates, the bulk of them, are dropped."""
    found["metadata"]["managedFields"] = [{"manager": "x" * 1000}]
    kept.store.watched(resource, found, deleted=False)
    seen = kept.store.get(resource, KEY)
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
