"""The demo on a terminal of 80 columns."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence

from demo.world import BOUND_SECONDS, World
from devcluster.waiting import wait_until


class Terminal:
    """A pseudo-terminal with the demo on it."""

    def __init__(self, world: World) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self._ours, False)
        self.process = subprocess.Popen(
            (sys.executable, "-m", "devcluster.demo"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**world.environment, "TERM": "dumb"},  # no colours and no cursor to follow
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - so that Ctrl-C is a signal
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def read(self) -> str:
        """Return everything shown so far."""
        try:
            while piece := os.read(self._ours, 65536):
                self.shown += piece.decode()
        except OSError:  # nothing more for now, or, on Linux, for ever
            pass
        return self.shown

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C."""
        os.write(self._ours, b"\x03")

    def close(self) -> None:
        """End the demo and take the terminal away."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_it_stays_until_ctrl_c_and_fits_the_screen(world: World) -> None:
    """It says how to go on; the commands in it are good as they stand."""
    terminal = Terminal(world)
    try:
        wait_until("the last line", lambda: "Ctrl-C ends it" in terminal.read(), seconds=BOUND_SECONDS)
        assert world.runs("mistral-operator run")
        told = terminal.shown[terminal.shown.index("$ kubectl get mdep") :].replace("\r", "").splitlines()
        too_long = [line for line in told if len(line) > 80 and str(world.temporary) not in line]
        assert [line for line in too_long if "Selector:" not in line] == []  # that is one word
        said = _typed(world, [line.strip() for line in told if line.startswith(("  export ", "  kubectl "))])
        assert "mistral-7b scaled" in said
        assert "mistral-7b patched" in said
        assert "spec.extraArgs may not repeat --port" in said
        assert "attentionBackend" in said
        terminal.press_ctrl_c()
        wait_until("the end", lambda: terminal.read() and terminal.process.poll() is not None, seconds=BOUND_SECONDS)
        assert terminal.process.returncode == 0
        assert "Stopped, and nothing is left." in terminal.read()
    finally:
        terminal.close()
    world.until("everything to be gone", world.is_empty)


def _typed(world: World, lines: Sequence[str]) -> str:
    """Return what a shell says to lines that are typed into it."""
    done = subprocess.run(
        ("/bin/sh",),
        input="\n".join(lines),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(world.environment),
        timeout=BOUND_SECONDS,
        check=False,
    )
    return done.stdout
