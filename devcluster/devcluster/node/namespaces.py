"""Namespaces of the node's own: for network, mounts and processes."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from devcluster.cluster import Cluster
from devcluster.node.init_process import BUSY, READY
from devcluster.processes import Process, StartError
from devcluster.waiting import wait_until

_START_SECONDS: Final = 20.0
_END_SECONDS: Final = 20.0


class Namespaces:
    """What a node runs in; it ends, with everything in it, when its first process does.

    Parameters
    ----------
    cluster
        With which that process ends at the latest.
    lock
        A file that it keeps locked.

    Raises
    ------
    StartError
        When another node has the lock, or the kernel refuses.
    """

    def __init__(self, cluster: Cluster, lock: Path) -> None:
        ready = cluster.folder / READY
        alone = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        init = (sys.executable, "-I", str(Path(__file__).with_name("init_process.py")), str(cluster.folder), str(lock))
        self.process = cluster.run("namespaces", ("unshare", *alone, *init))
        try:
            wait_until("the namespaces", lambda: ready.exists() or self._has_ended(), seconds=_START_SECONDS)
        except TimeoutError as error:
            raise StartError(f"{error}:\n{self.process.end_of_log()}") from error
        if self.process.exit_code == BUSY:
            raise StartError(f"another node runs on this machine: it has {lock} locked. Wait for its end, or end it.")
        self.process.check()
        self.pid = _children(self.process.pid)[0]

    def command(self, *command: str) -> tuple[str, ...]:
        """Return what runs a program in here; one that ends when the returned one does."""
        enter = ("nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--")
        return (*enter, "setpriv", "--pdeathsig=KILL", "--", *command)

    def run(self, *command: str, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in here and return what it says, whatever it ends with.

        Parameters
        ----------
        stdin
            A file of the machine's, which need not be visible in here.
        """
        with (stdin or Path("/dev/null")).open("rb") as file:
            return subprocess.run(  # noqa: S603
                self.command(*command), stdin=file, capture_output=True, text=True, check=False
            )

    def end(self, process: Process) -> None:
        """Kill a program that :meth:`command` runs, and wait until it is gone: its ports are free then."""
        children = [Path(f"/proc/{pid}") for pid in _children(process.pid)]
        process.end()
        wait_until(
            f"{process.name} to end", lambda: not any(child.exists() for child in children), seconds=_END_SECONDS
        )

    def _has_ended(self) -> bool:
        return self.process.exit_code is not None


def _children(pid: int) -> list[int]:
    """Return the numbers of a process's children; none when it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
