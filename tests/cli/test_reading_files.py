"""Files with MistralDeployments: many ways to write one, and every fault named before anything is asked."""

import json
from pathlib import Path

import pytest

from cli.written import API_VERSION, MISTRAL, Run, check, deployment, text_of
from devcluster.hub import HubServer


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(deployment(), indent="\t"), id="JSON"),
        pytest.param(text_of(deployment()), id="YAML"),
        pytest.param(text_of({"apiVersion": "v1", "kind": "List", "items": [deployment()]}), id="a List"),
        pytest.param(f"---\n{text_of(deployment())}---\n", id="empty documents"),
    ],
)
def test_ways_to_write_it(text: str, run: Run, tmp_path: Path) -> None:
    """One object is one object, however it is written."""
    file = tmp_path / "m.yaml"
    file.write_text(text)
    plan = json.loads(run("plan", "-f", str(file), "-o", "json").stdout)
    assert (plan["name"], plan["namespace"], plan["model"]["id"]) == ("m", "team", MISTRAL)


WRONG_FILES = {
    "nothing": ("", "holds no MistralDeployment"),
    "other kinds alone": (text_of({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}), "holds no"),
    "no YAML": ("a: [", "neither YAML nor JSON"),
    "no object": ("- 1", "is no object"),
    "a List of no list": ("{kind: List, items: 5}", "5 is no object"),
    "objects without an end": ('{"a":' * 100_000, "neither YAML nor JSON"),
    "a tag of Python's": ("!!python/object/apply:os.getcwd []", "neither YAML nor JSON"),
    "no metadata": (f"{{apiVersion: {API_VERSION}, kind: MistralDeployment}}", "metadata.name: is required"),
    "no spec": (f"{{apiVersion: {API_VERSION}, kind: MistralDeployment, metadata: {{name: m}}}}", "spec: must be an"),
    "another version": (text_of(deployment() | {"apiVersion": "mistral-operator.io/v2"}), "apiVersion: must be"),
    "a field too many": (text_of(deployment() | {"spce": {}}), "spce: there is no such field"),
    "an unknown field": (text_of(deployment(replica=2)), "spec.replica: there is no such field"),
    "an unknown field of Kubernetes": (
        text_of(deployment(tolerations=[{"keey": "a"}])), "spec.tolerations[0].keey: there is no such field",
    ),
    "an entry without name": (text_of(deployment(env=[{"value": "x"}])), "spec.env[0].name: is required"),
    "a number in quotes": (text_of(deployment(replicas="2")), "spec.replicas: must be a whole number, not '2'"),
    "a number without": (text_of(deployment(gpu={"minComputeCapability": 8.0})), "spec.gpu.minComputeCapability"),
    "no memory": (text_of(deployment(gpu={"minMemory": "0Gi"})), "spec.gpu.minMemory"),
    "a name for no Service": (text_of(deployment("M.x")), "metadata.name must begin with a lower-case letter"),
    "a long name": (text_of(deployment("m" * 53)), "metadata.name may have 52 characters at most"),
    "an image of unknown content": (text_of(deployment(image={"tag": "x"})), "spec.image.runtime is required"),
    "a GPU": (
        text_of(deployment(resources={"limits": {"nvidia.com/gpu": 1}})), "spec.resources may not name GPUs",
    ),
    "a rendered flag": (
        text_of(deployment(extraArgs=["--max_model_len=1"])), "--max-model-len: say it in spec.engine.maxModelLen",
    ),
    "a variable twice": (text_of(deployment(env=[{"name": "A"}] * 2)), "name 'A' stands there more than once"),
    "no annotation": (
        text_of(deployment() | {"metadata": {"name": "m", "annotations": {"a": 1}}}), "metadata.annotations: must be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_wrong_file(case: str, run: Run, clean: HubServer) -> None:
    """What the API server would refuse is refused by name before anything is asked, with exit code 2."""
    text, says = WRONG_FILES[case]
    asked = len(clean.requests)
    check(run("plan", "-f", "-", stdin=text), 2, says)
    assert len(clean.requests) == asked


def test_all_faults_are_named_at_once(run: Run) -> None:
    """Who has three things to correct learns of three."""
    text = text_of(deployment("M", image={"tag": "x"}), deployment("n", replica=2))
    check(run("plan", "-f", "-", stdin=text), 2, "metadata.name must", "spec.image.runtime is", "spec.replica:")


@pytest.mark.parametrize("path", ["does-not-exist.yaml", ".", "~nobody-of-this-name/m.yaml"])
def test_a_file_that_cannot_be_read(path: str, run: Run) -> None:
    """The file is named as it was written."""
    check(run("plan", "-f", path), 2, path, "cannot be read")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--max-model-len", "8192"], "set spec.engine.maxModelLen", id="--max-model-len"),
        pytest.param(["--gpus", "1"], "set spec.parallelism.tensor", id="a default said aloud"),
        pytest.param(["--revision", "main"], "set spec.model.revision", id="--revision"),
        pytest.param(["--attention-backend", "XFORMERS"], "set spec.engine.attentionBackend", id="--attention-backend"),
        pytest.param(["--no-xformers"], "set spec.image.runtime", id="--no-xformers"),
        pytest.param(["--dtype", "half"], "set spec.engine.dtype", id="--dtype"),
        pytest.param(["--kv-cache-dtype", "fp8"], "set spec.engine.kvCacheDtype", id="--kv-cache-dtype"),
        pytest.param(["--extra-arg=-v"], "set spec.extraArgs", id="--extra-arg"),
        pytest.param(["--gpu-memory", "80Gi", "--context", "c"], "its nodes say which GPUs", id="a GPU and a cluster"),
        pytest.param(["--gpu-memory", "80 GB"], "80Gi", id="a flag that means nothing"),
        pytest.param([MISTRAL], "either a MODEL or", id="a model beside it"),
    ],
)
def test_flags_that_contradict_the_file(arguments: list[str], says: str, run: Run) -> None:
    """Whatever the file says is said there alone: the sentence names the field to change."""
    result = run("plan", "-f", "does-not-exist.yaml", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "either a MODEL or", id="nothing"),
        pytest.param([MISTRAL, "-o", "manifests"], "name a file with -f", id="manifests of a model"),
        pytest.param([MISTRAL, "--image-tag", "x"], "need a file", id="an image of no manifest"),
    ],
)
def test_what_only_a_file_has(arguments: list[str], says: str, run: Run) -> None:
    """A model alone has no manifests."""
    result = run("plan", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
