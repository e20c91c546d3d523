"""Placements that were made lately: objects that want the same of the same model on the same GPUs share one."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.planning.facts import ModelFacts
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import Placement, place
from mistral_operator.planning.wishes import Defaults, inputs_digest
from mistral_vllm.profiles import Profile

_MOST: Final = 8  # each keeps its model's files


class _Made(NamedTuple):
    """What a placement was made from, beside what the key tells, and the placement."""

    facts: ModelFacts
    inventory: Inventory
    placement: Placement


class Placements:
    """:func:`place`, with the last few answers remembered; defaults and profiles do not change while a process runs."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, _Made] = OrderedDict()

    def place(
        self,
        facts: ModelFacts,
        spec: MistralDeploymentSpec,
        inventory: Inventory,
        defaults: Defaults,
        profiles: Sequence[Profile],
    ) -> Placement:
        """Plan a model on the GPUs of a cluster.

        Raises
        ------
        Unplannable
            As :func:`place`.
        """
        wanted = f"{facts.id} {facts.revision} {inputs_digest(spec)}"
        made = self._made.get(wanted)
        if made is None or made.facts != facts or made.inventory != inventory:
            made = _Made(facts, inventory, place(facts, spec, inventory, defaults, profiles))
            self._made[wanted] = made
            if len(self._made) > _MOST:
                self._made.popitem(last=False)
        self._made.move_to_end(wanted)
        return made.placement
