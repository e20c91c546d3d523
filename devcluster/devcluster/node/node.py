"""The node, and the control plane that it belongs to."""

import datetime
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import yaml

from devcluster.binaries import NODE
from devcluster.binaries.progress import Progress
from devcluster.binaries.store import cache_folder
from devcluster.controlplane import ControlPlane
from devcluster.node import cgroups, containerd, kubelet, network, packages, services
from devcluster.node.certificates import Client, write_client
from devcluster.node.containerd import ImageStore
from devcluster.node.namespaces import Namespaces
from devcluster.node.pause import ensure_pause

_NODE_USER: Final = "node"


class Node(ControlPlane):
    """A control plane with one real node; a context manager that leaves nothing on the machine.

    Everything that a :class:`ControlPlane` offers works here, too: ``kubectl``, ``get``, ``apply``, ``run``,
    ``kubeconfig_for_service_account``, ``check``. Pod and cluster IPs are reachable from this machine.

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
        How long each stage took, by its name.

    Raises
    ------
    NodeUnavailable
        When this machine is not Linux, this process is not root's, or what a node needs cannot be installed.
    """

    node_binaries: ClassVar[Sequence[str]] = NODE

    def __init__(self, progress: Progress, *, audited: Sequence[str] = ()) -> None:
        packages.check_machine()
        self._progress = progress
        self.name = "node-0"
        self.host_address = network.HOST_ADDRESS
        self.seconds: dict[str, float] = {}
        self._store = cache_folder(os.environ) / "node"
        self._store.mkdir(parents=True, exist_ok=True)
        with self._stage("packages"):
            packages.ensure_packages(packages.PROGRAMS, progress)
            self._pause = ensure_pause(self._store, progress)
        with self._stage("binaries"):
            super().__init__(progress, audited=audited, address=network.HOST_ADDRESS)
        self._namespaces: Namespaces
        self._images: ImageStore
        self._client: Client

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, good on this machine as long as the node runs."""
        return self.admin_kubeconfig

    def start(self) -> None:
        """Start everything and wait until the node is ready.

        Raises
        ------
        StartError
            Naming the component, with the end of its log; or when another node runs on this machine.
        """
        begun = time.monotonic()
        super().start()
        with self._stage("node ready"):
            self._wait("kubelet", self._is_node_ready)
        self.seconds["start"] = time.monotonic() - begun

    def load_image(self, archive: Path) -> bool:
        """Import an archive of images, as ``docker save`` or an OCI image layout in a tar; pods name them as it does.

        One that was imported before and has not changed is not read again, also by later nodes. Pods need
        ``imagePullPolicy: IfNotPresent`` or ``Never``.

        Returns
        -------
        bool
            Whether it was read.

        Raises
        ------
        StartError
            When it is no archive of images, or containerd refuses it, with its reason.
        """
        with self._stage(f"import of {archive.name}"):
            return self._images.load(archive)

    def stop_kubelet(self) -> None:
        """Kill the kubelet; pods go on, and nobody tells the API server of them."""
        self._kill("kubelet")

    def start_kubelet(self) -> None:
        """Start the kubelet again after :meth:`stop_kubelet`."""
        self._enter(
            "kubelet",
            kubelet.flags(
                self.folder, self.folder / "kubelet.yaml", self.folder / f"{_NODE_USER}.kubeconfig", self.name
            ),
        )

    def stop_containerd(self) -> None:
        """Kill containerd; containers go on."""
        self._kill("containerd")

    def start_containerd(self) -> None:
        """Start containerd again after :meth:`stop_containerd`, and wait until it answers."""
        self._enter("containerd", (f"--config={self.folder / 'containerd.toml'}",))
        self._wait("containerd", self._images.answers)

    def _prepare_network(self) -> None:
        with self._stage("namespaces"):
            self._namespaces = Namespaces(self, self._store / "lock")
            self._running["namespaces"] = self._namespaces.process
            self._images = ImageStore(self._namespaces, self._paths["ctr"], self._store / "imported.json")
            found = cgroups.here()
            for folder in cgroups.folders(self._cgroup, found):
                self.hold_cgroup(folder)
            cgroups.make(self._cgroup, found)
            network.connect(self._namespaces.pid, self._namespaces.command)
            now = datetime.datetime.now(datetime.UTC)
            self._client = write_client(self.folder, "kube-apiserver", "system:masters", now)

    def _start_nodes(self) -> None:
        self._write_node_files()
        with self._stage("containerd"):
            self.start_containerd()
            self._images.load(self._pause)
        self.start_kubelet()
        self._enter("kube-proxy", (f"--config={self.folder / 'proxy.yaml'}", f"--hostname-override={self.name}"))
        self.apply(services.dns_rights())
        self._enter("coredns", ("-conf", str(self.folder / "Corefile")))

    def _access_flags(self) -> tuple[str, ...]:
        return (
            f"--advertise-address={network.HOST_ADDRESS}",
            f"--kubelet-client-certificate={self._client.certificate}",
            f"--kubelet-client-key={self._client.key}",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node",  # in addition
            "--enable-admission-plugins=NodeRestriction",
        )

    def _users(self) -> dict[str, tuple[str, str]]:
        return {
            **super()._users(),
            _NODE_USER: (f"system:node:{self.name}", "system:nodes"),
            "proxy": ("system:kube-proxy", ""),
            "dns": (services.DNS_USER, ""),
        }

    @property
    def _cgroup(self) -> str:
        return self.folder.name

    def _write_node_files(self) -> None:
        folder = self.folder
        for name in ("cni", "opt", "pod-logs", "volume-plugins"):
            (folder / name).mkdir()
        configurations = {
            "kubelet.yaml": kubelet.configuration(folder, self._cgroup, self._client.authority, containerd.SOCKET),
            "proxy.yaml": services.proxy_configuration(folder / "proxy.kubeconfig"),
        }
        texts = {
            **{name: yaml.safe_dump(content) for name, content in configurations.items()},
            "Corefile": services.corefile(folder / "dns.kubeconfig"),
            "containerd.toml": containerd.configuration(folder, self._store / "containerd"),
            "cni/10-pods.conflist": network.cni_configuration(folder / "cni-addresses"),
            "resolv.conf": f"nameserver {network.NODE_ADDRESS}\n",  # this machine's may not be reachable from pods
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")

    def _enter(self, name: str, flags: Sequence[str]) -> None:
        """Start a program of the node."""
        # containerd finds its shim by the path: the system's may be too old for it
        path = f"{self._paths['containerd'].parent}:{os.environ['PATH']}"
        command = self._namespaces.command(str(self._paths[name]), *flags)
        self._running[name] = self.run(name, command, {**os.environ, "PATH": path})

    def _kill(self, name: str) -> None:
        self._namespaces.end(self._running.pop(name))

    def _is_node_ready(self) -> bool:
        found = self.get("node", self.name) or {}
        conditions = found.get("status", {}).get("conditions") or ()
        return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun
        self._progress.say(f"{self.seconds[name]:6.1f} s  {name}")
