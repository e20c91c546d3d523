"""Any text in any place, on the real API server: the object comes to a condition, or is refused with a sentence."""

import json
import shutil
import struct
from collections.abc import Iterator
from typing import Any, Final

import pytest

from any_text import HOSTILE, KEY, SURROGATE, instance, named, replaced, strings_of, texts_in
from cluster.conftest import QUICK
from cluster.live import MISTRAL_7B, Answer, Body, Live, condition_of, manifest
from devcluster.controlplane import ControlPlane
from devcluster.hub import HubServer
from devcluster.hub.server import MODELS
from devcluster.operator import Operator
from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.cluster.body import apply_body

SPEC: Final = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
PLACES: Final = list(strings_of(SPEC))
CONFIG: Final = json.loads((MODELS / MISTRAL_7B.replace("/", "__") / "config.json").read_text(encoding="utf-8"))
CONFIG_PLACES: Final = [path for path in texts_in(CONFIG) if path[-1] != KEY]
HEADER: Final = json.dumps({"w": {"dtype": "BF16", "shape": [16], "data_offsets": [0, 32]}}).encode()
TENSORS: Final = struct.pack("<Q", len(HEADER)) + HEADER + bytes(32)
SECONDS: Final = 120.0  # for some hundred objects at once
ROUND_TRIP: Final = "".join(
    map(chr, (*range(0x100), *range(0x2000, 0x2070), 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F680, 0x10FFFF))
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """Return a hub with a model for each text of a config, in which that text is a hostile one."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / MISTRAL_7B.replace("/", "__"), folder / MISTRAL_7B.replace("/", "__"))
    for number, path in enumerate(CONFIG_PLACES):
        for kind, text in (("hostile", HOSTILE), ("surrogate", SURROGATE)):
            repository = folder / f"acme__{kind}-{number}"
            repository.mkdir()
            (repository / "model.safetensors").write_bytes(TENSORS)
            (repository / "config.json").write_text(json.dumps(replaced(CONFIG, path, text)), encoding="utf-8")
    with HubServer(folder) as started:
        yield started


@pytest.fixture(scope="module")
def operator(solo_plane: ControlPlane, hub: HubServer) -> Iterator[Operator]:
    """Return an operator that reads that hub."""
    with Operator(solo_plane, hub.url, arguments=QUICK, name="operator-any-text") as started:
        started.wait_ready()
        yield started


@pytest.fixture
def told(solo: Live, operator: Operator) -> Live:
    """Return a namespace at which that operator works."""
    assert operator.url
    return solo


def without_condition(live: Live, names: list[str]) -> list[str]:
    """Return which of some objects no status tells of."""
    bodies = {body["metadata"]["name"]: body for body in live.all("MistralDeployment")}
    return [name for name in names if not condition_of(bodies[name], "Ready")]


def assert_plain(body: Body) -> None:
    """Hold that what a status tells is for people: nothing acts on a terminal, and no token is repeated."""
    for condition in body["status"]["conditions"]:
        assert not {"\x00", "\x1b", "\x07", "\x7f", "\x85", "\u202e", "\u2028"} & set(condition["message"]), condition
        assert "hf_abcdefgh" not in condition["message"]
        assert condition["reason"] not in ("OperatorFault", "StatusRefused"), condition


@pytest.mark.parametrize("text", [HOSTILE, SURROGATE], ids=["hostile", "surrogate"])
def test_every_string_of_a_spec(told: Live, operator: Operator, text: str) -> None:
    """Each of the definition's strings, Kubernetes' own types included."""
    taken, refused = [], {}
    for number, path in enumerate(PLACES):
        name = f"m{number}"
        spec = {"model": {"id": MISTRAL_7B}, "replicas": 0} | instance(SPEC, path, text)
        spec["model"] = {"id": MISTRAL_7B} | spec["model"]
        if path == ("model", "id"):
            spec["model"]["id"] = text
        try:
            told.create({**manifest(name), "spec": spec})
            taken.append(name)
        except Answer as answer:
            refused[named(path)] = answer
    assert all(answer.status == 422 and path.split(".")[0] in answer.message for path, answer in refused.items())
    assert len(taken) > 150
    told.until("every object to have a condition", lambda: not without_condition(told, taken), SECONDS)
    for body in told.all("MistralDeployment"):
        assert_plain(body)
    faults = [line for line in operator.log.splitlines() if "fault in the operator" in line]
    assert not faults


@pytest.mark.parametrize("kind", ["hostile", "surrogate"])
def test_every_text_of_a_config(told: Live, kind: str) -> None:
    """What a model's repository says: planned, or refused in a sentence."""
    names = [f"m{number}" for number in range(len(CONFIG_PLACES))]
    for number, name in enumerate(names):
        told.mdep(name, f"acme/{kind}-{number}", replicas=0)
    told.until("every object to have a condition", lambda: not without_condition(told, names), SECONDS)
    for body in told.all("MistralDeployment"):
        assert condition_of(body, "ModelResolved")["status"] != "Unknown"
        assert_plain(body)


def waiting(**state: str) -> Body:
    """Return the status of a container that waits."""
    return {"name": "vllm", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": {"waiting": state}}


def ended(**state: str) -> Body:
    """Return the status of a container that has ended, and waits to be started again."""
    times = {"startedAt": "2026-11-29T00:00:00Z", "finishedAt": "2026-11-29T00:00:01Z"}
    last = {"exitCode": 1, **times, **state}
    return {
        **waiting(reason="CrashLoopBackOff"),
        "restartCount": 3,
        "lastState": {"terminated": last},
    }


UNSCHEDULED: Final = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
WORDS: Final[dict[str, Body]] = {
    "last words": {"containerStatuses": [ended(reason="Error", message=HOSTILE)]},
    "reason of an end": {"containerStatuses": [ended(reason=HOSTILE, message="RuntimeError: x")]},
    "waiting": {"containerStatuses": [waiting(reason="CreateContainerConfigError", message=HOSTILE)]},
    "waiting for an image": {"containerStatuses": [waiting(reason="ImagePullBackOff", message=HOSTILE)]},
    "reason of waiting": {"containerStatuses": [waiting(reason=HOSTILE, message="x")]},
    "init container": {"initContainerStatuses": [{**ended(reason="Error", message=HOSTILE), "name": "i"}]},
    "scheduler": {"conditions": [{**UNSCHEDULED, "message": f"0/1 nodes are available: 1 {HOSTILE}."}]},
}


def test_every_word_of_a_pod(told: Live) -> None:
    """An object that was Ready is Ready no longer, whatever the words of its dead pod are."""
    names = {case: f"m{number}" for number, case in enumerate(WORDS)}
    for name in names.values():
        told.mdep(name, extraArgs=["--seed=1"], resources={"requests": {"cpu": "1m"}})
    ready = [name for name in names.values() if _becomes_ready(told, name)]
    assert ready
    for case, name in names.items():
        for pod in told.pods(name):
            dead = {"conditions": [{"type": "Ready", "status": "False"}], **WORDS[case]}
            told.patch("Pod", pod["metadata"]["name"], {"status": dead}, "status")
    for name in ready:
        told.until_condition(name, "Ready", "False", seconds=SECONDS)
        assert_plain(told.get("MistralDeployment", name))


def _becomes_ready(live: Live, name: str) -> bool:
    return bool(live.until_ready(name)["status"]["readyReplicas"] == 1)


def test_what_is_sent_is_what_stands(told: Live) -> None:
    """Server-side apply keeps every character, alone and beside others, in values and in entries' names."""
    data = {"all": ROUND_TRIP, **{f"c{ord(one):x}": f"a{one}b" for one in ROUND_TRIP}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}
    path = f"api/v1/namespaces/{told.namespace}/configmaps/c?fieldManager=t&force=true"
    stands: Any = told.request("PATCH", path, apply_body(body), "application/apply-patch+yaml")
    assert stands["data"] == data


@pytest.mark.parametrize("size", [1_000_000, 1_570_000], ids=["large", "as large as etcd takes"])
def test_an_object_that_fills_etcd(told: Live, size: int) -> None:
    """Where there is room left the status says why no pod can be made; where there is none, an Event says it."""
    told.mdep("m", env=[{"name": "A", "value": "x" * size}])

    def is_told() -> bool:
        ready = condition_of(told.get("MistralDeployment", "m"), "Ready")
        return bool(ready) or ("Warning", "StatusRefused") in told.events("m")

    told.until("somebody to be told", is_told)
    ready = condition_of(told.get("MistralDeployment", "m"), "Ready")
    assert ready.get("status", "False") != "Unknown"
    assert "OperatorFault" not in (ready.get("reason"), *(reason for _, reason in told.events("m")))
