"""``python -m bench.hostile``."""

import argparse
import asyncio
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import bench.hostile
from bench.converge.creating import NAMESPACE
from bench.converge.errors import BenchmarkError
from bench.converge.operators import Operator
from bench.converge.own import own_operator
from bench.converge.preparing import prepare
from bench.converge.processes import OperatorProcess
from bench.converge.results import write
from bench.hostile import neighbours
from bench.hostile.kubelet import Kubelet
from bench.hostile.measure import measure
from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane
from devcluster.hub import HubServer

_RESULTS: Final = Path("bench/results/hostile.json")
_GOAL: Final = 1.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(bench.hostile.__doc__ or "").splitlines()[0])
    parser.add_argument("-n", type=int, default=60, help="good objects of each turn")
    parser.add_argument("--beside", type=int, default=200, help="objects beside them")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, default=_RESULTS, help="where the figures are written")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="hostile-") as folder,
        Kubelet(Path(folder), neighbours.hostile_log()) as kubelet,
        HubServer() as hub,
        own_operator() as operator,
        ControlPlane(Progress(), controllers=False) as plane,
    ):
        hub.faults.update(neighbours.HUBS)
        _prepare(plane, operator, kubelet)
        account = str(plane.kubeconfig_for_service_account(*operator.account))
        environment = {**operator.environment, "HF_ENDPOINT": hub.url, "KUBECONFIG": account}
        with OperatorProcess(plane, operator.label, operator.command, environment) as process:
            try:
                found = asyncio.run(
                    measure(plane, process, operator, good=arguments.n, beside=arguments.beside, turns=arguments.turns)
                )
            except BenchmarkError as error:
                raise SystemExit(f"Error: {error}\n{process.end_of_log()}") from error
    figures = {"good": arguments.n * arguments.turns, "beside": arguments.beside, "logs_read": kubelet.asked, **found}
    write(arguments.json, shlex.join(["python", "-m", "bench.hostile", *sys.argv[1:]]), [figures])
    for line in table(figures):
        print(line)  # noqa: T201


def table(figures: dict[str, Any]) -> list[str]:
    """Return the figures as they are printed."""
    nobody = figures["nobody"]
    lines = [f"until the status of a good object stands ({figures['good']} of them), beside {figures['beside']} others"]
    for kind in ("nobody", "well", "hostile"):
        found = figures[kind]
        shown = [
            f"{name} {found[key] * 1000:5.0f} ms ({found[key] / nobody[key]:.2f})"
            for name, key in (("p50", "p50_seconds"), ("p99", "p99_seconds"))
        ]
        use = f"operator: {found['cores']:.2f} cores, {found['resident_mib']:.0f} MiB"
        lines.append(f"  beside {kind:8} {'  '.join(shown)}  {use}")
    return [*lines, f"  goal: at most {_GOAL} times those beside nobody; logs of 128 KiB read: {figures['logs_read']}"]


def _prepare(plane: ControlPlane, operator: Operator, kubelet: Kubelet) -> None:
    prepare(plane, operator)
    plane.kubectl("create", "namespace", neighbours.NAMESPACE)
    for namespace in (NAMESPACE, neighbours.NAMESPACE):
        plane.kubectl("create", "serviceaccount", "default", "-n", namespace)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": neighbours.NODE}}
    plane.kubectl("create", "-f", "-", stdin=json.dumps(node))
    addresses = [{"type": "InternalIP", "address": kubelet.address}]
    status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}}}
    patch = json.dumps({"status": status})
    plane.kubectl("patch", "node", neighbours.NODE, "--subresource=status", "--type=merge", "-p", patch)


if __name__ == "__main__":
    main()
