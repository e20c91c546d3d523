"""Starts a control plane on free loopback ports, and stops it."""

import json
import secrets
import shutil
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devcluster.binaries import API_SERVER, BINARIES, CONTROLLERS, ensure
from devcluster.binaries.progress import Progress
from devcluster.cluster import Cluster, new_folder, write_kubeconfig
from devcluster.controlplane.nodes import NodeKind
from devcluster.controlplane.ports import free_ports
from devcluster.processes import Process, StartError

_START_SECONDS: Final = 60.0
_FREE_MIB: Final = 500  # etcd's logs of 64 MiB, its data, and what the components log
_LOOPBACK: Final = "127.0.0.1"


class ControlPlane(Cluster):
    """One control plane; a context manager that leaves nothing behind.

    Parameters
    ----------
    controllers
        Without them there are only etcd and kube-apiserver: objects stay what they are made.
    audited
        Users whose requests are written to :attr:`audit_log`.
    address
        Of this machine, where the API server listens.
    """

    node_binaries: ClassVar[Sequence[str]] = ("kwok",)
    """What runs its nodes."""

    def __init__(
        self, progress: Progress, *, controllers: bool = True, audited: Sequence[str] = (), address: str = _LOOPBACK
    ) -> None:
        self._controllers = controllers
        self._audited = tuple(audited)
        wanted = (*API_SERVER, *CONTROLLERS, *self.node_binaries) if controllers else API_SERVER
        self._paths = ensure([BINARIES[name] for name in wanted], progress=progress)
        folder = new_folder()
        self.admin_kubeconfig = folder / "admin.kubeconfig"
        super().__init__(folder, self._paths["kubectl"], (f"--kubeconfig={self.admin_kubeconfig}",))
        self._etcd_port, self._peer_port, self._port, self._kubelet_port = free_ports(4)
        self._running: dict[str, Process] = {}
        self._address = address
        self.server = f"https://{address}:{self._port}"
        self.ca_file = self.folder / "certificates" / "apiserver.crt"
        self.audit_log = self.folder / "audit.log"
        self._logs = self.folder / "logs.yaml"
        self._previous_log = self.folder / "previous.log"

    @property
    def pids(self) -> dict[str, int]:
        """Numbers of the running processes, by component."""
        return {name: process.pid for name, process in self._running.items()}

    def start(self) -> None:
        """Start everything and wait until it works.

        Raises
        ------
        StartError
            Naming the component, with the end of its log; or when there is too little space for its data.
        """
        super().start()
        free_mib = shutil.disk_usage(self.folder).free >> 20
        if free_mib < _FREE_MIB:
            raise StartError(
                f"{self.folder.parent} has {free_mib} MiB free, and a control plane takes up to {_FREE_MIB}. "
                "Free some, or point TMPDIR to another disk."
            )
        self._prepare_network()
        self._write_files()
        self._start("etcd", self._etcd_flags())
        self.start_apiserver()
        if self._controllers:
            kubeconfig = f"--kubeconfig={self.admin_kubeconfig}"
            fast = ("--kube-api-qps=300", "--kube-api-burst=600")
            alone = "--leader-elect=false"
            key, root = self.folder / "service-account.key", self.ca_file
            self._start(
                "kube-controller-manager",
                (
                    kubeconfig,
                    alone,
                    *fast,
                    "--secure-port=0",
                    f"--service-account-private-key-file={key}",
                    f"--root-ca-file={root}",
                    "--horizontal-pod-autoscaler-sync-period=1s",
                ),
            )
            self._start("kube-scheduler", (kubeconfig, alone, *fast, "--secure-port=0"))
            self._start_nodes()
            self._wait("kube-controller-manager", self._has_default_service_account)

    def stop(self) -> None:
        """Stop everything and remove its files."""
        for name in reversed([*self._running]):
            self._running.pop(name).end()
        super().stop()

    def check(self) -> None:
        """Raise when a component has ended.

        Raises
        ------
        StartError
            Naming it, with the end of its log.
        """
        for process in self._running.values():
            process.check()

    def start_apiserver(self) -> None:
        """Start kube-apiserver and wait until it is ready."""
        self._start("kube-apiserver", self._apiserver_flags())
        self._wait("kube-apiserver", self._is_ready)

    def stop_apiserver(self) -> None:
        """Stop kube-apiserver; its port and its data stay."""
        self._running.pop("kube-apiserver").end()

    def compact(self) -> None:
        """Make the API server forget its history: a watch from before answers 410 Gone."""
        self.stop_apiserver()  # its watch cache remembers what etcd has forgotten
        revision = self._etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        self.start_apiserver()

    def add_node(self, name: str, kind: NodeKind) -> None:
        """Add a node."""
        self.add_nodes({name: kind})

    def add_nodes(self, kinds: Mapping[str, NodeKind]) -> None:
        """Add several nodes, by name."""
        manifests = yaml.safe_dump_all(kind.manifest(name) for name, kind in kinds.items())
        self.kubectl("create", "-f", "-", stdin=manifests)

    def set_previous_log(self, text: str) -> None:
        """Give every container this log of its run before."""
        lines = (f"2026-11-25T12:00:00.000000000Z stderr F {line}" for line in text.splitlines())
        self._previous_log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")  # as the CRI has it

    def remove_node(self, name: str) -> None:
        """Remove a node; its pods are gone with it, some time later."""
        self.kubectl("delete", "node", name, "--wait=false")

    def _prepare_network(self) -> None:
        """Make what the API server's address needs; the loopback needs nothing."""

    def _start_nodes(self) -> None:
        """Start what runs the nodes."""
        stages, fates = (Path(__file__).parent / name for name in ("stages.yaml", "fates.yaml"))
        self._start(
            "kwok",
            (
                f"--kubeconfig={self.admin_kubeconfig}",
                "--manage-all-nodes=true",
                f"--config={stages}",
                f"--config={fates}",
                f"--config={self._logs}",
                "--node-ip=127.0.0.1",
                f"--node-port={self._kubelet_port}",
                f"--server-address=127.0.0.1:{self._kubelet_port}",
                "--node-lease-duration-seconds=40",
                "--cidr=198.18.0.1/15",  # of benchmarks: nobody's network, since the operator asks pods
            ),
        )

    def _start(self, name: str, flags: Sequence[str]) -> None:
        self._running[name] = self.run(name, (str(self._paths[name]), *flags))

    def _wait(self, name: str, works: Any) -> None:
        end = time.monotonic() + _START_SECONDS
        while not works():
            self.check()
            if time.monotonic() > end:
                log = self._running[name].end_of_log()
                raise StartError(f"{name} does not work after {_START_SECONDS:g} s:\n{log}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        said = self.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False)
        return said.strip() == "ok"

    def _has_default_service_account(self) -> bool:
        return "default" in self.kubectl("get", "serviceaccount", "default", "-o", "name", check=False).split("/")[-1]

    def _etcd(self, path: str, body: Mapping[str, Any]) -> Any:
        url = f"http://127.0.0.1:{self._etcd_port}{path}"
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10) as answer:
            return json.load(answer)

    def _etcd_flags(self) -> tuple[str, ...]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        return (
            f"--data-dir={self.folder / 'etcd'}", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync", "--log-level=warn",
        )  # fmt: skip

    def _apiserver_flags(self) -> tuple[str, ...]:
        key = self.folder / "service-account.key"
        return (
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--bind-address={self._address}",
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged",
            f"--audit-policy-file={self.folder / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=0",
            *self._access_flags(),
        )

    def _access_flags(self) -> tuple[str, ...]:
        """Return how the API server and its nodes find each other."""
        return ("--endpoint-reconciler-type=none",)  # loopback is no address for an endpoint

    def _users(self) -> dict[str, tuple[str, str]]:
        """Return the names and the groups of those who have a token, by their kubeconfig's name."""
        return {"admin": ("admin", "system:masters")}

    def _write_kubeconfigs(self) -> None:
        cluster = {"server": self.server, "certificate-authority": str(self.ca_file)}
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        with tokens.open("w", encoding="utf-8") as file:
            for name, (user, group) in self._users().items():
                token = secrets.token_hex(16)
                file.write(f"{token},{user},{user}{group and f',{group}'}\n")
                write_kubeconfig(self.folder / f"{name}.kubeconfig", cluster, token)

    def _write_files(self) -> None:
        (self.folder / "service-account.key").write_bytes(_new_key())
        rules: list[dict[str, Any]] = [{"level": "None"}]
        if self._audited:
            rules.insert(0, {"level": "Metadata", "users": list(self._audited)})
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(policy))
        self.set_previous_log("")
        logs = {"logsFile": str(self._previous_log), "previousLogsFile": str(self._previous_log), "follow": False}
        kind = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs", "metadata": {"name": "logs"}}
        self._logs.write_text(yaml.safe_dump(kind | {"spec": {"logs": [logs]}}))
        self._write_kubeconfigs()


def _new_key() -> bytes:
    """Return a key to sign ServiceAccount tokens with."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
