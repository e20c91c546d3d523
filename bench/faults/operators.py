"""Operators that are started, killed and replaced."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

from bench.faults.errors import HarnessError
from bench.faults.zygote import OperatorConfig
from devcluster.controlplane import ControlPlane

_START_SECONDS: Final = 60.0
_ROOT: Final = Path(__file__).parents[2]


class OperatorProcess:
    """One operator's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None  # what it ended with, negative for a signal
        self.ended = asyncio.Event()

    def kill(self) -> None:
        """End it as a node that dies would."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself, which is told
                os.kill(self.pid, signal.SIGKILL)


class Zygote:
    """The process that operators are forked from."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._running: dict[int, OperatorProcess] = {}
        self._started: asyncio.Queue[OperatorProcess | None] = asyncio.Queue()
        self._one_at_a_time = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen(), name="zygote")

    @classmethod
    async def start(cls, plane: ControlPlane) -> Self:
        """Start it; it ends with the control plane.

        Raises
        ------
        HarnessError
            When it does not start.
        """
        path = plane.folder / f"zygote-{secrets.token_hex(3)}"
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        process = plane.run(path.name, (sys.executable, "-m", "bench.faults.zygote", str(path)), environment)
        clock = asyncio.get_running_loop()
        end = clock.time() + _START_SECONDS
        while True:
            process.check()
            try:
                return cls(*await asyncio.open_unix_connection(str(path)))
            except (FileNotFoundError, ConnectionRefusedError):
                if clock.time() > end:
                    raise HarnessError(f"{path.name} does not start:\n{process.end_of_log()}") from None
            await asyncio.sleep(0.1)

    async def fork(self, config: OperatorConfig) -> OperatorProcess:
        """Start an operator."""
        async with self._one_at_a_time:
            self._writer.write(json.dumps(asdict(config)).encode() + b"\n")
            process = await self._started.get()
        if process is None:
            raise HarnessError("the process that operators are forked from has ended; look at its log")
        return process

    async def close(self) -> None:
        """End it, and with it whatever it started that still runs."""
        for process in [*self._running.values()]:
            process.kill()
        self._writer.close()
        await self._listening

    async def _listen(self) -> None:
        async for line in self._reader:
            answer = json.loads(line)
            if "pid" in answer:
                process = OperatorProcess(answer["pid"])
                self._running[process.pid] = process
                self._started.put_nowait(process)
            elif ended := self._running.pop(answer["ended"], None):
                ended.status = answer["status"]
                ended.ended.set()
        self._started.put_nowait(None)
