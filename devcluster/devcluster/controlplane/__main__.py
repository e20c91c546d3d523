"""``python -m devcluster.controlplane``: a control plane with one node of each kind, until Ctrl-C."""

import signal

from rich.console import Console

from devcluster.binaries.progress import Progress
from devcluster.controlplane import KINDS, ControlPlane


def main() -> None:
    """Start it, say how to use it, and wait."""
    console = Console(highlight=False, soft_wrap=True)
    stop = {signal.SIGINT, signal.SIGTERM}
    with ControlPlane(Progress()) as plane:
        for kind in KINDS:
            plane.add_node(f"{kind.name}-0", kind)
        console.print(f"export KUBECONFIG={plane.admin_kubeconfig}")
        console.print(f"{plane.kubectl_path} get nodes")
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        signal.sigwait(stop)


if __name__ == "__main__":
    main()
