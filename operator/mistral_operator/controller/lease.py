"""Leader election by a Lease: who works, and until when.

Like client-go's elector, and unlike that of ``kubernetes.aio``: any failure counts as a failed renewal, the work is
cancelled before anybody else may begin, and a lost lease is campaigned for again rather than died for.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from mistral_operator.cluster.answers import Manifest
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ClusterError, ConflictError, NotFoundError
from mistral_operator.cluster.resources import LEASES
from mistral_operator.controller.settings import LeaseSettings

_NEVER: Final = ("", float("-inf"))


class Elector:
    """One candidate.

    Parameters
    ----------
    clock
        Monotonic seconds: another's lease is judged by how long it has not changed here, never by its time stamps.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: LeaseSettings,
        identity: str,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._log = log.bind(lease=f"{settings.namespace}/{settings.name}", identity=identity)
        self._held: Manifest | None = None  # the Lease as we last wrote it
        self._seen: tuple[str, float] = _NEVER  # the Lease's resourceVersion in another's hand, and since when
        self._working = False
        self._until = float("-inf")

    @property
    def leading(self) -> bool:
        """Whether this process may work at this very moment.

        It looks at the clock: a process that stood still finds out before it does anything, and work whose
        cancellation takes its time does no harm.
        """
        return self._working and self._clock() < self._until

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Campaign for ever; run ``work`` while leading, cancel it when the lease is lost, release it at the end."""
        try:
            while True:
                if await self._try("take"):
                    await self._lead(work)
                await asyncio.sleep(self._settings.retry_seconds)
        finally:
            await asyncio.shield(self._release())

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> None:
        self._working = True
        self._log.info("became the leader")
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._working = False
            for task in (working, renewing):
                task.cancel()
            await asyncio.wait({working, renewing})
        for task in (working, renewing):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        self._log.warning("is the leader no more")

    async def _renew(self) -> None:
        """Renew until another has the Lease, or until it has not succeeded for the deadline."""
        while (left := self._until - self._clock()) > 0:
            await asyncio.sleep(min(self._settings.retry_seconds, left))
            if await self._try("renew") is False:
                return

    async def _try(self, what: str) -> bool | None:
        """Return whether the Lease is ours now; None where that cannot be told."""
        begun = self._clock()
        try:
            async with asyncio.timeout(self._settings.renew_deadline_seconds / 2):
                ours = await self._take()
        except ConflictError:
            return None  # another candidate was faster, and may have failed for all we know
        except (ClusterError, TimeoutError) as error:
            self._log.warning(f"could not {what} the lease", error=str(error) or type(error).__name__)
            return None
        if ours:
            self._until, self._seen = begun + self._settings.renew_deadline_seconds, _NEVER
        return ours

    async def _take(self) -> bool:
        """Write our name into the Lease; False where it is another's."""
        held, self._held = self._held, None  # whatever fails, look anew next time
        if held is not None:
            with contextlib.suppress(ConflictError, NotFoundError):  # somebody changed it or deleted it: look at once
                self._held = await self._cluster.replace(LEASES, self._filled(held))
                return True
        lease = await self._read()
        if not self._is_free(lease):
            return False
        if lease is None:
            self._held = await self._cluster.create(LEASES, self._filled(_new(self._settings)))
        else:
            self._held = await self._cluster.replace(LEASES, self._filled(lease))
        return True

    async def _read(self) -> Manifest | None:
        return await self._cluster.get(LEASES, self._settings.namespace, self._settings.name)

    def _is_free(self, lease: Manifest | None) -> bool:
        """Tell whether the Lease is ours, given back, or of somebody who has been silent for as long as it lasts.

        One that was deleted is no free one: its holder works on, and makes it anew.
        """
        version = "" if lease is None else str(lease["metadata"]["resourceVersion"])
        spec: dict[str, Any] = {} if lease is None else lease.get("spec") or {}
        now = self._clock()
        if version != self._seen[0]:
            self._seen = (version, now)
        if lease is not None and spec.get("holderIdentity") in (None, "", self._identity):
            return True
        duration = spec.get("leaseDurationSeconds") or self._settings.duration_seconds
        return now - self._seen[1] > float(duration)

    def _filled(self, lease: Manifest) -> Manifest:
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._settings.duration_seconds)),
            "renewTime": now,
        }
        return {**lease, "spec": spec}

    async def _release(self) -> None:
        """Let the next candidate begin at once.

        The Lease is read for that: a renewal that was under way when the end came may have succeeded.
        """
        if self._until == float("-inf"):
            return
        self._held, self._until = None, float("-inf")
        try:
            async with asyncio.timeout(self._settings.renew_deadline_seconds / 2):
                lease = await self._read()
                if lease is not None and lease.get("spec", {}).get("holderIdentity") == self._identity:
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._cluster.replace(LEASES, {**lease, "spec": spec})
        except (ClusterError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            self._log.warning("could not release the lease; it expires by itself", error=reason)


def _new(settings: LeaseSettings) -> Manifest:
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"namespace": settings.namespace, "name": settings.name},
    }
