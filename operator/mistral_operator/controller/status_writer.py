"""Writes the status of an object, and its Events: what the API server refuses is replaced by less, and never silent."""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from mistral_operator.api.mistral_deployment import StatusInvalidError, read_status, write_status
from mistral_operator.api.status import MistralDeploymentStatus
from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ForbiddenError, NamespaceTerminatingError, RefusedError
from mistral_operator.cluster.resources import MISTRAL_DEPLOYMENTS
from mistral_operator.controller.keys import Key
from mistral_operator.controller.metrics import Metrics
from mistral_operator.controller.notes import event_of, step_of, tell
from mistral_operator.controller.store import version_of
from mistral_operator.status.plain import plain_status
from mistral_operator.status.refused import smaller_status
from mistral_operator.status.transitions import Note, transitions


class StatusWriter:
    """Writes the status of any object.

    Parameters
    ----------
    identity
        Who reports Events.
    now
        The time of day, in UTC.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        metrics: Metrics,
        identity: str,
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._identity = identity
        self._now = now
        self._log = log
        self._untold: dict[Key, str] = {}  # objects whose status stands nowhere: what Events said of it

    def reset(self) -> None:
        """Believe nothing of before: another process may have led in between."""
        self._untold.clear()

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object."""
        self._untold.pop(key, None)

    def previous(self, key: Key, body: Manifest) -> MistralDeploymentStatus:
        """Return the status that stands, empty where it cannot be understood."""
        try:
            return read_status(body.get("status"))
        except StatusInvalidError as error:
            self._log.error("status cannot be understood, so it is written anew", object=str(key), error=str(error))
            return MistralDeploymentStatus()

    async def write(
        self,
        key: Key,
        body: Manifest,
        before: MistralDeploymentStatus,
        after: MistralDeploymentStatus,
        *,
        desired: int | None,
    ) -> int:
        """Write the status if it changed, and tell what moved; return the object's resourceVersion.

        One that the API server refuses is followed by a smaller one that says so; where that is refused too, an Event
        says it.

        Raises
        ------
        RefusedError, ForbiddenError
            What became of the whole status: it is tried again.
        """
        after = plain_status(after)
        self._metrics.report(key, after, desired=desired)
        notes = list(transitions(before.conditions, after.conditions))
        may_stand = key not in self._untold  # after a refusal Events wait until a status stands
        if may_stand:
            await self._tell(key, body, before, notes)
        try:
            version = await self._apply_status(body, before, after)
        except (RefusedError, ForbiddenError) as refusal:
            smaller = plain_status(smaller_status(before, after, refusal.message, timestamp(self._now())))
            self._metrics.report(key, smaller, desired=desired)
            await self._write_smaller(key, body, before, smaller, notes if may_stand else ())
            raise
        self._untold.pop(key, None)
        if not may_stand:
            await self._tell(key, body, before, notes)
        return version

    async def _write_smaller(
        self,
        key: Key,
        body: Manifest,
        before: MistralDeploymentStatus,
        smaller: MistralDeploymentStatus,
        told: Sequence[Note],
    ) -> None:
        known = {(note.action, note.reason) for note in told}
        moved = transitions(before.conditions, smaller.conditions)
        notes = [note for note in moved if (note.action, note.reason) not in known]
        words = "\n".join(note.message for note in notes)
        if self._untold.get(key) != words:
            await self._tell(key, body, before, notes, words)
            self._untold[key] = words
        with contextlib.suppress(RefusedError, ForbiddenError):
            await self._apply_status(body, before, smaller)

    async def _apply_status(
        self, body: Manifest, before: MistralDeploymentStatus, after: MistralDeploymentStatus
    ) -> int:
        """Write a status unless it stands already; return the object's resourceVersion."""
        if after == before:
            return version_of(body)
        metadata = {name: body["metadata"][name] for name in ("name", "namespace", "resourceVersion")}
        status = write_status(after)
        written = await self._cluster.apply_status(
            MISTRAL_DEPLOYMENTS,
            {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata, "status": status},
        )
        return version_of(written)

    async def _tell(
        self, key: Key, body: Manifest, before: MistralDeploymentStatus, notes: Sequence[Note], cause: str = ""
    ) -> None:
        """Tell of a step from a status; of a refused one each cause is another step."""
        step = step_of(write_status(before)) + cause if notes else ""
        for note in notes:
            event = event_of(note, key, body["metadata"]["uid"], step, self._identity, self._now())
            lost = await tell(self._cluster, event)
            if isinstance(lost, NamespaceTerminatingError):
                self._log.debug("an Event has no namespace any more", object=str(key), reason=note.reason)
            elif lost is not None:
                self._log.warning("an Event was lost", object=str(key), reason=note.reason, error=str(lost))


def timestamp(moment: datetime) -> str:
    """Return a moment in UTC as conditions have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
