"""Pods that answer the operator's question without end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

ADDRESS: Final = "127.0.0.2"
_PORT: Final = 8000  # where vLLM listens
_HOLDS_SECONDS: Final = 120.0  # longer than anybody waits
_HEAD: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNKS: Final = b"1\r\n \r\n" * 40_000


@asynccontextmanager
async def lying_pods() -> AsyncIterator[None]:
    """Listen where pods of hostile neighbours do."""
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # whoever asks has had enough
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_HEAD + _CHUNKS)
            await writer.drain()
            async with asyncio.timeout(_HOLDS_SECONDS):
                await reader.read()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(answer(reader, writer))
        answering.add(task)
        task.add_done_callback(answering.discard)

    async with await asyncio.start_server(accept, ADDRESS, _PORT):
        try:
            yield
        finally:
            for task in answering:
                task.cancel()
