"""A cache folder per hub token: what one tenant's token may read must not be found by another's.

Tokens are rotated, and nobody says when the last object has let go of one. Whoever wants a model asks once per period,
so that a token that nobody asked with for several is nobody's, and its folder goes.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

_ANONYMOUS: Final = "anonymous"
_PAUSE: Final = 2  # in periods: with nobody asking for so long, it is this process that did no work
_UNUSED: Final = 4  # in periods: longer than a pause, and the period before it


class TokenFolders:
    """The folders of all tokens that this process has used; others may lie beside them, and are left alone.

    Parameters
    ----------
    root
        Where they lie.
    period_seconds
        Within which each object asks again.
    clock
        Monotonic seconds.
    """

    def __init__(self, root: Path, period_seconds: float, clock: Callable[[], float]) -> None:
        self._root = root
        self._period_seconds = period_seconds
        self._clock = clock
        self._last_used: dict[str, float] = {}  # the longest unused first
        self._asked_at = self._working_since = float("-inf")

    def use(self, token: str | None) -> Path:
        """Return the folder of an object's token, or of none, which stays; remove those that no object asks with."""
        # a name that does not tell the token
        name = _ANONYMOUS if token is None else hashlib.sha256(token.encode()).hexdigest()[:16]
        now = self._clock()
        if now - self._asked_at > _PAUSE * self._period_seconds:
            self._working_since = now
        self._asked_at = now
        if token is not None:
            self._last_used.pop(name, None)
            self._last_used[name] = now
        self._remove_before(now - _UNUSED * self._period_seconds)
        return self._root / name

    def _remove_before(self, limit: float) -> None:
        if self._working_since >= limit:
            return  # objects may not have had the time to show that they are there
        while self._last_used and self._last_used[oldest := next(iter(self._last_used))] < limit:
            del self._last_used[oldest]
            # a few small files, and at once: later, somebody might use it again
            shutil.rmtree(self._root / oldest, ignore_errors=True)
