"""Fifty objects that cannot work beside fifty that can: the good ones serve, the bad ones say why."""

from collections.abc import Iterator
from typing import Final

import pytest

from cluster.conftest import QUICK
from cluster.live import NEMO, Body, Live, condition_of, manifest
from cluster.traces import log_lines, total
from devcluster.controlplane import H200, ControlPlane
from devcluster.hub import HubServer
from devcluster.operator import Operator

COUNT: Final = 50
BOUND_SECONDS: Final = 90.0
SCALED_ROPE: Final = "mistralai/Ministral-3-3B-Reasoning-2512"
STOCK: Final = {"repository": "vllm/vllm-openai", "tag": "v0.26.0", "runtime": {"name": "vllm", "version": "0.26.0"}}

# the spec, which of its conditions tells, and the reason: what the CustomResourceDefinition lets pass and planning,
# rendering, the API server or the cluster does not
BAD: Final[dict[str, tuple[Body, str, str]]] = {
    "unknown-model": ({"model": {"id": "acme/nowhere"}}, "ModelResolved", "NotFoundOrNoAccess"),
    "unknown-revision": (
        {"model": {"id": "mistralai/Mistral-7B-v0.1", "revision": "nowhere"}}, "ModelResolved", "RevisionMissing",
    ),
    "no-model-id": ({"model": {"id": "../../etc/passwd"}}, "ModelResolved", "InvalidModelId"),
    "no-secret": ({"hfTokenSecretRef": {"name": "nowhere", "key": "token"}}, "ModelResolved", "TokenSecretMissing"),
    "beyond-rope": (
        {"model": {"id": SCALED_ROPE}, "engine": {"maxModelLen": 1_000_000}}, "BackendSelected", "MaxModelLenInvalid",
    ),
    "uneven": ({"parallelism": {"tensor": 3}}, "BackendSelected", "ParallelismInvalid"),
    "no-xformers": (
        {"engine": {"attentionBackend": "XFORMERS"}, "image": STOCK}, "BackendSelected", "NotInRuntime",
    ),
    "does-not-fit": (
        {"model": {"id": NEMO}, "engine": {"maxModelLen": 9_000_000}}, "HardwareCompatible", "DoesNotFit",
    ),
    "no-such-gpu": ({"gpu": {"products": ["NVIDIA-B300"]}}, "HardwareCompatible", "NoMatchingGPU"),
    "no-such-memory": ({"gpu": {"minMemory": "1Ti"}}, "HardwareCompatible", "NoMatchingGPU"),
    "too-many-gpus": ({"parallelism": {"tensor": 64}}, "HardwareCompatible", "NoMatchingGPU"),
    "refused-child": ({"nodeSelector": {"no label!": "x"}}, "Ready", "ChildRefused"),
    "stranger": ({}, "Ready", "ChildNotOwned"),
}  # fmt: skip


@pytest.fixture(scope="module")
def big_nodes(solo_plane: ControlPlane) -> Iterator[None]:
    """Add GPUs for all who can use one."""
    names = [f"many-{number}" for number in range(-(-COUNT // H200.gpus))]
    for name in names:
        solo_plane.add_node(name, H200)
    yield
    for name in names:
        solo_plane.remove_node(name)


def bad_objects() -> dict[str, tuple[Body, str, str]]:
    """Return the objects by name, each with the condition and the reason that must tell."""
    kinds = list(BAD.items())
    found = {}
    for number in range(COUNT):
        name, (spec, condition, reason) = kinds[number % len(kinds)]
        body = manifest(f"{name}-{number}")
        body["spec"] |= spec
        found[body["metadata"]["name"]] = (body, condition, reason)
    return found


def strangers_service(name: str) -> Body:
    """Return a Service that belongs to nobody, and conflicts with nothing."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"name": "other", "port": 1234}]},
    }


def test_bad_objects_do_not_stop_good_ones(solo: Live, hub: HubServer, big_nodes: None) -> None:  # noqa: ARG001
    """All good objects become Ready, all bad ones tell their reason, and the operator takes no harm."""
    bad = bad_objects()
    good = [f"good-{number}" for number in range(COUNT)]
    strangers = [name for name in bad if name.startswith("stranger")]
    for name in strangers:
        solo.create(strangers_service(name))
    with Operator(solo.plane, hub.url, arguments=QUICK, name="operator-many") as operator:
        operator.wait_ready()
        for name, (body, _, _) in zip(good, bad.values(), strict=True):
            solo.create(body)
            solo.mdep(name)

        wanted = dict.fromkeys(good, ("Ready", "True", "Serving"))
        wanted |= {name: (kind, "False", reason) for name, (_, kind, reason) in bad.items()}

        def told() -> dict[str, tuple[str, str | None, str | None]]:
            found = {body["metadata"]["name"]: body for body in solo.all("MistralDeployment")}
            values = {name: condition_of(found[name], kind) for name, (kind, _, _) in wanted.items()}
            return {name: (wanted[name][0], value.get("status"), value.get("reason")) for name, value in values.items()}

        try:
            solo.until("every object to tell what it should", lambda: told() == wanted, BOUND_SECONDS)
        except TimeoutError as error:
            error.add_note(f"not yet: {told().items() - wanted.items()}")
            raise

        for name, (_, _, reason) in bad.items():
            body = solo.get("MistralDeployment", name)
            ready = condition_of(body, "Ready")
            assert (ready["status"], ready["reason"]) == ("False", reason), name
            assert len(ready["message"]) > len(reason), name
        for name in strangers:
            assert solo.get("Service", name)["spec"]["ports"][0]["port"] == 1234
            assert "ownerReferences" not in solo.get("Service", name)["metadata"]
        deployments = [body["metadata"]["name"] for body in solo.all("Deployment")]
        assert sorted(deployments) == sorted(good)
        assert operator.running
        assert total(operator, "mistral_operator_reconciles_total", result="fault") == 0
        assert not [line for line in log_lines(operator) if line["level"] in ("error", "critical")]
        assert "Traceback" not in operator.log
