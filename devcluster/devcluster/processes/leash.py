"""The end of the leash that the parent holds."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from devcluster.processes.errors import StartError


class Leash:
    """Holds what must end with this process: groups of processes, control groups, and a folder, which it makes.

    Raises
    ------
    StartError
        When the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            (sys.executable, "-I", str(Path(__file__).parent / "leash_process.py"), str(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # a Ctrl-C on the terminal is not for it
        )
        self._children: list[subprocess.Popen[bytes]] = []
        self.has_let_go = False
        try:
            self._hear(f"the folder {folder} cannot be made")
        except StartError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pipe(self) -> IO[str]:
        """Where ``+PID`` is written to. It ends what it holds only when nobody has this open any more."""
        if self._process.stdin is None:
            raise StartError("the process that cleans up has no pipe")
        return self._process.stdin

    def reap(self, child: subprocess.Popen[bytes]) -> None:
        """Have a child waited for when this leash is closed; it has put itself on the leash."""
        self._children.append(child)

    def hold(self, group: int) -> None:
        """End a group of processes with this process."""
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """Forget a group of processes that has ended."""
        if not self.pipe.closed:
            self._tell(f"-{group}")

    def hold_cgroup(self, folder: Path) -> None:
        """Remove a control group, and those in it, once what is held has ended."""
        self._tell(f"cgroup {folder}")

    def close(self) -> None:
        """End what is still held, and remove the folder."""
        self._hang_up()
        self._process.wait()
        for child in self._children:
            child.wait()

    def keep(self, path: Path) -> None:
        """Let go: what is held outlives this process, until the one whose pid is written to a file gets SIGTERM.

        The file stays locked for as long.

        Raises
        ------
        StartError
            When the file cannot be written, or is locked already.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._tell(f"keep {path}")
        self._hear(f"{path} cannot be taken")
        self.has_let_go = True
        self._hang_up()

    def _hang_up(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _tell(self, line: str) -> None:
        self.pipe.write(f"{line}\n")
        self.pipe.flush()

    def _hear(self, trouble: str) -> None:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if line != "\n":
            raise StartError(f"{trouble}: {line.strip() or 'the process that cleans up has ended'}")
