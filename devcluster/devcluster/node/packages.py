"""What a node needs of the machine: Linux, root, and programs of Debian's packages."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from devcluster.binaries.progress import Progress
from devcluster.node.errors import NodeUnavailable

PROGRAMS: Final = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""What a node runs, and the Debian package of each."""

COMPILER: Final = {"gcc": "gcc", "/usr/lib/*/libc.a": "libc6-dev"}
"""What compiles the pause image's one program."""


def why_unavailable(system: str, user: int, may_isolate: Callable[[], bool]) -> str | None:
    """Return why no node can run on a system for a user, or None; asks for namespaces where nothing else is wrong."""
    if system != "Linux":
        return f"A node needs Linux, and this is {system}: use a virtual machine."
    if user != 0:
        return "A node needs root, for its namespaces and control groups: use sudo."
    if not may_isolate():
        return "A node needs namespaces of its own, and the kernel refuses them, as in a container: use a machine."
    return None


def check_machine() -> None:
    """Raise where no node can run.

    Raises
    ------
    NodeUnavailable
        Saying why.
    """
    why = why_unavailable(platform.system(), os.geteuid(), _may_isolate)
    if why is not None:
        raise NodeUnavailable(why)


def missing_packages(programs: Mapping[str, str], is_there: Callable[[str], bool]) -> list[str]:
    """Return the packages of the programs that are not there, without repeating one."""
    return sorted({package for program, package in programs.items() if not is_there(program)})


def ensure_packages(programs: Mapping[str, str], progress: Progress) -> None:
    """Install what is missing, with apt-get.

    Raises
    ------
    NodeUnavailable
        When there is no apt-get, or it fails; with what is to be installed.
    """
    missing = missing_packages(programs, _is_there)
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NodeUnavailable(
            f"A node needs {', '.join(missing)}, as Debian calls these packages, and there is no apt-get to install "
            "them: install what they are called here."
        )
    progress.say(f"Installing {', '.join(missing)} with apt-get")
    _apt_get("update")
    _apt_get("install", "--yes", "--no-install-recommends", *missing)
    if still := missing_packages(programs, _is_there):
        raise NodeUnavailable(f"{', '.join(still)} is installed and lacks what a node needs of it.")


def _may_isolate() -> bool:
    command = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true")
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _is_there(program: str) -> bool:
    if program.startswith("/"):
        return any(Path("/").glob(program[1:]))
    return shutil.which(program) is not None


def _apt_get(*arguments: str) -> None:
    command: Iterable[str] = ("apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(tuple(command), env=quiet, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        why = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise NodeUnavailable(f"apt-get {' '.join(arguments)} failed: {' '.join(why)}")
