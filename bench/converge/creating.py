"""Creates objects: many at once, or one after the other."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from bench.converge.api import ApiServer, Resource
from bench.converge.errors import BenchmarkError

NAMESPACE: Final = "bench"
PARALLEL: Final = 8


class Creator:
    """Makes objects of one template and remembers when each was asked for, in monotonic seconds."""

    def __init__(
        self, api: ApiServer, resource: Resource, template: dict[str, Any], status_patch: dict[str, Any] | None
    ) -> None:
        self.begun: dict[str, float] = {}
        self._api = api
        self._resource = resource
        self._template = template
        self._status_patch = status_patch

    async def create(self, name: str) -> None:
        """Create one object, and write what its status is to begin with."""
        metadata = {**self._template.get("metadata", {}), "name": name, "namespace": NAMESPACE}
        self.begun[name] = time.monotonic()
        await self._api.create(self._resource, {**self._template, "metadata": metadata})
        if self._status_patch is not None:
            await self._api.patch_status(self._resource, name, {"status": self._status_patch})

    async def create_all(self, names: Sequence[str]) -> None:
        """Create objects over several connections.

        Raises
        ------
        BenchmarkError
            When the API server refuses one.
        """
        rest = iter(names)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(PARALLEL):
                    group.create_task(self._create_some(rest))
        except* BenchmarkError as errors:
            raise errors.exceptions[0] from None

    async def _create_some(self, names: Iterator[str]) -> None:
        for name in names:
            await self.create(name)
