"""The metrics of every object, made when they are asked for: a Gauge for each would be 5 KiB an object."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mistral_operator.api.conditions import ConditionStatus
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.controller.keys import Key
from mistral_operator.controller.measures import BACKEND, CONDITION, REPLICAS_DESIRED, REPLICAS_READY, Measure

_VALUES: Final = {ConditionStatus.TRUE: 1, ConditionStatus.FALSE: 0, ConditionStatus.UNKNOWN: -1}
_MOST_UNLIKE: Final = 64


class _Shown(NamedTuple):
    """What is shown of one object."""

    conditions: tuple[tuple[str, int], ...]  # type and value
    backends: frozenset[str]
    desired: int | None
    ready: int


class ObjectMetrics(Collector):
    """What is shown of each object that there is."""

    def __init__(self) -> None:
        self._shown: dict[Key, _Shown] = {}
        self._alike: dict[_Shown, _Shown] = {}  # most objects look like another one

    def put(self, key: Key, status: MistralDeploymentStatus, *, desired: int | None) -> None:
        """Show one object as it is now, and no more as it was."""
        shown = _Shown(
            tuple((str(condition.type), _VALUES[condition.status]) for condition in status.conditions),
            frozenset(status.attention.backends.values()) if status.attention is not None else frozenset(),
            desired,
            status.ready_replicas,
        )
        if len(self._alike) > 2 * len(self._shown) + _MOST_UNLIKE:
            self._alike.clear()
        self._shown[key] = self._alike.setdefault(shown, shown)

    def drop(self, key: Key) -> None:
        """Show nothing more of one object."""
        self._shown.pop(key, None)

    def clear(self) -> None:
        """Show nothing of any."""
        self._shown.clear()
        self._alike.clear()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Make the samples of all objects."""
        conditions, backends, desired, ready = map(_family, (CONDITION, BACKEND, REPLICAS_DESIRED, REPLICAS_READY))
        for key, shown in self._shown.items():
            for kind, value in shown.conditions:
                conditions.add_metric([*key, kind], value)
            for backend in sorted(shown.backends):
                backends.add_metric([*key, backend], 1)
            if shown.desired is not None:
                desired.add_metric([*key], shown.desired)
            ready.add_metric([*key], shown.ready)
        yield from (conditions, backends, desired, ready)


def _family(measure: Measure) -> GaugeMetricFamily:
    return GaugeMetricFamily(measure.name, measure.says, labels=measure.label_names)
