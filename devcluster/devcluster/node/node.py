"""The node, and the control plane that it belongs to."""

from collections.abc import Sequence
from pathlib import Path

from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane


class Node(ControlPlane):
    """A control plane with one real node; a context manager that leaves nothing on the machine.

    Everything that a :class:`ControlPlane` offers works here, too: ``kubectl``, ``get``, ``apply``, ``run``,
    ``kubeconfig_for_service_account``, ``check``.

    Parameters
    ----------
    audited
        Users whose requests are written to ``audit_log``.

    Attributes
    ----------
    name : str
        Of the Node object.
    host_address : str
        Where pods reach what listens on this machine: let a ``HubServer`` listen there once the node runs.
    seconds : dict[str, float]
        How long each stage of the start took, by its name.

    Raises
    ------
    NodeUnavailable
        When this machine is not Linux or this process not root's.
    """

    def __init__(self, progress: Progress, *, audited: Sequence[str] = ()) -> None:
        super().__init__(progress, audited=audited)
        self.name = "node-0"
        self.host_address = "10.77.0.1"
        self.seconds: dict[str, float] = {}

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, good on this machine as long as the node runs."""
        return self.admin_kubeconfig

    def load_image(self, archive: Path) -> None:
        """Import an archive of images, as ``docker save`` or an OCI image layout in a tar; pods name them as it does.

        One that was imported before and has not changed is not read again, also by later nodes. Pods need
        ``imagePullPolicy: IfNotPresent`` or ``Never``.

        Raises
        ------
        StartError
            When containerd refuses it, with its reason.
        """
        raise NotImplementedError

    def stop_kubelet(self) -> None:
        """Kill the kubelet; pods go on, and nobody tells the API server of them."""
        raise NotImplementedError

    def start_kubelet(self) -> None:
        """Start the kubelet again after :meth:`stop_kubelet`."""
        raise NotImplementedError

    def stop_containerd(self) -> None:
        """Kill containerd; containers go on."""
        raise NotImplementedError

    def start_containerd(self) -> None:
        """Start containerd again after :meth:`stop_containerd`, and wait until it answers."""
        raise NotImplementedError
