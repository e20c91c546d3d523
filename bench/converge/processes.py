"""The operator as a process: measured with everything it starts, and ended with it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import psutil

from bench.converge.errors import BenchmarkError
from devcluster.controlplane import ControlPlane

_STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its descendants have used."""

    cpu_seconds: float
    resident_bytes: int


def usage_of(pid: int) -> Usage:
    """Return the use of a process and its descendants; one that has ended counts as nothing."""
    cpu_seconds, resident_bytes = 0.0, 0
    for process in _family(pid):
        try:
            times = process.cpu_times()
            resident_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        cpu_seconds += times.user + times.system
    return Usage(cpu_seconds, resident_bytes)


class OperatorProcess:
    """An operator at work on a control plane; a context manager that ends it and what it has started.

    Raises
    ------
    BenchmarkError
        When it cannot be started.
    """

    def __init__(self, plane: ControlPlane, label: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._label = label
        self._log = plane.folder / "measured-operator.log"
        try:
            self._process = plane.run("measured-operator", command, {**os.environ, **environment})
        except OSError as error:
            raise BenchmarkError(f"{label} does not start: {error}. Name its command by a whole path.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = _family(self._process.pid)
        self._process.end(grace_seconds=_STOP_SECONDS)
        for process in family[1:]:
            if process.is_running():
                process.kill()

    def check(self) -> None:
        """Raise when it has ended.

        Raises
        ------
        BenchmarkError
            With its exit code.
        """
        if self._process.exit_code is not None:
            raise BenchmarkError(f"{self._label} ended with code {self._process.exit_code} while it was measured")

    def usage(self) -> Usage:
        """Return what it has used so far, its descendants included."""
        return usage_of(self._process.pid)

    def end_of_log(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, itself first."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
