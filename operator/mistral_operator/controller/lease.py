"""Leader election by a Lease: who works, and until when.

Like client-go's elector, and unlike that of ``kubernetes.aio``: any failure counts as a failed renewal, the work is
cancelled before anybody else may begin, and a lost lease is campaigned for again rather than died for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from structlog.typing import FilteringBoundLogger

from mistral_operator.cluster.client import Cluster, Manifest
from mistral_operator.cluster.errors import ClusterError, ConflictError
from mistral_operator.cluster.resources import LEASES
from mistral_operator.controller.settings import LeaseSettings


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
        self._seen: tuple[str, float] = ("", float("-inf"))  # another's resourceVersion, and since when
        self.leading = False

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Campaign for ever; run ``work`` while leading, cancel it when the lease is lost, release it at the end."""
        try:
            while True:
                if await self._try("take", self._take):
                    await self._lead(work)
                await asyncio.sleep(self._settings.retry_seconds)
        finally:
            await asyncio.shield(self._release())

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> None:
        self.leading = True
        self._log.info("became the leader")
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leading = False
            for task in (working, renewing):
                task.cancel()
            await asyncio.wait({working, renewing})
        if not working.cancelled() and (error := working.exception()) is not None:
            raise error
        self._log.warning("is the leader no more")

    async def _renew(self) -> None:
        """Renew until it has not succeeded for the deadline."""
        renewed = self._clock()
        while self._clock() - renewed < self._settings.renew_deadline_seconds:
            await asyncio.sleep(self._settings.retry_seconds)
            begun = self._clock()
            if await self._try("renew", self._take):
                renewed = begun

    async def _try(self, what: str, attempt: Callable[[], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(self._settings.renew_deadline_seconds / 2):
                return await attempt()
        except ConflictError:
            return False  # another candidate was faster
        except (ClusterError, TimeoutError) as error:
            self._log.warning(f"could not {what} the lease", error=str(error) or type(error).__name__)
            return False

    async def _take(self) -> bool:
        """Write our name into the Lease if it is free, expired or ours."""
        settings = self._settings
        lease = self._held or await self._cluster.get(LEASES, settings.namespace, settings.name)
        if lease is None:
            self._held = await self._cluster.create(LEASES, self._filled(_new(settings)))
            return True
        holder = lease.get("spec", {}).get("holderIdentity")
        if holder not in (None, "", self._identity) and not self._expired(lease):
            return False
        try:
            self._held = await self._cluster.replace(LEASES, self._filled(lease))
        except ClusterError:
            self._held = None  # look anew next time
            raise
        return True

    def _expired(self, lease: Manifest) -> bool:
        version, now = str(lease["metadata"]["resourceVersion"]), self._clock()
        if version != self._seen[0]:
            self._seen = (version, now)
        duration = lease.get("spec", {}).get("leaseDurationSeconds") or self._settings.duration_seconds
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
        """Let the next candidate begin at once."""
        if self._held is None:
            return
        lease = {**self._held, "spec": {**self._held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}
        self._held = None
        try:
            await self._cluster.replace(LEASES, lease)
        except ClusterError as error:
            self._log.warning("could not release the lease; it expires by itself", error=str(error))


def _new(settings: LeaseSettings) -> Manifest:
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"namespace": settings.namespace, "name": settings.name},
    }
