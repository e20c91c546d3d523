"""Work that goes on in the background of a measurement, and fails it where it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Check = Callable[[], None]


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None], check: Check) -> AsyncIterator[Check]:
    """Let work without an end go on; yield a check that raises, besides what ``check`` does, when it has failed."""
    working = asyncio.create_task(work)

    def check_all() -> None:
        check()
        if working.done():
            working.result()

    try:
        yield check_all
        check_all()
    finally:
        working.cancel()
        await asyncio.wait([working])
