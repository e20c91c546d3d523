"""The first process in a node's namespaces: makes the mounts that keep the node to itself, and then collects the dead.

It is started as ``init_process.py FOLDER LOCK``, with the standard library alone. With it ends everything in there.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

BUSY: Final = 75
"""What it ends with when another node has the lock."""

READY: Final = "namespaces-ready"
"""The file in FOLDER that says so."""

# The kubelet wants these, and they are the whole machine's: it writes to, and reads from, files in their place.
_SETTINGS: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
_PRIVATE: Final = ("/var/lib", "/var/log")  # kubelet, CNI and containerd write there, too


def main() -> None:
    """Prepare, say that it is done, and stay."""
    folder, lock = (Path(argument) for argument in sys.argv[1:])
    with lock.open("w") as taken:
        try:
            fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(BUSY)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        _mount()
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of this network namespace
        (folder / READY).touch()
        while True:
            signal.sigwait({signal.SIGCHLD})
            _collect()


def _mount() -> None:
    _run("mount", "--make-rshared", "/")  # pods' mounts reach theirs; this namespace got none of the machine's
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    Path("/run/lock").mkdir()
    Path("/run/netns").mkdir()
    for place in _PRIVATE:
        upper, work = (Path(f"/run/own{place}/{name}") for name in ("upper", "work"))
        upper.mkdir(parents=True)
        work.mkdir()
        _run("mount", "-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay", place)
    for name, value in _SETTINGS.items():
        setting, file = Path("/proc/sys", name), Path("/run/settings", name)
        if setting.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{value}\n")
            _run("mount", "--bind", str(file), str(setting))


def _collect() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
