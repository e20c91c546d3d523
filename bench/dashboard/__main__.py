"""``python -m bench.dashboard``: ask what the dashboard asks of a cluster that is at work, for docs/monitoring.md.

Needs what ``make test-image`` installs. Its answers are then drawn; matplotlib is no dependency::

    uv run python -m bench.dashboard ANSWERS.json
    uv run --with matplotlib python -m bench.dashboard.drawing ANSWERS.json

Two operators and a Prometheus on the local control plane, a dozen MistralDeployments in several states, and one real
vLLM on the CPU with its clients; seven minutes.
"""

import argparse
import itertools
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.dashboard.answers import Answers
from bench.dashboard.models import ADDRESS, NAMESPACES, NODES, acts, hub_folder
from bench.dashboard.panels import panels
from bench.dashboard.prometheus import JOB, Prometheus, Scraped
from bench.dashboard.vllm import Vllm
from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane
from devcluster.hub import HubServer
from devcluster.operator import NAMESPACE, Operator
from mistral_operator.api.names import CONTAINER_PORT

_CLIENTS: Final = (3, 9, 5)  # one third of the time each
_POD: Final = {"namespace": "lab", "app_kubernetes_io_instance": "tiny-mistral", "pod": "tiny-mistral-0"}
_ARGUMENTS: Final = ("--hub-slow-retry=20", "--hub-recheck=60", "--token-seconds=5", "--lease-duration=6")


def main() -> None:
    """Let everything happen, then ask."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="how long it is watched (default: 300)")
    parser.add_argument("answers", type=Path, help="where the answers go")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(Progress()))
        plane.add_nodes(NODES)
        vllm = Vllm(plane, ADDRESS)
        vllm.save_model()
        vllm.start()
        hub = stack.enter_context(HubServer(hub_folder(plane.folder / "hub", vllm.folder)))
        operators = [
            stack.enter_context(Operator(plane, hub.url, arguments=_ARGUMENTS, name=name, install_crd=first))
            for name, first in (("operator-a", True), ("operator-b", False))
        ]
        vllm.wait_ready()
        prometheus = Prometheus(plane, [*map(_operator, operators), Scraped(f"{ADDRESS}:{CONTAINER_PORT}", _POD)])
        prometheus.wait_ready()
        for namespace in NAMESPACES:
            plane.kubectl("create", "namespace", namespace)
        begun = time.time()
        _happen(plane, hub, vllm, chosen.seconds)
        Answers.ask(list(panels()), prometheus, begun, chosen.seconds).write(chosen.answers)


def _operator(operator: Operator) -> Scraped:
    labels = {"job": JOB, "namespace": NAMESPACE, "instance": operator.log_path.stem}
    return Scraped(operator.url.removeprefix("http://"), labels)


def _happen(plane: ControlPlane, hub: HubServer, vllm: Vllm, seconds: float) -> None:
    begun = time.monotonic()

    def until(at: float) -> None:
        time.sleep(max(0.0, begun + at - time.monotonic()))

    waiting = iter(acts())
    upcoming = next(waiting, None)
    third = seconds / len(_CLIENTS)
    for number, clients in zip(itertools.count(1), _CLIENTS, strict=False):
        with vllm.clients(clients):
            while upcoming is not None and upcoming.seconds < number * third:
                until(upcoming.seconds)
                upcoming.act(plane, hub)
                upcoming = next(waiting, None)
            until(number * third)
        vllm.check()


if __name__ == "__main__":
    main()
