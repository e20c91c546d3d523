"""A process with a log, on a leash."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from devcluster.processes.errors import StartError
from devcluster.processes.leash import Leash

# The child puts itself on the leash before it becomes the program: there is no moment at which it could be left behind.
# Its standard input is the leash's pipe up to then.
_ON_THE_LEASH: Final = ("/bin/sh", "-c", 'echo "+$$" >&0 && exec "$@" </dev/null', "sh")


class Process:
    """A program that runs until it is ended, or the leash is let go.

    Parameters
    ----------
    folder
        The leash's. Its log and its temporary files go there, and it runs there unless ``cwd`` says otherwise.
    environment
        All of its environment; None for this process's own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        leash: Leash,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._leash = leash
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                (*_ON_THE_LEASH, *command),
                stdin=leash.pipe,
                stdout=log,
                stderr=log,
                cwd=cwd or folder,
                env={**(os.environ if environment is None else environment), "TMPDIR": str(folder)},
                start_new_session=True,  # a Ctrl-C on the terminal is answered by this process
            )
        leash.reap(self._process)

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

    def wait(self) -> int:
        """Wait until it ends, and return what it ended with."""
        code = self._process.wait()
        self._leash.release(self._process.pid)
        return code

    def end(self, grace_seconds: float = 0) -> None:
        """End it, at once unless it is given time: kube-apiserver's graceful end takes a minute.

        Once the leash has let go it is not ours to end.
        """
        if self._leash.has_let_go:
            return
        if grace_seconds:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
        self._process.kill()
        self.wait()
