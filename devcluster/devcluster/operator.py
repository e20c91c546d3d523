"""The operator as a process on this machine, with the rights it has in production and no others."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import yaml

from devcluster.cluster import Cluster
from devcluster.controlplane.ports import free_ports
from devcluster.definitions import until_established
from devcluster.processes import Process, StartError
from devcluster.waiting import wait_until

NAMESPACE: Final = "mistral-operator-system"
SERVICE_ACCOUNT: Final = "mistral-operator"
COMMAND: Final = Path(sys.executable).with_name("mistral-operator")
_CRD: Final = "mistraldeployments.mistral-operator.io"
_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_TOKEN_SECONDS: Final = 30 * 24 * 3600  # nobody renews it


class Operator:
    """``mistral-operator run`` under a token of its own ServiceAccount.

    A context manager: entering installs what it needs and starts it, without waiting; leaving stops it. Several may
    run at once, and one may be started again after it ended. It ends when the cluster's context does at the latest.

    Parameters
    ----------
    hub_url
        What its ``HF_ENDPOINT`` is; None leaves it the hub that this process's environment names.
    arguments
        Further arguments of ``mistral-operator run``.
    name
        Name of its log file; operators that run at once need different ones.
    install_crd
        Whether entering applies the CustomResourceDefinition too.
    namespace
        Where its ServiceAccount and its Lease are.
    command
        The program that is started; it may be another build.
    """

    def __init__(
        self,
        cluster: Cluster,
        hub_url: str | None,
        *,
        arguments: Sequence[str] = (),
        name: str = "operator",
        install_crd: bool = True,
        namespace: str = NAMESPACE,
        command: Path = COMMAND,
    ) -> None:
        self._cluster = cluster
        self._hub_url = hub_url
        self._arguments = tuple(arguments)
        self._name = name
        self._install_crd = install_crd
        self._namespace = namespace
        self._command = command
        self._port = 0
        self._process: Process | None = None
        self.log_path = cluster.folder / f"{name}.log"

    def __enter__(self) -> Self:
        self.install()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Number of its process, also after it has ended."""
        return self._started.pid

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """What its process ended with; None while it runs, negative for a signal."""
        return self._started.exit_code

    @property
    def url(self) -> str:
        """Where /healthz, /readyz and /metrics are."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What it has logged since its first start."""
        return self.log_path.read_text(errors="replace")

    def install(self) -> None:
        """Apply its namespace, its rights and, unless told not to, the CustomResourceDefinition."""
        namespace = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}})
        manifests = [namespace, self._rights()]
        if self._install_crd:
            manifests.append(_printed("crd"))
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin="---\n".join(manifests))
        if self._install_crd:
            until_established(self._cluster, _CRD)

    def uninstall(self) -> None:
        """Delete its namespace with everything in it, and its rights; the CustomResourceDefinition stays."""
        self._cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=self._rights(), timeout_seconds=120)
        self._cluster.kubectl(
            "delete", "--ignore-not-found", "namespace", self._namespace, "--timeout=110s", timeout_seconds=120
        )

    def start(self) -> None:
        """Start it; :meth:`wait_ready` says when it works."""
        (self._port,) = free_ports(1)
        kubeconfig = self._cluster.kubeconfig_for_service_account(
            self._namespace, SERVICE_ACCOUNT, seconds=_TOKEN_SECONDS
        )
        cache = self._cluster.folder / f"{self._name}-hub"  # a later hub on the same port is another one
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HUB_CACHE": str(cache)}
        if self._hub_url is not None:
            environment["HF_ENDPOINT"] = self._hub_url
        http = ("--http-host=127.0.0.1", f"--http-port={self._port}", f"--lease-namespace={self._namespace}")
        command = (str(self._command), "run", *http, *self._arguments)
        self._process = self._cluster.run(self._name, command, environment)

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until /readyz says so.

        Raises
        ------
        StartError
            When it ended, with the end of its log.
        TimeoutError
            When it did not become ready in time.
        """
        wait_until(f"{self._name} to be ready", self._is_ready, seconds=seconds)

    def check(self) -> None:
        """Raise when it has ended.

        Raises
        ------
        StartError
            With the end of its log.
        """
        self._started.check()

    def kill(self) -> None:
        """End it with SIGKILL, as a node that dies would."""
        if self._process is not None:
            self._process.end()

    def stop(self) -> None:
        """End it as a kubelet would: SIGTERM, and SIGKILL when that does not help."""
        if self._process is not None:
            self._process.end(grace_seconds=_STOP_SECONDS)

    @property
    def _started(self) -> Process:
        if self._process is None:
            raise StartError(f"{self._name} was never started")
        return self._process

    def _rights(self) -> str:
        return _printed("rbac", f"--namespace={self._namespace}", f"--service-account={SERVICE_ACCOUNT}")

    def _is_ready(self) -> bool:
        self._started.check()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310 - always http
                return bool(answer.status == 200)
        except OSError:
            return False


def _printed(*arguments: str) -> str:
    return subprocess.run((COMMAND, *arguments), capture_output=True, text=True, check=True, timeout=60).stdout  # noqa: S603
