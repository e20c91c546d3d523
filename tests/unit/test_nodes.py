"""The table of GPUs that the watch of nodes keeps: what moves it, and what does not."""

from typing import Any

import pytest

from mistral_operator.controller.nodes import Nodes

H200, L4 = ("NVIDIA-H200", "143771"), ("NVIDIA-L4", "23034")


def node(name: str = "n", gpu: tuple[str, str] | None = H200, count: int = 8, **labels: str) -> dict[str, Any]:
    """Return a node."""
    told = {} if gpu is None else {"nvidia.com/gpu.product": gpu[0], "nvidia.com/gpu.memory": gpu[1]}
    allocatable = {"cpu": "96"} if gpu is None else {"cpu": "96", "nvidia.com/gpu": str(count)}
    return {"metadata": {"name": name, "labels": told | labels}, "status": {"allocatable": allocatable}}


def products(nodes: Nodes) -> list[str]:
    """Return the products in the table."""
    return sorted(str(gpu.product) for gpu in nodes.inventory.classes)


@pytest.mark.parametrize(
    ("first", "then", "changes", "left"),
    [
        pytest.param([], node(), True, ["NVIDIA-H200"], id="the first GPU"),
        pytest.param([node()], node(), False, ["NVIDIA-H200"], id="a heartbeat"),
        pytest.param([node()], node(zone="b"), False, ["NVIDIA-H200"], id="another label"),
        pytest.param([node()], node("another"), False, ["NVIDIA-H200"], id="one more of the same"),
        pytest.param([node()], node("another", None), False, ["NVIDIA-H200"], id="one without GPUs"),
        pytest.param([node()], node("another", L4), True, ["NVIDIA-H200", "NVIDIA-L4"], id="another kind"),
        pytest.param([node()], node(count=4), True, ["NVIDIA-H200"], id="fewer on the largest node"),
        pytest.param([node(), node("another")], node(count=4), False, ["NVIDIA-H200"], id="fewer on one of two"),
        pytest.param([node()], node(count=0), True, [], id="a broken device plugin"),
        pytest.param([node()], node(gpu=None), True, [], id="labels that go"),
    ],
)
def test_what_a_watch_tells(first: list[dict[str, Any]], then: dict[str, Any], changes: bool, left: list[str]) -> None:
    """Everything is planned anew when the table of classes has changed, and never for a heartbeat."""
    nodes = Nodes(readable=True)
    for one in first:
        nodes.watched(one, deleted=False)
    assert nodes.watched(then, deleted=False) is changes
    assert products(nodes) == left


def test_nodes_that_went_unseen_are_not_lost_for_ever() -> None:
    """A node whose deletion no watch told of is in no list, and is forgotten with it."""
    nodes = Nodes(readable=True)
    for name in ("n", "gone"):
        body = node(name)
        body["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
        assert nodes.is_lost_anew(body, deleted=False)
    nodes.listed(node())
    nodes.list_ended({"n"})
    assert nodes.lost == {"n"}


@pytest.mark.parametrize(
    ("first", "gone", "changes"),
    [([node()], "n", True), ([node(), node("another")], "n", False), ([node()], "never seen", False)],
)
def test_nodes_that_go(first: list[dict[str, Any]], gone: str, changes: bool) -> None:
    """The last node of a kind takes its class with it."""
    nodes = Nodes(readable=True)
    for one in first:
        nodes.watched(one, deleted=False)
    assert nodes.watched(node(gone), deleted=True) is changes
    assert products(nodes) == ([] if changes else ["NVIDIA-H200"])


@pytest.mark.parametrize(
    ("listed", "changes", "left"),
    [
        pytest.param([node(), node("another", L4)], False, ["NVIDIA-H200", "NVIDIA-L4"], id="as the watch said"),
        pytest.param([node()], True, ["NVIDIA-H200"], id="one has vanished without a word"),
        pytest.param([], True, [], id="all have"),
        pytest.param(
            [node(gpu=L4), node("another")], False, ["NVIDIA-H200", "NVIDIA-L4"], id="they have changed places"
        ),
    ],
)
def test_what_a_list_shows(listed: list[dict[str, Any]], changes: bool, left: list[str]) -> None:
    """A whole list is the truth: who is not in it is gone."""
    nodes = Nodes(readable=True)
    nodes.watched(node(), deleted=False)
    nodes.watched(node("another", L4), deleted=False)
    for one in listed:
        nodes.listed(one)
    assert nodes.list_ended({one["metadata"]["name"] for one in listed}) is changes
    assert products(nodes) == left


def test_nodes_that_may_not_be_read() -> None:
    """That is told apart from a cluster without GPUs."""
    assert not Nodes(readable=False).inventory.readable
    assert Nodes(readable=True).inventory.readable
    assert Nodes(readable=False).readable is False


def test_lost_nodes() -> None:
    """A kubelet that says nothing any more is news once, and so is one that is heard of again."""

    def told(status: str) -> dict[str, Any]:
        body = node()
        body["status"]["conditions"] = [{"type": "Ready", "status": status}]
        return body

    nodes = Nodes(readable=True)
    assert not nodes.is_lost_anew(node(), deleted=False)
    seen = [("True", False), ("Unknown", True), ("Unknown", False), ("False", True), ("Unknown", True)]
    assert [nodes.is_lost_anew(told(status), deleted=False) for status, _ in seen] == [news for _, news in seen]
    assert nodes.lost == {"n"}
    assert nodes.is_lost_anew(told("Unknown"), deleted=True)
    assert nodes.lost == frozenset()
