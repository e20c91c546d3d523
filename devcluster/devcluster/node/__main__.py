"""``python -m devcluster.node [ARCHIVE…]``: a node with these images, until Ctrl-C."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from devcluster.binaries import BinariesError
from devcluster.binaries.progress import Progress
from devcluster.node import Node, NodeUnavailable
from devcluster.node.errors import SKIPPED
from devcluster.processes import StartError

_INTERRUPTED = 130  # as shells count it


def main(arguments: Sequence[str]) -> int:
    """Return 0 after a signal, 1 after an error, 77 where no node can run, 130 when interrupted while it starts."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        _run([Path(argument) for argument in arguments])
    except NodeUnavailable as error:
        console.print(f"Skipped: {error}", markup=False)
        return SKIPPED
    except (BinariesError, StartError) as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _run(archives: Sequence[Path]) -> None:
    """Start it, say how to use it, and wait."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False, soft_wrap=True)
    stop = {signal.SIGINT, signal.SIGTERM}
    with Node(Progress()) as node:
        for archive in archives:
            node.load_image(archive)
        console.print(f"export KUBECONFIG={node.kubeconfig}")
        console.print(f"{node.kubectl_path} get nodes")
        console.print(f"Pods reach this machine at {node.host_address}; it reaches them and Services, too.")
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        signal.sigwait(stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
