"""Planning MistralDeployments of a file as the operator does, and printing them in four ways."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from cli.written import MISTRAL, NEMO, Run, check, deployment, text_of
from devcluster.hub import Fault, HubServer, Kind

STOCK = {"repository": "registry.example/vllm", "tag": "v1", "runtime": {"name": "vllm", "version": "0.26.0"}}


def container(result: Result) -> dict[str, Any]:
    """Return the vLLM container of the one Deployment that was printed."""
    (found,) = [body for body in yaml.safe_load_all(result.stdout) if body["kind"] == "Deployment"]
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    (one,) = pod["containers"]
    return dict(one)


def test_the_real_command_reads_standard_input(hub: HubServer, tmp_path: Path) -> None:
    """The installed command pipes into ``kubectl apply``: manifests alone on standard output, assumptions beside."""
    done = subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("mistral-operator")), "plan", "-f", "-", "-o", "manifests"],
        input=text_of(deployment()),
        text=True,
        capture_output=True,
        check=False,
        env={"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    assert [body["kind"] for body in yaml.safe_load_all(done.stdout)] == ["Service", "Deployment"]
    assert "Assumed for MistralDeployment team/m: GPU: 80.0 GiB" in done.stderr


def test_it_is_the_document_of_a_model(run: Run) -> None:
    """The plan of a file says what the plan of its model says, and besides whose it is and for which GPUs."""
    model = json.loads(run("plan", MISTRAL, "-o", "json").stdout)
    file = json.loads(run("plan", "-f", "-", "-o", "json", stdin=text_of(deployment())).stdout)
    assert file.keys() - model.keys() == {"name", "namespace", "hardware", "gpuClasses", "status"}
    for name in model.keys() - {"assumptions"}:
        assert file[name] == model[name], name
    assert file["gpuClasses"] == [{"memory": 80 << 30, "computeCapability": "9.0", "admitted": True}]
    assert [text.split(":")[0] for text in file["assumptions"]][:2] == ["image", "GPU"]


def test_several_objects(run: Run) -> None:
    """Each is planned, and each says which one it is; other kinds are passed over aloud."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf"}}
    text = text_of(deployment("a"), secret, deployment("b", model=NEMO))
    told = run("plan", "-f", "-", "-o", "json", stdin=text)
    assert [(one["name"], one["model"]["id"]) for one in json.loads(told.stdout)] == [("a", MISTRAL), ("b", NEMO)]
    assert told.stderr == "Skipped: Secret hf, which is no MistralDeployment.\n"
    as_yaml = run("plan", "-f", "-", "-o", "yaml", stdin=text)
    assert list(yaml.safe_load_all(as_yaml.stdout)) == json.loads(told.stdout)
    drawn = run("plan", "-f", "-", stdin=text).stdout
    assert drawn.index("MistralDeployment team/a") < drawn.index("MistralDeployment team/b")
    assert "runs on  nvidia.com/gpu (80 GiB, compute capability 9.0)" in drawn
    manifests = list(yaml.safe_load_all(run("plan", "-f", "-", "-o", "manifests", stdin=text).stdout))
    assert [(one["kind"], one["metadata"]["name"]) for one in manifests] == [
        ("Service", "a"), ("Deployment", "a"), ("Service", "b"), ("Deployment", "b"),
    ]  # fmt: skip


def test_one_that_cannot_be_planned_keeps_no_other_from_it(run: Run, clean: HubServer) -> None:
    """The exit code is the worst one; half of the manifests are not printed, for somebody would apply them."""
    clean.faults[NEMO] = Fault(Kind.GATED, tokens=frozenset({"hf_granted"}))
    text = text_of(deployment("a", model=NEMO), deployment("b"))
    told = run("plan", "-f", "-", "-o", "json", stdin=text)
    assert told.exit_code == 3
    assert json.loads(told.stdout)["name"] == "b"
    assert f"Error: MistralDeployment team/a: {NEMO} is gated" in told.stderr
    check(run("plan", "-f", "-", "-o", "manifests", stdin=text), 3, "team/a")


@pytest.mark.parametrize(
    ("arguments", "spec", "backend", "memory"),
    [
        pytest.param([], {}, "XFORMERS", 80 << 30, id="assumed"),
        pytest.param(["--gpu-memory", "24Gi"], {"engine": {"maxModelLen": 8192}}, "XFORMERS", 24 << 30, id="a flag"),
        pytest.param(
            ["--compute-capability", "7.5"], {"engine": {"maxModelLen": 8192}}, "TRITON_ATTN", 80 << 30, id="Turing"
        ),
        pytest.param([], {"gpu": {"minMemory": "40Gi"}}, "XFORMERS", 40 << 30, id="the least that the spec admits"),
        pytest.param([], {"gpu": {"products": ["NVIDIA-L40"]}}, "XFORMERS", 80 << 30, id="a product of the spec's"),
        pytest.param(
            [],
            {"gpu": {"minComputeCapability": "7.5"}, "engine": {"maxModelLen": 8192}},
            "TRITON_ATTN",
            80 << 30,
            id="the oldest that the spec admits",
        ),
    ],
)
def test_flags_describe_the_gpu(
    arguments: list[str], spec: dict[str, Any], backend: str, memory: int, run: Run
) -> None:
    """Without a cluster the GPU is what flags say, else the least that the spec admits, else an H100."""
    result = run("plan", "-f", "-", "-o", "json", *arguments, stdin=text_of(deployment(**spec)))
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)
    assert plan["attention"]["backends"] == {"sliding_attention": backend}
    assert [gpu["memory"] for gpu in plan["gpuClasses"]] == [memory]


@pytest.mark.parametrize(
    ("arguments", "spec", "says"),
    [
        pytest.param(
            ["--gpu-memory", "40Gi"], {"gpu": {"minMemory": "80Gi"}},
            ("less memory than spec.gpu.minMemory 80Gi", "Raise --gpu-memory 40Gi or lower spec.gpu.minMemory 80Gi."),
            id="less memory",
        ),
        pytest.param(
            ["--compute-capability", "8.0"], {"gpu": {"products": ["NVIDIA-L40S"], "minComputeCapability": "8.9"}},
            (
                "below spec.gpu.minComputeCapability 8.9",
                "Raise --compute-capability 8.0 or lower spec.gpu.minComputeCapability 8.9.",
            ),
            id="an older one",
        ),
        pytest.param(
            ["--gpu-memory", "40Gi", "--compute-capability", "8.0"],
            {"gpu": {"minMemory": "80Gi", "minComputeCapability": "9.0"}},
            (
                "less memory than spec.gpu.minMemory 80Gi",
                "Raise --gpu-memory 40Gi or lower spec.gpu.minMemory 80Gi; raise --compute-capability 8.0 or lower",
            ),
            id="both at once",
        ),
        pytest.param(
            ["--gpu-memory", "8Gi"], {},
            ("fit on 1 GPU of 8.0 GiB", "Raise spec.parallelism.tensor to 4, or choose larger GPUs (--gpu-memory)"),
            id="too small for the model",
        ),
    ],
)  # fmt: skip
def test_flags_that_contradict_the_spec(
    arguments: list[str], spec: dict[str, Any], says: tuple[str, ...], run: Run
) -> None:
    """The flag and the spec's field are both named with what to change; there is no cluster to add a node to."""
    refused = run("plan", "-f", "-", *arguments, stdin=text_of(deployment(**spec)))
    check(refused, 4, "MistralDeployment team/m", *says)
    assert "node" not in refused.stderr
    assert "add" not in refused.stderr


def test_a_gpu_without_product_leaves_the_nodes_to_the_spec(run: Run) -> None:
    """Pods are kept to what the spec says of GPUs, since no product is known."""
    stdin = text_of(deployment(gpu={"products": ["NVIDIA-L40"]}))
    (found,) = [
        body
        for body in yaml.safe_load_all(run("plan", "-f", "-", "-o", "manifests", stdin=stdin).stdout)
        if body["kind"] == "Deployment"
    ]
    assert "NVIDIA-L40" in str(found["spec"]["template"]["spec"]["affinity"])
    assert "memory" not in str(found["spec"]["template"]["spec"]["affinity"])


@pytest.mark.parametrize(
    ("arguments", "environment", "spec", "image"),
    [
        pytest.param([], {}, {}, "mistral-vllm:0.26.0", id="the operator's default"),
        pytest.param(
            ["--image-repository", "registry.example/m", "--image-tag", "1"], {}, {}, "registry.example/m:1", id="flags"
        ),
        pytest.param(
            [], {"IMAGE_REPOSITORY": "registry.example/m", "IMAGE_TAG": "2"}, {}, "registry.example/m:2", id="env"
        ),
        pytest.param(["--image-tag", "1"], {}, {"image": STOCK}, "registry.example/vllm:v1", id="the spec's own"),
    ],
)
def test_the_image(
    arguments: list[str],
    environment: dict[str, str],
    spec: dict[str, Any],
    image: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Manifests name the image the operator would use, given its settings."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run("plan", "-f", "-", "-o", "manifests", *arguments, stdin=text_of(deployment(**spec)))
    assert container(result)["image"] == image
    assert ("Assumed for MistralDeployment team/m: image" in result.stderr) == (not (arguments or environment or spec))


def test_what_the_image_contains(run: Run) -> None:
    """The operator's own settings decide what a default image is told, and the spec decides of its own image."""
    stock = run("plan", "-f", "-", "-o", "json", "--runtime", "vllm", stdin=text_of(deployment()))
    assert json.loads(stock.stdout)["attention"]["backends"] == {"sliding_attention": "FLASH_ATTN"}
    own = run("plan", "-f", "-", "-o", "json", stdin=text_of(deployment(image=STOCK)))
    assert json.loads(own.stdout)["runtime"] == {"name": "vllm", "version": "0.26.0"}


def test_a_cpu_image_assumes_no_gpu(run: Run) -> None:
    """What runs on the CPU has no class of GPU, and none is assumed."""
    image = STOCK | {"runtime": {"name": "vllm-cpu", "version": "0.26.0"}}
    plan = json.loads(run("plan", "-f", "-", "-o", "json", stdin=text_of(deployment(image=image))).stdout)
    assert plan["gpuClasses"] == []
    assert not [text for text in plan["assumptions"] if text.startswith("GPU")]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        pytest.param(Kind.GATED, "then {}.", id="gated"),
        pytest.param(Kind.PRIVATE, "or {}.", id="private"),
        pytest.param(Kind.RATE_LIMITED, "or {}, which raises the limit.", id="rate limited"),
    ],
)
@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        pytest.param({}, "set spec.hfTokenSecretRef for its pods, and HF_TOKEN for this command", id="no Secret"),
        pytest.param(
            {"hfTokenSecretRef": {"name": "hf", "key": "token"}},
            "set HF_TOKEN for this command (its pods have spec.hfTokenSecretRef)",
            id="a Secret",
        ),
    ],
)
def test_how_to_hand_over_a_token(
    kind: Kind, says: str, spec: dict[str, Any], advice: str, run: Run, clean: HubServer
) -> None:
    """What pods need is told apart from what this command needs, which reads the hub itself."""
    clean.faults[MISTRAL] = Fault(kind)
    refused = run("plan", "-f", "-", stdin=text_of(deployment(**spec)))
    check(refused, 3, "team/m")
    assert refused.stderr.rstrip().endswith(says.format(advice))


def test_without_its_cluster_a_token_is_this_machines(
    run: Run, clean: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Secret is out of reach: the machine's own token stands in, and it is said."""
    clean.faults[MISTRAL] = Fault(Kind.GATED, tokens=frozenset({"hf_granted"}))
    asked = text_of(deployment(hfTokenSecretRef={"name": "hf", "key": "token"}))
    check(run("plan", "-f", "-", stdin=asked), 3, "team/m", "is gated")
    monkeypatch.setenv("HF_TOKEN", "hf_granted")
    told = run("plan", "-f", "-", "-o", "json", stdin=asked)
    assert "in place of Secret team/hf" in str(json.loads(told.stdout)["assumptions"])
    assert "hf_granted" not in told.output
    without = run("plan", "-f", "-", "-o", "json", stdin=text_of(deployment()))
    assert "the operator sends none" in str(json.loads(without.stdout)["assumptions"])


def test_a_model_id_is_never_a_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator has no folder of that name, so that the hub is asked although there is one here."""
    (tmp_path / MISTRAL).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert run("plan", "-f", "-", stdin=text_of(deployment())).exit_code == 0


@pytest.mark.parametrize(
    ("spec", "arguments", "says"),
    [
        pytest.param({}, ["--gpu-memory", "12Gi"], ("does not fit", "Raise spec.parallelism.tensor"), id="fit"),
        pytest.param(
            {"model": NEMO, "engine": {"maxModelLen": 131072}},
            ["--gpu-memory", "40Gi"],
            ("Set spec.engine.maxModelLen to 8", "raise spec.parallelism.tensor to 2"),
            id="context",
        ),
        pytest.param({"gpu": {"minMemory": "80Gi"}}, ["--gpu-memory", "40Gi"], ("spec.gpu.minMemory 80Gi",), id="GPU"),
        pytest.param({"parallelism": {"tensor": 3}}, [], ("3 GPUs cannot share",), id="three GPUs"),
        pytest.param({"extraArgs": ["--max-model"]}, [], ("--max-model",), id="an abbreviated flag"),
        pytest.param(
            {"volumes": [{"name": "d", "emptyDir": {}}], "volumeMounts": [{"name": "d", "mountPath": "/models/"}]},
            [],
            ("spec.volumeMounts",),
            id="a mount in the place of ours",
        ),
        pytest.param(
            {"engine": {"attentionBackend": "XFORMERS"}, "image": STOCK}, [], ("no valid attention backend",), id="none"
        ),
    ],
)
def test_nothing_valid(spec: dict[str, Any], arguments: list[str], says: tuple[str, ...], run: Run) -> None:
    """What cannot run is refused with exit code 4, the object, the cause, and the field to change."""
    check(run("plan", "-f", "-", *arguments, stdin=text_of(deployment(**spec))), 4, "MistralDeployment team/m", *says)


def test_the_namespace_may_be_left_open(run: Run) -> None:
    """Without a cluster it is "default", and that is said."""
    plan = json.loads(run("plan", "-f", "-", "-o", "json", stdin=text_of(deployment(namespace=None))).stdout)
    assert plan["namespace"] == "default"
    assert "namespace: default" in str(plan["assumptions"])


def test_a_context_without_kubeconfig(hub: HubServer, tmp_path: Path) -> None:
    """A context that leads nowhere is an error of usage, told before anything is read."""
    done = subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("mistral-operator")), "plan", MISTRAL, "--context", "nowhere"],
        text=True,
        capture_output=True,
        check=False,
        env={"HF_ENDPOINT": hub.url, "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith("Error: --context nowhere leads to no cluster: There is no kubeconfig at ")
    assert last.startswith("Next: ")
