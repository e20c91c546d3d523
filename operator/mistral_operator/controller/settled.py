"""Which trouble is told of a pod that does not tell what it runs: it may answer in another way each time it is asked.

A message that moves is a write, so that one of its answers is told and stays told. Within the first minute it is the
most specific one; after that another one is told when it came several times in a row, which is no chance any more.
"""

from dataclasses import dataclass
from typing import Final

from mistral_operator.api.conditions import Reason
from mistral_operator.status.verified import Untold

_SETTLED_SECONDS: Final = 60.0  # after the first answer
_IN_A_ROW: Final = 3
# what lies with the pod, the more specific ones last; what the API server says of keys and rights is no chance
_OF_THE_POD: Final = (
    Reason.POD_UNREACHABLE,
    Reason.POD_CANNOT_TELL,
    Reason.IMAGE_CANNOT_TELL,
    Reason.KEY_REFUSED,
)


@dataclass(slots=True)
class Settled:
    """The trouble of one run of a pod."""

    told: Untold | None = None
    _since: float = 0.0
    _other: Reason | None = None  # what is heard instead
    _others: int = 0  # how many times in a row

    def hear(self, answer: Untold, now: float) -> Untold:
        """Take an answer into account, and return the one that is told.

        Parameters
        ----------
        now
            Monotonic seconds.
        """
        if self.told is None or not {self.told.reason, answer.reason} <= set(_OF_THE_POD):
            return self._tell(answer, now)
        if answer.reason is self.told.reason:
            self._other, self._others = None, 0
            return self.told  # the same in other words
        self._others = self._others + 1 if answer.reason is self._other else 1
        self._other = answer.reason
        is_more_specific = _OF_THE_POD.index(answer.reason) > _OF_THE_POD.index(self.told.reason)
        if is_more_specific and now - self._since < _SETTLED_SECONDS:
            return self._tell(answer, self._since)
        return self._tell(answer, self._since) if self._others >= _IN_A_ROW else self.told

    def _tell(self, answer: Untold, since: float) -> Untold:
        if self.told is None or self.told.reason is not answer.reason:
            self.told = answer
            self._since, self._other, self._others = since, None, 0
        return self.told
