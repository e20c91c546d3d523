"""The cluster's GPUs, kept from what the watch of nodes tells."""

from collections.abc import Mapping

from mistral_operator.controller.store import Body
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.inventory import UNREADABLE, Inventory, gpus_of_node, inventory_of


class Nodes:
    """All nodes' GPUs; ``readable`` is False where nodes may not be read."""

    def __init__(self, *, readable: bool) -> None:
        self._readable = readable
        self._gpus: dict[str, frozenset[GpuClass]] = {}
        self.inventory = inventory_of(()) if readable else UNREADABLE

    def watched(self, node: Body, *, deleted: bool) -> bool:
        """Take what the watch tells; say whether the table of classes has changed."""
        name = str(node["metadata"]["name"])
        before = self._gpus.pop(name, None)
        if not deleted:
            self._gpus[name] = gpus_of_node(node)
        # nodes tell of themselves every few seconds, and seldom of other GPUs
        return self._gpus.get(name) != before and self._recount()

    def listed(self, gpus: Mapping[str, frozenset[GpuClass]]) -> bool:
        """Take a whole list, read node by node; say whether the table of classes has changed."""
        self._gpus = dict(gpus)
        return self._recount()

    def _recount(self) -> bool:
        before: Inventory = self.inventory
        self.inventory = inventory_of(self._gpus.values())
        return self.inventory != before

    @property
    def readable(self) -> bool:
        """Whether nodes may be read at all."""
        return self._readable
