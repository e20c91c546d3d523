"""The command line's plan on a cluster's own GPUs and Secrets: what it prints is what the operator does there."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from cluster.live import MISTRAL_7B, NEMO, Live, manifest
from devcluster.controlplane import ControlPlane
from devcluster.hub import Fault, HubServer, Kind
from devcluster.operator import COMMAND
from mistral_operator.api.names import PLAN_ANNOTATION

Plan: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
CODESTRAL = "mistralai/Codestral-22B-v0.1"
MIXTRAL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
DEVSTRAL = "mistralai/Devstral-2-123B-Instruct-2512"
TOKEN = "hf_of_the_secret"  # noqa: S105 - no secret: it is what must not be found in any output
REFERENCE = {"name": "hf", "key": "token"}


@pytest.fixture
def plan(plane: ControlPlane, hub: HubServer, tmp_path: Path) -> Plan:
    """Run ``mistral-operator plan --context local`` as the administrator, or as another kubeconfig says."""

    def run(
        *arguments: str, stdin: Any = None, kubeconfig: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        where = {"KUBECONFIG": str(kubeconfig or plane.admin_kubeconfig), "HF_ENDPOINT": hub.url}
        home = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(  # noqa: S603 - our own command
            (str(COMMAND), "plan", "--context", "local", *arguments),
            input=None if stdin is None else yaml.safe_dump(stdin),
            text=True, capture_output=True, check=False, timeout=60, env=where | home | environment,
        )  # fmt: skip

    return run


@pytest.fixture
def gated(hub: HubServer) -> Iterator[str]:
    """Return a model that only the token of a Secret may read, until the test ends."""
    hub.faults[CODESTRAL] = Fault(Kind.GATED, tokens=frozenset({TOKEN}))
    yield CODESTRAL
    del hub.faults[CODESTRAL]


def asked(live: Live, name: str = "m", model: str = MISTRAL_7B, **spec: Any) -> dict[str, Any]:
    """Return a MistralDeployment of the test's namespace."""
    body = manifest(name, model, **spec)
    return body | {"metadata": {"name": name, "namespace": live.namespace}}


def check(done: "subprocess.CompletedProcess[str]", code: int, *says: str) -> None:
    """Check that the command ended with one sentence and a next step, and nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert (lines[0].startswith("Error: "), lines[-1].startswith("Next: ")) == (True, True), done.stderr
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr


def is_in(wanted: Any, there: Any) -> bool:
    """Tell whether an object has all that a manifest says; the API server fills in the rest."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(name in there and is_in(of, there[name]) for name, of in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(there) and all(is_in(one, of) for one, of in zip(wanted, there, strict=True))
    return bool(wanted == there)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="a model alone"),
        pytest.param(
            {
                "gpu": {"minMemory": "80Gi"},
                "parallelism": {"tensor": 2},
                "storage": {"pvc": {"create": {"size": "50Gi"}}},
                "env": [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}],
                "extraArgs": ["--enable-prefix-caching"],
                "service": {"port": 80},
            },
            id="many fields",
        ),
    ],
)
def test_manifests_are_those_the_operator_applies(spec: dict[str, Any], live: Live, plan: Plan) -> None:
    """Every field that is printed stands in the child that the operator made, the plan's digest included."""
    body = asked(live, **spec)
    live.create(body)
    live.until("the Deployment", lambda: live.find("Deployment", "m"))
    done = plan("-f", "-", "-o", "manifests", stdin=body)
    assert done.returncode == 0, done.stderr
    printed = list(yaml.safe_load_all(done.stdout))
    for one in printed:
        child = live.get(one["kind"], "m")
        assert is_in(one, child), yaml.safe_dump_all([one, child])
    assert PLAN_ANNOTATION in printed[-1]["spec"]["template"]["metadata"]["annotations"]
    assert {one["kind"] for one in printed} == {
        kind for kind in ("Deployment", "Service", "PersistentVolumeClaim") if live.find(kind, "m")
    }


@pytest.mark.parametrize(
    ("model", "spec", "lands_on", "backend"),
    [
        pytest.param(MISTRAL_7B, {}, "NVIDIA-H200,NVIDIA-L4,NVIDIA-A100-SXM4-80GB", "XFORMERS", id="a window"),
        pytest.param(NEMO, {"gpu": {"products": ["NVIDIA-L4"]}, "engine": {"gpuMemoryUtilization": 0.5}}, None, None,
                     id="refused"),
        pytest.param(MIXTRAL, {}, "NVIDIA-H200", "Auto", id="the only card that is large enough"),
        pytest.param(DEVSTRAL, {}, "NVIDIA-H200", "Auto", id="a context that is set to what fits"),
        pytest.param(DEVSTRAL, {"parallelism": {"tensor": 4}, "engine": {"maxModelLen": 131072}},
                     "NVIDIA-H200,NVIDIA-A100-SXM4-80GB", "Auto", id="four a pod"),
    ],
)  # fmt: skip
def test_the_status_says_what_the_plan_says(
    model: str, spec: dict[str, Any], lands_on: str | None, backend: str | None, live: Live, plan: Plan
) -> None:
    """Everything that the command prints of a status is what the operator writes, to the byte; so is a refusal."""
    body = asked(live, model=model, replicas=0, **spec)
    live.create(body)
    done = plan("-f", "-", "-o", "json", stdin=body)
    if lands_on is None:
        told = live.until_condition("m", "HardwareCompatible", "False")["message"]
        error, next_step = done.stderr.splitlines()
        assert f"MistralDeployment {live.namespace}/m: {told}." == (
            f"{error.removeprefix('Error: ').rstrip('.')}. {next_step.removeprefix('Next: ')}"
        )
        return
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    hardware = live.until_condition("m", "HardwareCompatible", "True")
    status = live.get("MistralDeployment", "m")["status"]
    assert {name: status.get(name) for name in document["status"]} == document["status"]
    assert {name: hardware[name] for name in document["hardware"]} == document["hardware"]
    assert (status["gpu"], status["attention"]["backend"]) == (lands_on, backend)
    assert status["resolved"]["args"] == document["args"]
    assert status.get("warnings", []) == document["warnings"]


def test_classes_of_gpus(live: Live, plan: Plan) -> None:
    """Classes that the plan holds for come first, the others each with the reason why pods may not run there."""
    done = plan("-f", "-", "-o", "json", stdin=asked(live, gpu={"minMemory": "40Gi"}))
    document = json.loads(done.stdout)
    classes = {gpu["product"]: gpu for gpu in document["gpuClasses"]}
    admitted = [product for product, gpu in classes.items() if gpu["admitted"]]
    assert admitted == ["NVIDIA-H200", "NVIDIA-A100-SXM4-80GB"]
    assert classes["Tesla-T4"]["message"] == "less memory than spec.gpu.minMemory 40Gi"
    assert document["memory"]["perGPU"] == 81920 << 20
    assert not [text for text in document["assumptions"] if text.startswith(("GPU", "hub", "namespace"))]
    drawn = plan("-f", "-", stdin=asked(live, gpu={"minMemory": "40Gi"})).stdout
    assert "runs on   NVIDIA-H200 (140 GiB, compute capability 9.0)" in drawn
    assert "left out  Tesla-T4" in drawn


def test_a_model_on_the_most_capable_class(plan: Plan) -> None:
    """Without a file the plan is made for the best of the cluster's GPUs."""
    document = json.loads(plan(NEMO, "-o", "json").stdout)
    assert document["memory"]["perGPU"] == 143771 << 20
    assert document["gpuClasses"][0]["product"] == "NVIDIA-H200"
    assert not [text for text in document["assumptions"] if text.startswith("GPU")]
    check(plan(NEMO, "--gpus", "16"), 4, "a node has at most 8 of them, a pod needs 16", "Lower --gpus")


def test_a_resource_that_no_node_offers(live: Live, plan: Plan) -> None:
    """The plan rests on the spec alone, as the operator's does, and says so."""
    done = plan("-f", "-", "-o", "json", stdin=asked(live, gpu={"resourceName": "nvidia.com/mig-3g.71gb"}))
    document = json.loads(done.stdout)
    assert document["gpuClasses"] == []
    assert "GPU: no node offers nvidia.com/mig-3g.71gb" in str(document["assumptions"])


def test_no_gpu_of_the_cluster_will_do(live: Live, plan: Plan) -> None:
    """Each class is named with its reason."""
    body = asked(live, gpu={"products": ["NVIDIA-B200"]})
    check(plan("-f", "-", stdin=body), 4, f"{live.namespace}/m", "Tesla-T4", "not among spec.gpu.products")


def test_the_token_of_the_secret(live: Live, plan: Plan, gated: str) -> None:
    """The hub is read as the operator reads it: with the Secret's token, and never with this machine's own."""
    body = asked(live, model=gated, hfTokenSecretRef=REFERENCE)
    check(plan("-f", "-", stdin=body, HF_TOKEN=TOKEN), 3, f"Secret {live.namespace}/hf", "does not exist")
    live.secret("hf", {"other": TOKEN})
    check(plan("-f", "-", stdin=body, HF_TOKEN=TOKEN), 3, "has no key 'token'")
    live.secret("hf", {"token": TOKEN})
    done = plan("-f", "-", "-o", "manifests", stdin=body)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    told = ("is gated, and no token was sent", "set spec.hfTokenSecretRef (with --context", "never HF_TOKEN)")
    check(plan("-f", "-", stdin=asked(live, model=gated), HF_TOKEN=TOKEN), 3, *told)


def test_the_namespace_of_the_context(live: Live, plane: ControlPlane, plan: Plan, tmp_path: Path) -> None:
    """A file that names no namespace is planned for the context's, as kubectl would apply it."""
    config = yaml.safe_load(plane.admin_kubeconfig.read_text(encoding="utf-8"))
    config["contexts"][0]["context"]["namespace"] = live.namespace
    del config["current-context"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    live.secret("hf", {"token": TOKEN})
    done = plan("-f", "-", "-o", "json", stdin=manifest("m", hfTokenSecretRef=REFERENCE), kubeconfig=kubeconfig)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["namespace"] == live.namespace


def test_a_user_without_rights(live: Live, plane: ControlPlane, plan: Plan) -> None:
    """Nodes that may not be listed are an error of usage; a Secret that may not be read is its object's affair."""
    kubeconfig = plane.kubeconfig_for_service_account(live.namespace, "default")
    body = asked(live, hfTokenSecretRef=REFERENCE)
    refused = plan("-f", "-", stdin=body, kubeconfig=kubeconfig)
    check(refused, 2, "--context local cannot be read", "nodes is forbidden", "Use a context that may list nodes")
    role, account = f"nodes-{live.namespace}", f"{live.namespace}:default"
    plane.kubectl("create", "clusterrole", role, "--verb=list", "--resource=nodes")
    plane.kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}", f"--serviceaccount={account}")
    try:
        refused = plan("-f", "-", stdin=body, kubeconfig=kubeconfig)
    finally:
        plane.kubectl("delete", f"clusterrole/{role}", f"clusterrolebinding/{role}")
    check(refused, 3, f"Secret {live.namespace}/hf", "may not be read by the user of context local")


def test_a_cluster_that_does_not_answer(plane: ControlPlane, plan: Plan, tmp_path: Path) -> None:
    """The request and the context are named."""
    config = yaml.safe_load(plane.admin_kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    check(plan(MISTRAL_7B, kubeconfig=kubeconfig), 2, "--context local", "127.0.0.1:9", "Check that the cluster is up")


def test_a_context_that_is_not_there(plan: Plan) -> None:
    """The contexts that there are are named."""
    check(plan(MISTRAL_7B, "--context", "elsewhere"), 2, "no context 'elsewhere': it has local")
