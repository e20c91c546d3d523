"""``mistral-operator run`` before it has found a cluster."""

import os
import signal
import subprocess
from pathlib import Path
from typing import BinaryIO, Final

from devcluster.operator import COMMAND
from devcluster.waiting import wait_until

_BOUND_SECONDS: Final = 30.0


def test_a_signal_ends_it_while_it_loads(tmp_path: Path) -> None:
    """As the first process of a container it would otherwise go on, and be killed when the grace period is over."""
    kubeconfig = tmp_path / "config"
    os.mkfifo(kubeconfig)  # reading it waits for whoever writes

    def writer() -> BinaryIO | None:
        try:
            return os.fdopen(os.open(kubeconfig, os.O_WRONLY | os.O_NONBLOCK), "wb")
        except OSError:  # nobody reads yet
            return None

    environment = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}
    with subprocess.Popen((COMMAND, "run"), env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            opened = wait_until("the kubeconfig to be read", writer, seconds=_BOUND_SECONDS)
            assert opened is not None
            with opened:
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=_BOUND_SECONDS)
        finally:
            process.kill()
    assert (process.returncode, said) == (0, "")
