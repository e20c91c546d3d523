"""The cluster's GPUs, kept from what the watch of nodes tells."""

from collections.abc import Collection

from mistral_operator.controller.store import Body
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import UNREADABLE, Inventory, gpus_of_node, inventory_of
from mistral_operator.status.observed import condition_of


class Nodes:
    """All nodes' GPUs; ``readable`` is False where nodes may not be read."""

    def __init__(self, *, readable: bool) -> None:
        self._readable = readable
        self._gpus: dict[str, frozenset[GpuClass]] = {}
        self.inventory = inventory_of(()) if readable else UNREADABLE
        self.lost: frozenset[str] = frozenset()  # names of nodes whose kubelet says nothing any more

    def watched(self, node: Body, *, deleted: bool) -> bool:
        """Take what the watch tells; say whether the table of classes has changed."""
        name = str(node["metadata"]["name"])
        before = self._gpus.pop(name, None)
        if not deleted:
            self._gpus[name] = gpus_of_node(node)
        # nodes tell of themselves every few seconds, and seldom of other GPUs
        return self._gpus.get(name) != before and self._recount()

    def listed(self, node: Body) -> None:
        """Take one node of a list; its GPUs count once the list has ended."""
        self._gpus[str(node["metadata"]["name"])] = gpus_of_node(node)

    def list_ended(self, names: Collection[str]) -> bool:
        """Take the names on a whole list; say whether the table of classes has changed."""
        self._gpus = {name: found for name, found in self._gpus.items() if name in names}
        self.lost &= frozenset(self._gpus)  # of a node that went while nobody watched, no event tells any more
        return self._recount()

    def is_lost_anew(self, node: Body, *, deleted: bool) -> bool:
        """Take whether a node is heard of; say whether that has changed."""
        name, before = str(node["metadata"]["name"]), self.lost
        self.lost = before - {name} if deleted or not _is_silent(node) else before | {name}
        return self.lost != before

    def _recount(self) -> bool:
        before: Inventory = self.inventory
        self.inventory = inventory_of(self._gpus.values())
        return self.inventory != before

    @property
    def readable(self) -> bool:
        """Whether nodes may be read at all."""
        return self._readable


def _is_silent(node: Body) -> bool:
    """Tell whether a node was ready once and its kubelet says nothing any more: the node controller writes Unknown."""
    return condition_of(node, "Ready").get("status") == "Unknown"
