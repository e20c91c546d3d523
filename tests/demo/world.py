"""Demos as a person runs them, in a world of their own: what they leave behind can be seen."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

import psutil

from devcluster.waiting import wait_until

BOUND_SECONDS: Final = 120.0
_MARK: Final = "WORLD_OF_THIS_TEST"  # all processes of a test inherit it


class World:
    """Folders of one test, and what is in them."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.temporary = folder / "tmp"
        self.cache = folder / "cache"
        self.temporary.mkdir()
        self.environment: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if name not in ("HF", "KEEP", "DEMO_CONTEXT")},
            _MARK: str(folder),
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.cache),
            "KUBEBUILDER_ASSETS": str(binaries),
        }

    def processes(self) -> dict[int, str]:
        """Return the command line of every process that lives in this world."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self.environment[_MARK]:
                    found[process.pid] = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def files(self) -> list[Path]:
        """Return what is left in the folder for temporary files."""
        return list(self.temporary.iterdir())

    def runs(self, program: str) -> bool:
        """Tell whether a program runs in this world."""
        return any(program in command for command in self.processes().values())

    def is_empty(self) -> bool:
        """Tell whether neither process nor file is left."""
        return not self.processes() and not self.files()

    def until(self, what: str, condition: Callable[[], bool], seconds: float = BOUND_SECONDS) -> None:
        """Wait for a condition."""
        wait_until(what, condition, seconds=seconds)


class Demo:
    """``python -m devcluster.demo`` as a process; a context manager that ends it."""

    def __init__(self, world: World, *arguments: str, **settings: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            (sys.executable, "-m", "devcluster.demo", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**world.environment, **settings},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end and return its exit code and what it printed."""
        said, _ = self._process.communicate(timeout=BOUND_SECONDS)
        return self._process.returncode, said
