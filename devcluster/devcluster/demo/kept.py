"""Demos that go on in the background: one at most, found by a file that the process which ends it keeps locked."""

import fcntl
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devcluster.binaries.store import cache_folder
from devcluster.demo.errors import DemoError
from devcluster.waiting import wait_until

_STOP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A demo that runs in the background.

    Parameters
    ----------
    pid
        The process that ends it on SIGTERM.
    folder
        Its control plane's folder.
    """

    path: Path
    pid: int
    folder: Path

    def stop(self) -> None:
        """End it and wait until nothing is left.

        Raises
        ------
        DemoError
            When it does not end.
        """
        os.kill(self.pid, signal.SIGTERM)
        try:
            wait_until("the demo to end", lambda: not _is_locked(self.path), seconds=_STOP_SECONDS)
        except TimeoutError as error:
            raise DemoError(f"The demo in {self.folder} does not end: look at process {self.pid}.") from error


def kept_file(environment: Mapping[str, str]) -> Path:
    """Return the file by which a kept demo is found."""
    return cache_folder(environment) / "demo.json"


def find_kept(path: Path) -> Kept | None:
    """Return the demo that runs in the background, if one does; a file that nobody locks is left from a crash."""
    if not _is_locked(path):
        return None
    content = json.loads(path.read_text())
    return Kept(path, int(content["pid"]), Path(content["folder"]))


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
