"""Ends what another process started when that one ends in any way, ``kill -9`` included, and removes its files.

A small process of its own: it reads from a pipe whom to end, and when nobody holds the other end any more, it does.
It is started as ``leash_process.py FOLDER``, with the standard library alone and no import of the package, so that it
starts in milliseconds and survives whatever happens to its parent.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import IO

_REMOVE_SECONDS = 10.0


def main() -> None:
    """Make the folder, obey until the pipe closes, and then leave nothing behind.

    Lines are ``+PID`` and ``-PID`` to hold and release a group of processes, ``cgroup FOLDER`` to remove a control
    group at the end, and ``keep FILE`` to outlive the parent until a SIGTERM, with a lock on that file for as long.
    Answers are one line each, empty when all is well: to the start, and to ``keep``.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    folder = Path(sys.argv[1])
    held: set[int] = set()
    cgroups: list[Path] = []
    kept: IO[str] | None = None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        _answer(str(error))
        return
    _answer("")
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "keep":
            kept = _keep(Path(rest), folder)
        elif word == "cgroup":
            cgroups.append(Path(rest))
        elif word.startswith("+"):
            held.add(int(word))
        else:
            held.discard(-int(word))
    if kept is not None:
        signal.sigwait({signal.SIGTERM})
    for group in held:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, as Linux and macOS say so
            os.killpg(group, signal.SIGKILL)
    _remove(folder)
    _remove_cgroups(cgroups)
    if kept is not None:
        Path(kept.name).unlink(missing_ok=True)
        kept.close()


def _keep(path: Path, folder: Path) -> IO[str] | None:
    """Take the lock and write down who has it."""
    try:
        file = path.open("a+")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        _answer(str(error))
        return None
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "folder": str(folder)}))
    file.flush()
    _answer("")
    return file


def _remove(folder: Path) -> None:
    """Remove the folder; a process that is just dying may still write into it."""
    end = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.05)


def _remove_cgroups(tops: list[Path]) -> None:
    """Remove control groups, the innermost first; one with a dying process in it stays for a moment."""
    end = time.monotonic() + _REMOVE_SECONDS
    while (left := [top for top in tops if top.exists()]) and time.monotonic() < end:
        for top in left:
            for folder in (*sorted(top.rglob("*/"), reverse=True), top):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        if any(top.exists() for top in left):
            time.sleep(0.05)


def _answer(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(line.replace("\n", " "), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
