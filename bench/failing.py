"""Whether objects that fail slow down those that do not: how long a healthy one waits for its Deployment, in one run.

One operator on etcd and kube-apiserver alone. By turns a burst of healthy objects is measured beside as many that are
well, and beside as many that fail in every way at once, their pods ending anew as often as Kubernetes lets them; the
medians are compared.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.background import Check, in_background
from bench.converge.api import ApiServer, Resource
from bench.converge.creating import NAMESPACE, Creator
from bench.converge.errors import BenchmarkError
from bench.converge.own import own_operator
from bench.converge.preparing import prepare
from bench.converge.processes import OperatorProcess
from bench.converge.watching import Sightings, watching
from devcluster.binaries.progress import Progress
from devcluster.controlplane import ControlPlane

_RESULTS: Final = Path("bench/results/failing.json")
_TURNS: Final = 3
_TIMEOUT_SECONDS: Final = 120.0  # for a burst, which takes seconds
_ROUND_SECONDS: Final = 10.0  # the shortest back-off of a container that ends
_LABELS: Final = {"app.kubernetes.io/managed-by": "mistral-operator", "app.kubernetes.io/name": "vllm"}
_PODS: Final = Resource("Pod", "pods", f"/api/v1/namespaces/{NAMESPACE}/pods")


def _waits(reason: str, message: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


_SILENT: Final = _waits("ContainerCreating", "")


def _ended(reason: str, code: int, message: str = "") -> dict[str, Any]:
    end = {"reason": reason, "exitCode": code, "finishedAt": datetime.now(UTC).isoformat(timespec="seconds")}
    return _waits("CrashLoopBackOff", "back-off") | {"lastState": {"terminated": end | {"message": message}}}


def _unscheduled(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def failures() -> list[dict[str, Any]]:
    """Return what pods that fail may show: a container's status, or a pod's."""
    return [
        _ended("Error", 1, "OutOfMemoryError: CUDA out of memory. Tried to allocate 112.00 MiB."),
        _ended("Error", 1),  # its log is asked for
        _ended("OOMKilled", 137),
        _ended("Error", 137),  # its Events are asked for
        _waits("ImagePullBackOff", 'Back-off pulling image "a": ErrImagePull: a: not found'),
        _waits("CreateContainerConfigError", 'secret "hf" not found'),
        _SILENT,  # its Events are asked for, after a while
        _unscheduled("0/5 nodes are available: 5 Insufficient nvidia.com/gpu."),
        _unscheduled("0/5 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
    ]


def well() -> list[dict[str, Any]]:
    """Return what a pod that serves shows."""
    return [{"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}]


def _status(state: dict[str, Any]) -> dict[str, Any]:
    if "phase" in state:
        return {"status": state}
    container = {"name": "vllm", "image": "a", "imageID": "", "ready": False, "restartCount": 1, **state}
    return {"status": {"phase": "Running", "containerStatuses": [container]}}


_NEIGHBOURS: Final = {"well": well, "failing": failures}


class Neighbours:
    """Objects whose pods are each in one of several states, and come into it anew again and again."""

    def __init__(
        self, api: ApiServer, creator: Creator, names: list[str], states: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self._api = api
        self._creator = creator
        self._states = states
        self.names = names

    async def create(self) -> None:
        """Create the objects and their pods."""
        await self._creator.create_all(self.names)
        for name in self.names:
            metadata = {"name": name, "labels": {**_LABELS, "app.kubernetes.io/instance": name}}
            spec = {"containers": [{"name": "vllm", "image": "a"}]}
            await self._api.create(_PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        await self._change(pause_seconds=0)

    def again_and_again(self, check: Check) -> AbstractAsyncContextManager[Check]:
        """Let every pod change anew each round; yield a check that raises when they do so no more, too."""
        return in_background(self._keep_changing(), check)

    async def _keep_changing(self) -> None:
        while True:
            await self._change(_ROUND_SECONDS / len(self.names))

    async def _change(self, pause_seconds: float) -> None:
        for name, state in zip(self.names, itertools.cycle(self._states()), strict=False):
            await self._api.patch_status(_PODS, name, _status(state))
            await asyncio.sleep(pause_seconds)


async def _burst(creator: Creator, sightings: Sightings, names: list[str], check: Check) -> float:
    """Create objects at once; return the median of the seconds until each had its Deployment."""
    sightings.expect(names)
    await creator.create_all(names)
    await sightings.converged(_TIMEOUT_SECONDS, check)
    return statistics.median(sightings.deployments[name] - creator.begun[name] for name in names)


async def _measure(
    plane: ControlPlane, process: OperatorProcess, template: dict[str, Any], count: int, wishes: Any
) -> Any:
    async with ApiServer.of(plane) as api:
        resource = await api.resource(template["apiVersion"], template["kind"], NAMESPACE)
        creator = Creator(api, resource, template, None)
        seconds: dict[str, list[float]] = {name: [] for name in _NEIGHBOURS}
        async with watching(api, resource, wishes) as (sightings, check_watches):

            def check() -> None:
                process.check()
                check_watches()  # nobody is seen to converge by a watch that has ended

            async def burst(kind: str, check: Check = check) -> float:
                return await _burst(creator, sightings, [f"{kind}-{n:05d}" for n in range(count)], check)

            _say(f"{count} healthy objects, to warm up")
            await burst("cold")
            # by turns: the more objects there are, the longer everything takes
            for turn, (kind, states) in itertools.product(range(_TURNS), _NEIGHBOURS.items()):
                _say(f"turn {turn + 1} of {_TURNS}: {count} healthy objects beside {count} that are {kind}")
                names = [f"{kind}-{turn}-{n:05d}" for n in range(count)]
                neighbours = Neighbours(api, creator, names, states)
                sightings.expect(names)
                await neighbours.create()
                await sightings.converged(_TIMEOUT_SECONDS, check)
                async with neighbours.again_and_again(check) as check_all:
                    await asyncio.sleep(2 * _ROUND_SECONDS)
                    seconds[kind].append(await burst(f"beside-{kind}-{turn}", check_all))
                if kind == "failing":
                    # in a thread, as the deletion: the API server ends watches that nobody reads for a while
                    await asyncio.to_thread(_check_that_causes_are_told, plane, names)
                await asyncio.to_thread(_delete, plane, names)
                await asyncio.sleep(_ROUND_SECONDS)
    return {
        "objects": count,
        **{f"beside_{kind}_p50_seconds": each for kind, each in seconds.items()},
        "ratio": statistics.median(seconds["failing"]) / statistics.median(seconds["well"]),
        "resident_mib": process.usage().resident_bytes / 2**20,
    }


def _delete(plane: ControlPlane, names: list[str]) -> None:
    for kind in ("mdep", "pods"):
        _kubectl(plane, "delete", kind, *names, "--wait=false")


def _kubectl(plane: ControlPlane, *arguments: str) -> str:
    try:
        return plane.kubectl(*arguments, "-n", NAMESPACE)
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"kubectl {' '.join(arguments[:2])} fails: {str(error.stderr).strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"kubectl {' '.join(arguments[:2])} has not ended after {error.timeout:g} s") from error


def _check_that_causes_are_told(plane: ControlPlane, names: list[str]) -> None:
    """Raise when objects do not say why they fail, apart from those whose pods say nothing and have no Events."""
    bodies = json.loads(_kubectl(plane, "get", "mdep", "-o", "json"))["items"]
    reasons = {
        body["metadata"]["name"]: condition["reason"]
        for body in bodies
        for condition in body.get("status", {}).get("conditions", ())
        if condition["type"] == "Available"
    }
    states = itertools.cycle(failures())
    silent = {name for name, state in zip(names, states, strict=False) if state == _SILENT}
    untold = [name for name in names if reasons.get(name, "NoPodAvailable") == "NoPodAvailable" and name not in silent]
    if untold:
        raise BenchmarkError(f"{len(untold)} objects do not say why they fail, {untold[0]} among them")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _shown(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in seconds) + " s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100, help="healthy objects of a burst, and objects beside them")
    parser.add_argument("--json", type=Path, default=_RESULTS, help="where the figures are written")
    arguments = parser.parse_args()
    with (
        own_operator() as operator,
        ControlPlane(Progress(), controllers=False, audited=[operator.user]) as plane,
    ):
        prepare(plane, operator)
        plane.kubectl("create", "serviceaccount", "default", "-n", NAMESPACE)
        environment = {
            **operator.environment,
            "KUBECONFIG": str(plane.kubeconfig_for_service_account(*operator.account)),
        }
        with OperatorProcess(plane, operator.label, operator.command, environment) as process:
            try:
                figures = asyncio.run(_measure(plane, process, operator.object(), arguments.n, operator.wishes))
            except BenchmarkError as error:
                raise SystemExit(f"Error: {error}\n{process.end_of_log()}") from error
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"apply to Deployment, p50 of {arguments.n} healthy objects at once")  # noqa: T201
    print(f"  beside {arguments.n} that are well           {_shown(figures['beside_well_p50_seconds'])}")  # noqa: T201
    print(f"  beside {arguments.n} that fail in every way  {_shown(figures['beside_failing_p50_seconds'])}")  # noqa: T201
    print(f"  ratio                              {figures['ratio']:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
