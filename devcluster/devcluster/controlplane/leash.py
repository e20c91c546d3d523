"""Ends what a control plane started when its own process ends in any way, ``kill -9`` included.

A small process of its own: it reads from a pipe whom to end, and when the pipe closes, it does. Standard library only,
and no import of the package, so that it starts in milliseconds and survives whatever happens to its parent.
"""

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Read ``+pid``, ``-pid`` and ``folder path`` lines until the pipe closes; then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pids: set[int] = set()
    folders: set[str] = set()
    for line in sys.stdin:
        sign, rest = line[0], line[1:].strip()
        if sign == "+":
            pids.add(int(rest))
        elif sign == "-":
            pids.discard(int(rest))
        else:
            folders.add(rest)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
