"""Processes of the control plane: started with a log, never left behind."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


class StartError(Exception):
    """A component did not start; ``str()`` names it and shows the end of its log."""


class Leash:
    """Holds what must end with this process."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            (sys.executable, "-I", str(Path(__file__).parent / "leash.py")),
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C on the terminal is not for it
        )
        self._tell(f" {folder}")

    def hold(self, pid: int) -> None:
        """End a process with this one."""
        self._tell(f"+{pid}")

    def release(self, pid: int) -> None:
        """Forget a process that has ended."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """End what is still held, and remove the folder."""
        self._pipe.close()
        self._process.wait()

    @property
    def _pipe(self) -> IO[str]:
        if self._process.stdin is None:
            raise StartError("the process that cleans up has no pipe")
        return self._process.stdin

    def _tell(self, line: str) -> None:
        self._pipe.write(f"{line}\n")
        self._pipe.flush()


class Process:
    """One component."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        leash: Leash,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._leash = leash
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
                start_new_session=True,  # a Ctrl-C on the terminal is answered by the control plane
            )
        leash.hold(self._process.pid)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs, negative for a signal."""
        return self._process.poll()

    def check(self) -> None:
        """Raise when it has ended.

        Raises
        ------
        StartError
            With the end of its log.
        """
        if self._process.poll() is not None:
            raise StartError(f"{self.name} ended with code {self._process.returncode}:\n{self.end_of_log()}")

    def end_of_log(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def end(self, grace_seconds: float = 0) -> None:
        """End it, at once unless it is given time: kube-apiserver's graceful end takes a minute."""
        if grace_seconds:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
        self._process.kill()
        self._process.wait()
        self._leash.release(self._process.pid)
