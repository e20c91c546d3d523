"""Which GPUs lead, which are admitted beside them, and what is planned where none are known."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from cluster.conftest import QUICK
from cluster.live import Body, Live, condition_of, container_of
from cluster.namespaces import new_namespace
from cluster.processes import ask
from devcluster.binaries.progress import Progress
from devcluster.controlplane import A100_80GB, CPU_ONLY, H200, L4, T4, ControlPlane, NodeKind
from devcluster.hub import HubServer
from devcluster.operator import COMMAND, NAMESPACE, SERVICE_ACCOUNT, Operator

T4_X4: Final = replace(T4, name="t4-x4", gpus=4)
A100_X1: Final = replace(A100_80GB, name="a100-x1", gpus=1)
ALL: Final = (H200, A100_80GB, L4, T4)
BLINDFOLDED: Final = "without-nodes"
XFORMERS: Final = {"sliding_attention": "XFORMERS"}


@pytest.fixture(scope="module")
def own_plane(hub: HubServer) -> Iterator[ControlPlane]:
    """Return a control plane without a GPU, and an operator at work."""
    with ControlPlane(Progress()) as plane, Operator(plane, hub.url, arguments=QUICK) as operator:
        plane.add_node("cpu-0", CPU_ONLY)
        operator.wait_ready()
        yield plane


@pytest.fixture
def own(own_plane: ControlPlane) -> Iterator[Live]:
    """Return a namespace on it."""
    with new_namespace(own_plane) as live:
        yield live


@contextmanager
def nodes(live: Live, *kinds: NodeKind) -> Iterator[None]:
    """Let nodes be there for a while."""
    names = {f"{kind.name}-0": kind for kind in kinds}
    live.plane.add_nodes(names)
    try:
        yield
    finally:
        for name in names:
            live.plane.remove_node(name)


def planned(live: Live, name: str = "m") -> list[str]:
    """Return the products that the plan holds for, the leader first."""
    status = live.get("MistralDeployment", name).get("status", {})
    return [found["product"] for found in status.get("resolved", {}).get("gpuClasses", ())]


def argument(live: Live, flag: str) -> str:
    """Return what follows a flag in the container's arguments."""
    arguments = container_of(live.get("Deployment", "m"))["args"]
    return str(arguments[arguments.index(flag) + 1])


@pytest.mark.parametrize(
    ("kinds", "spec", "products", "backends", "batched_tokens"),
    [
        pytest.param(ALL, {}, [H200, L4, A100_80GB], XFORMERS, 8192, id="the newest leads"),
        pytest.param(ALL, {"gpu": {"minMemory": "80Gi"}}, [H200, A100_80GB], XFORMERS, 8192, id="80 GB cards count"),
        pytest.param(ALL, {"gpu": {"minComputeCapability": "8.9"}}, [H200, L4], XFORMERS, 8192, id="newer than A100"),
        pytest.param((A100_80GB, L4), {}, [L4, A100_80GB], XFORMERS, 2048, id="L4 leads by its capability"),
        pytest.param(
            (A100_80GB, L4, T4), {"gpu": {"minMemory": "40Gi"}}, [A100_80GB], XFORMERS, 2048,
            id="A100 leads by its memory",
        ),
        pytest.param(
            (T4_X4,), {"parallelism": {"tensor": 2}}, [T4_X4], {"sliding_attention": "TRITON_ATTN"}, 2048,
            id="T4 leads alone, two a pod",
        ),
    ],
)  # fmt: skip
def test_who_leads(
    own: Live,
    kinds: tuple[NodeKind, ...],
    spec: Mapping[str, Any],
    products: list[NodeKind],
    backends: Body,
    batched_tokens: int,
) -> None:
    """The most capable class that admits a plan gives backend and batch sizes; those that run the same are admitted."""
    with nodes(own, *kinds):
        own.mdep("m", replicas=0, **spec)  # no pod may settle a plan before all nodes are seen
        wanted = [kind.product for kind in products]

        def told() -> bool:
            message = condition_of(own.get("MistralDeployment", "m"), "HardwareCompatible").get("message", "")
            # every class there is: as planned for, or as left out and why
            named = all(str(kind.product) in message for kind in kinds)
            return planned(own) == wanted and named and ("left out" in message) is (len(products) < len(kinds))

        own.until(f"a plan for {wanted}", told)
        own.until_condition("m", "HardwareCompatible", "True", "GPUFound")
        assert own.get("MistralDeployment", "m")["status"]["attention"]["backends"] == backends
        assert argument(own, "--max-num-batched-tokens") == str(batched_tokens)


@pytest.mark.parametrize(
    ("kinds", "gpu", "reason", "words"),
    [
        pytest.param((T4,), {}, "DoesNotFit", "does not fit on 1 Tesla-T4 of 15.0 GiB", id="too small for the model"),
        pytest.param(
            (L4, T4), {"minMemory": "40Gi"}, "NoMatchingGPU", "less memory than spec.gpu.minMemory 40Gi", id="too small"
        ),
        pytest.param(
            (A100_80GB,), {"minComputeCapability": "9.0"}, "NoMatchingGPU", "below spec.gpu.minComputeCapability 9.0",
            id="too old",
        ),
    ],
)  # fmt: skip
def test_nobody_leads(own: Live, kinds: tuple[NodeKind, ...], gpu: Body, reason: str, words: str) -> None:
    """Each class is told with its reason, and nothing is made, until a node comes that will do."""
    with nodes(own, *kinds):
        own.mdep("m", gpu=gpu, replicas=0)

        def told() -> bool:
            found = condition_of(own.get("MistralDeployment", "m"), "HardwareCompatible")
            return found.get("reason") == reason and words in found["message"]

        own.until("the reason", told)
        assert own.get("MistralDeployment", "m")["status"]["phase"] == "Failed"
        with nodes(own, H200):
            own.until("a plan", lambda: planned(own) == [H200.product])


def test_pods_land_on_every_class_that_is_admitted(own: Live) -> None:
    """One Deployment on two kinds of GPU, and on no third."""
    with nodes(own, L4, A100_X1, T4_X4):
        own.mdep("m", replicas=0)
        own.until("a plan for both", lambda: planned(own) == [L4.product, A100_X1.product])
        own.patch("MistralDeployment", "m", {"spec": {"replicas": 3}})
        own.until("two pods on nodes", lambda: len(nodes_of(own)) == 2)
        assert nodes_of(own) == ["a100-x1-0", "l4-0"]

        def waits() -> bool:
            found = condition_of(own.get("MistralDeployment", "m"), "UpToDate")
            return found["status"] == "False" and "no node takes it" in found["message"]

        own.until("the third pod to say that it waits", waits)
        with nodes(own, replace(A100_80GB, name="a100-more")):
            own.until_ready("m")
            assert nodes_of(own) == ["a100-more-0", "a100-x1-0", "l4-0"]


def nodes_of(live: Live) -> list[str]:
    """Return the nodes of the object's pods."""
    return sorted(pod["spec"]["nodeName"] for pod in live.pods("m") if "nodeName" in pod["spec"])


@pytest.mark.parametrize(
    "gpu",
    [{}, {"minMemory": "80Gi", "minComputeCapability": "8.0"}],
    ids=["the model alone", "what the spec describes"],
)
def test_a_cluster_without_gpus(own: Live, gpu: Body) -> None:
    """A plan on the spec alone; pods wait and say for what; the first GPU that comes is planned for anew."""
    own.mdep("m", gpu=gpu)
    told = own.until_condition("m", "HardwareCompatible", "Unknown", "NoGPUNodes")
    assert "pods wait for such a node" in told["message"]
    own.until_condition("m", "BackendSelected", "True")

    def waits() -> bool:
        body = own.get("MistralDeployment", "m")
        available = condition_of(body, "Available")
        assert available.get("status") == "False"
        return available["reason"] in ("AffinityUnmatched", "InsufficientGPU", "Unschedulable") and (
            body["status"]["phase"] == "Scheduling"
        )

    own.until("the status to say that pods wait", waits)
    waiting = own.get("MistralDeployment", "m")
    assert condition_of(waiting, "Ready")["reason"] == condition_of(waiting, "Available")["reason"]
    with nodes(own, H200):
        own.until_ready("m")
        own.until_condition("m", "HardwareCompatible", "True", "GPUFound")
        assert nodes_of(own) == ["h200-0"]
        assert planned(own) == [H200.product]


def test_nodes_without_labels(own: Live) -> None:
    """Their GPUs are used, and nothing is claimed to be known; labels that come later change no pod by themselves."""
    manifest = H200.manifest("plain-0")
    labels = {key: value for key, value in manifest["metadata"]["labels"].items() if key.startswith("nvidia.com/")}
    for key in labels:
        del manifest["metadata"]["labels"][key]
    own.plane.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    try:
        own.mdep("m")
        own.until_ready("m")
        told = own.until_condition("m", "HardwareCompatible", "Unknown", "NoGPUNodes")
        assert "GPU Feature Discovery" in told["message"]
        assert nodes_of(own) == ["plain-0"]
        before = own.get("Deployment", "m")["metadata"]["generation"]

        own.plane.kubectl("label", "node", "plain-0", *(f"{key}={value}" for key, value in labels.items()))
        told = own.until_condition("m", "HardwareCompatible", "Unknown", "NotPlanned")
        assert str(H200.product) in told["message"]
        assert "mistral-operator.io/replan" in told["message"]
        own.until_condition("m", "PlanCurrent", "False", "PlanOutdated")
        own.until_ready("m")
        assert own.get("Deployment", "m")["metadata"]["generation"] == before

        own.patch("MistralDeployment", "m", {"metadata": {"annotations": {"mistral-operator.io/replan": "1"}}})
        own.until_condition("m", "HardwareCompatible", "True", "GPUFound")
        own.until_ready("m")
        assert planned(own) == [H200.product]
    finally:
        own.plane.remove_node("plain-0")


@contextmanager
def operator_without_nodes(plane: ControlPlane, hub: HubServer) -> Iterator[Operator]:
    """Run an operator with the rights that ``mistral-operator rbac --no-nodes`` prints."""
    plane.kubectl("create", "namespace", BLINDFOLDED)
    for printed in (("rbac", "--no-nodes", f"--namespace={BLINDFOLDED}"), ("crd",)):
        said = subprocess.run((str(COMMAND), *printed), capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
        plane.kubectl("apply", "--server-side", "-f", "-", stdin=said.stdout)
    operator = Operator(plane, hub.url, arguments=QUICK, name="operator-without-nodes", namespace=BLINDFOLDED)
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


def test_without_the_right_to_see_nodes(solo: Live, hub: HubServer) -> None:
    """The plan rests on the spec alone, pods run all the same, and the operator does not try what it may not."""
    with operator_without_nodes(solo.plane, hub) as operator:
        operator.wait_ready()
        solo.mdep("m")
        solo.until_ready("m")
        told = solo.until_condition("m", "HardwareCompatible", "Unknown", "NodesNotReadable")
        assert "grant it list and watch" in told["message"]
        assert planned(solo) == []
        assert nodes_of(solo) == ["h200-0"]
        assert operator.running
        assert ask(operator, "/healthz").status == 200
        # the API server's words for a right that is missing; an earlier test's namespace may be going, and forbids too
        assert "forbidden: User" not in operator.log


def test_a_right_that_is_taken_away_for_a_while(solo: Live, hub: HubServer) -> None:
    """Rounds go on, plans rest on the GPUs seen last, and it is said once; then nodes are listed again."""
    binding = f"{NAMESPACE}-{SERVICE_ACCOUNT}-nodes"
    with Operator(solo.plane, hub.url, arguments=QUICK, name="operator-rights-taken") as operator:
        operator.wait_ready()
        solo.plane.kubectl("delete", "clusterrolebinding", binding)
        try:
            solo.until("the missing right to be told", lambda: "may not be listed and watched any more" in operator.log)
            solo.mdep("m")
            solo.until_ready("m")
            assert planned(solo) == [H200.product]
            assert operator.log.count("may not be listed and watched any more") == 1
            assert "failed to list or watch" not in operator.log
        finally:
            operator.install()
        solo.until("nodes to be listed again", lambda: "may be listed and watched again" in operator.log)
        assert operator.running
