"""``mistral-vllm``: runs ``vllm`` with the same arguments, and writes down why where it fails.

vLLM prints the true cause many lines before its end, and its last line never says it; Kubernetes keeps 2,048 bytes of
the end. So this process stands before vLLM, as the container's process 1: it passes output and signals on unchanged,
keeps the last of the output in mind, and when vLLM ends by itself with a failure, writes the root cause to the
container's termination log.
"""

import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mistral_vllm.telling.root_cause import engine_died, root_cause
from mistral_vllm.telling.tail import Tail

TERMINATION_LOG: Final = "MISTRAL_VLLM_TERMINATION_LOG"
_DEFAULT_TERMINATION_LOG: Final = "/dev/termination-log"

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_FORWARDED: Final = (*_ENDING, signal.SIGUSR1, signal.SIGUSR2)
_CHUNK_BYTES: Final = 64 * 1024
_QUIET_SECONDS: Final = 1.0  # nothing more comes from processes that vLLM left behind
_DRAIN_SECONDS: Final = 5.0
_CANNOT_START: Final = 127  # as a shell says it
_FAILED: Final = 1
_KILLED: Final = 128  # and the signal's number


class Vllm:
    """vLLM as a child process: its output on two pipes, every signal to this process passed on to it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
        """Start it.

        Raises
        ------
        OSError
            When it cannot be started.
        """
        self.asked_to_end = False
        self.exit_code = 0  # minus the signal's number where one killed it
        self.ended = False
        # held back until there is a process to pass them on to
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        out, child_out = os.pipe()
        err, child_err = os.pipe()
        self.outputs = {out: 1, err: 2}
        try:
            self._process = os.posix_spawn(
                command[0],
                list(command),
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, child_out, 1), (os.POSIX_SPAWN_DUP2, child_err, 2)],
                # its own group: what a terminal sends to the foreground would reach it twice
                setpgroup=0,
                setsigmask=held_back,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, and a child inherits that
            )
            for number in _FORWARDED:
                signal.signal(number, self._forward)
        finally:
            os.close(child_out)
            os.close(child_err)
            signal.pthread_sigmask(signal.SIG_SETMASK, held_back)

    def reap(self) -> None:
        """Take note of children that ended; process 1 inherits those of others."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            if process == self._process:
                self.exit_code = os.waitstatus_to_exitcode(status)
                self.ended = True

    def _forward(self, number: int, _frame: object) -> None:
        if self.ended:
            return
        self.asked_to_end = self.asked_to_end or number in _ENDING
        with suppress(ProcessLookupError):  # between its end and the note of it
            os.kill(self._process, number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run vLLM until it ends and return its exit code; 128 and the number of the signal that killed it.

    vLLM ends with 0 when its engine dies while it serves; here that is 1, or the pod would say "Completed".
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with _child_ends() as child_ended:
        try:
            vllm = Vllm(vllm_command(arguments))
        except OSError as error:
            _write_down(f"vLLM cannot be started: {error}")
            return _CANNOT_START
        tail = Tail()
        exit_code = _pass_on(vllm, child_ended, tail)
    log = tail.text()
    if not vllm.asked_to_end and (exit_code != 0 or engine_died(log)):
        _write_down(root_cause(log, exit_code))
        exit_code = exit_code or _FAILED
    return exit_code if exit_code >= 0 else _KILLED - exit_code


def vllm_command(arguments: Sequence[str]) -> list[str]:
    """Return how vLLM is started: its console script, or its module where no script is on the path."""
    script = shutil.which("vllm")
    program = [script] if script is not None else [sys.executable, "-m", "vllm.entrypoints.cli.main"]
    return [*program, *arguments]


@contextmanager
def _child_ends() -> Iterator[socket.socket]:
    """Give a socket that can be read once a child has ended: a selector sleeps through the signal itself."""
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        yield reading
        signal.set_wakeup_fd(-1)


def _pass_on(vllm: Vllm, child_ended: socket.socket, tail: Tail) -> int:
    """Pass vLLM's output on until it has ended and nothing more comes; return its exit code."""
    with selectors.DefaultSelector() as selector:
        selector.register(child_ended, selectors.EVENT_READ)
        for source in vllm.outputs:
            selector.register(source, selectors.EVENT_READ)
        vllm.reap()
        until: float | None = None
        while not vllm.ended or len(selector.get_map()) > 1:
            if vllm.ended and until is None:
                until = time.monotonic() + _DRAIN_SECONDS
            ready = selector.select(None if until is None else _QUIET_SECONDS)
            if until is not None and (not ready or time.monotonic() > until):
                break
            for key, _ in ready:
                if key.fileobj is child_ended:
                    child_ended.recv(_CHUNK_BYTES)
                    vllm.reap()
                    continue
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if chunk:
                    tail.add(key.fd, chunk)
                    _write(vllm.outputs[key.fd], chunk)
                else:
                    selector.unregister(key.fd)
        return vllm.exit_code


def _write(target: int, chunk: bytes) -> None:
    """Write all of it; a reader that is gone is no reason to end vLLM."""
    rest = memoryview(chunk)
    while rest:
        try:
            rest = rest[os.write(target, rest) :]
        except BlockingIOError:  # whoever shares the file made it so
            with selectors.DefaultSelector() as selector:
                selector.register(target, selectors.EVENT_WRITE)
                selector.select()
        except BrokenPipeError:
            return


def _write_down(cause: str) -> None:
    path = Path(os.environ.get(TERMINATION_LOG) or _DEFAULT_TERMINATION_LOG)
    _write(2, f"mistral-vllm: {cause}\n".encode())
    try:
        with path.open("r+", encoding="utf-8") as file:  # the kubelet made it; elsewhere /dev is no place for files
            file.truncate()
            file.write(cause)
    except OSError as error:
        _write(2, f"mistral-vllm: cannot write that to the termination log {path}: {error.strerror}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
