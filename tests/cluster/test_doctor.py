"""The doctor on real clusters: what it finds, what it prints, how it ends. Golden texts that a person has read."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import yaml

from cluster.live import Live, condition_of
from devcluster.binaries.progress import Progress
from devcluster.controlplane import H200, T4, ControlPlane
from devcluster.definitions import delete_definition, until_established
from devcluster.hub import Fault, HubServer, Kind
from devcluster.operator import COMMAND
from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.cluster.rbac import rbac_manifests
from unit.pod_server import PodServer

Done: TypeAlias = "subprocess.CompletedProcess[str]"
Doctor: TypeAlias = Callable[..., Done]
Golden: TypeAlias = Callable[[str, Done], None]
GOLDEN: Final = Path(__file__).with_name("golden")
CODESTRAL: Final = "mistralai/Codestral-22B-v0.1"
TOKEN: Final = "hf_of_the_secret"  # noqa: S105 - no secret: it is what must not be found in any output
REFERENCE: Final = {"name": "hf", "key": "token"}
ADDRESS: Final = "127.0.0.1"
ADDRESS_ANNOTATION: Final = "devcluster.mistral-operator.io/address"
FATE: Final = "devcluster.mistral-operator.io/fate"
CRD: Final = "mistraldeployments.mistral-operator.io"


@pytest.fixture(scope="module")
def empty_plane() -> Iterator[ControlPlane]:
    """Return an API server on which nothing was ever installed, and where nodes are what they are made."""
    with ControlPlane(Progress(), controllers=False) as started:
        yield started


@pytest.fixture
def doctor(hub: HubServer, tmp_path: Path) -> Doctor:
    """Run ``mistral-operator doctor`` as the administrator of a control plane, or as another kubeconfig says."""

    def run(
        plane: ControlPlane, *arguments: str, kubeconfig: Path | None = None, hub_url: str = hub.url
    ) -> "subprocess.CompletedProcess[str]":
        where = {"KUBECONFIG": str(kubeconfig or plane.admin_kubeconfig), "HF_ENDPOINT": hub_url}
        home = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(  # noqa: S603 - our own command
            (str(COMMAND), "doctor", "--context=local", *arguments),
            text=True, capture_output=True, check=False, timeout=60, env=where | home,
        )  # fmt: skip

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest, hub: HubServer) -> Golden:
    """Compare what was printed with a golden file, without what differs in every run."""

    def compare(name: str, done: Done) -> None:
        text = done.stdout.replace(hub.url, "https://hub.example")
        text = re.sub(r"https://127\.0\.0\.1:\d+", "https://cluster.example", text)
        text = re.sub(r"\btest-\d+", "team", text)
        text = re.sub(r"held by \S+_\d+_[0-9a-f]{6}, ", r"held by mistral-operator-6d4b_1_5e81c0, ", text)
        text = re.sub(r"\b([a-z-]+)-[0-9a-f]{8,10}-[0-9a-z]{5}\b", r"\1-6b7c9-x2x4z", text)
        path = GOLDEN / f"doctor-{name}.txt"
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare


def findings(done: Done) -> list[dict[str, str]]:
    """Return what ``-o json`` printed."""
    assert "Traceback" not in done.stderr, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    assert all(one.keys() == {"check", "status", "object", "reason", "message", "next"} for one in found)
    assert all(one["next"] for one in found if one["status"] != "ok"), "a finding without a next step"
    return found


def told(done: Done, check: str) -> list[tuple[str, str, str]]:
    """Return status, object and reason of one check's findings."""
    return [(one["status"], one["object"], one["reason"]) for one in findings(done) if one["check"] == check]


def test_a_healthy_cluster(live: Live, doctor: Doctor, golden: Golden) -> None:
    """Every check says what it has seen, nothing is wrong, and the command ends well."""
    with PodServer(ADDRESS, 8000):
        live.mdep("mistral-7b", podAnnotations={ADDRESS_ANNOTATION: ADDRESS})
        live.until_condition("mistral-7b", "AttentionVerified", "True")
        live.until_ready("mistral-7b")
        done = doctor(live.plane, "-n", live.namespace)
    assert done.returncode == 0, done.stdout
    golden("healthy", done)
    assert {one["status"] for one in findings(doctor(live.plane, "-n", live.namespace, "-o", "json"))} == {"ok"}


def test_a_failing_cluster(live: Live, hub: HubServer, doctor: Doctor, golden: Golden) -> None:
    """One object of each kind of trouble: each has its line, its reason and its next step; the healthy one has none."""
    with PodServer(ADDRESS, 8000), faults(hub, {CODESTRAL: Fault(Kind.GATED, tokens=frozenset({TOKEN}))}):
        live.secret("registry", {"password": "secret"})
        live.mdep("fine", podAnnotations={ADDRESS_ANNOTATION: ADDRESS})
        live.mdep("gated", CODESTRAL)
        live.mdep("crashes", podAnnotations={FATE: "oom"})
        live.mdep(
            "no-image", podAnnotations={FATE: "image"}, imagePullSecrets=[{"name": "absent"}, {"name": "registry"}]
        )
        live.mdep("too-big", parallelism={"tensor": 16}, gpu={"minMemory": "80Gi"})
        live.mdep("stopped", replicas=0)
        live.until_condition("fine", "AttentionVerified", "True")
        live.until_ready("fine")
        live.until_condition("gated", "ModelResolved", "False", "Gated")
        live.until_condition("too-big", "HardwareCompatible", "False", "NoMatchingGPU")
        live.until_condition("stopped", "Available", "False", "ScaledToZero")
        for name in ("crashes", "no-image"):
            live.until(f"{name} to say why it fails", partial(diagnosed, live, name))
        done = doctor(live.plane, "-n", live.namespace)
        assert done.returncode == 1
        golden("failing", done)
        found = findings(doctor(live.plane, "-n", live.namespace, "-o", "json"))
    troubled = {one["object"].rpartition("/")[2] for one in found if one["status"] == "problem"}
    assert {"gated", "crashes", "too-big", "absent", "registry"} <= troubled
    assert not {"fine", "stopped"} & troubled


def test_a_gated_model_and_its_token(live: Live, hub: HubServer, plane: ControlPlane, doctor: Doctor) -> None:
    """Asked with the Secret's token alone; a token is never printed, and who may not read it is told so."""
    about = f"MistralDeployment {live.namespace}/gated"
    arguments = ("-n", live.namespace, "-o", "json")
    with faults(hub, {CODESTRAL: Fault(Kind.GATED, tokens=frozenset({TOKEN}))}):
        live.mdep("gated", CODESTRAL, hfTokenSecretRef=REFERENCE)
        live.until_condition("gated", "ModelResolved", "False", "TokenSecretMissing")
        assert (("problem", about, "TokenSecretMissing")) in told(doctor(plane, *arguments), "hub")
        live.secret("hf", {"token": "hf_of_another"})
        live.until_condition("gated", "ModelResolved", "False", "Gated")
        refused = doctor(plane, *arguments)
        assert ("problem", about, "Gated") in told(refused, "hub")
        assert [one for one in told(refused, "deployments") if one[2] == "Gated"] == []
        live.secret("hf", {"token": TOKEN})
        granted = doctor(plane, *arguments)
        assert [level for level, *_ in told(granted, "hub")] == ["ok"]
        limited = doctor(plane, *arguments, kubeconfig=plane.kubeconfig_for_service_account(live.namespace, "default"))
    outputs = refused.stdout + refused.stderr + granted.stdout + granted.stderr
    assert TOKEN not in outputs
    assert "hf_of_another" not in outputs
    assert told(limited, "hub")[0][2] == "HubAnswers"  # it sees no object, and so no token


def test_a_user_with_few_rights(live: Live, plane: ControlPlane, doctor: Doctor, golden: Golden) -> None:
    """What may not be read is a warning with the right that is missing, never a guess, and never the end."""
    live.mdep("mistral-7b", hfTokenSecretRef=REFERENCE, imagePullSecrets=[{"name": "registry"}])
    plane.kubectl("create", "role", "sees-mdeps", "-n", live.namespace, "--verb=list", f"--resource={CRD}")
    account = f"--serviceaccount={live.namespace}:default"
    plane.kubectl("create", "rolebinding", "sees-mdeps", "-n", live.namespace, "--role=sees-mdeps", account)
    kubeconfig = plane.kubeconfig_for_service_account(live.namespace, "default")
    live.until_condition("mistral-7b", "ModelResolved", "False")
    with in_namespace(kubeconfig, live.namespace):
        done = doctor(plane, kubeconfig=kubeconfig)
        found = findings(doctor(plane, "-o", "json", kubeconfig=kubeconfig))
    golden("few-rights", done)
    warned = {one["reason"] for one in found if one["status"] == "warning"}
    assert {
        "DefinitionNotReadable", "LeaseNotReadable", "RightsNotReadable", "NodesNotReadable", "TokenNotChecked",
        "PodsNotReadable", "PullSecretNotReadable", "DeploymentsNotReadable",
    } <= warned  # fmt: skip
    assert f"MistralDeployment {live.namespace}/mistral-7b" in {one["object"] for one in found}


def test_rights_that_are_missing(live: Live, plane: ControlPlane, doctor: Doctor, golden: Golden) -> None:
    """Each resource with the verbs that are missing; nodes are a warning."""
    account, lacking = "half", {"secrets": ["get"], "deployments": ["create", "patch"], "nodes": ["list", "watch"]}
    manifests = rbac_manifests(live.namespace, account, "mistral-operator")
    for one in manifests:
        for rule in one.get("rules", ()):
            lost = lacking.get(rule["resources"][0], [])
            rule["verbs"] = [verb for verb in rule["verbs"] if verb not in lost] or ["deletecollection"]
    plane.apply(*manifests)
    arguments = (f"--service-account={live.namespace}/{account}", "-n", live.namespace)
    done = doctor(plane, *arguments)
    plane.apply(*rbac_manifests(live.namespace, account, "mistral-operator"))
    complete = told(doctor(plane, *arguments, "-o", "json"), "rbac")
    plane.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    golden("missing-rights", done)
    assert complete == [("ok", f"ServiceAccount {live.namespace}/{account}", "RightsComplete")]


def test_nothing_installed(empty_plane: ControlPlane, doctor: Doctor, golden: Golden) -> None:
    """Every step to an operator is named, in an order in which it can be done."""
    done = doctor(empty_plane)
    assert done.returncode == 1
    golden("empty", done)


@pytest.mark.parametrize(
    ("change", "level", "reason", "says"),
    [
        pytest.param(dict, "ok", "DefinitionCurrent", "own schema", id="this operator's own"),
        pytest.param(
            lambda version: version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"].pop("memory"),
            "problem",
            "DefinitionDiffers",
            "lacks status.memory",
            id="an older release's",
        ),
        pytest.param(
            lambda version: version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].update(
                turbo={"type": "boolean"}
            ),
            "warning",
            "DefinitionDiffers",
            "has besides spec.turbo",
            id="a newer release's",
        ),
        pytest.param(
            lambda version: version.update(name="v1beta1"),
            "problem",
            "VersionNotServed",
            "serves v1beta1, and this operator needs v1alpha1",
            id="another version",
        ),
    ],
)
def test_definitions(
    change: Callable[[dict[str, Any]], Any],
    level: str,
    reason: str,
    says: str,
    empty_plane: ControlPlane,
    doctor: Doctor,
) -> None:
    """The API server fills in nothing that would be taken for a difference; what differs is named."""
    definition = deepcopy(custom_resource_definition())
    change(definition["spec"]["versions"][0])
    empty_plane.apply(definition)
    try:
        until_established(empty_plane, CRD)
        done = doctor(empty_plane, "-o", "json")
    finally:
        delete_definition(empty_plane, CRD)
    assert told(done, "crd") == [(level, f"CustomResourceDefinition {CRD}", reason)]
    assert says in next(one["message"] for one in findings(done) if one["check"] == "crd")


def test_an_operator_that_died(empty_plane: ControlPlane, doctor: Doctor) -> None:
    """A Lease that nobody renews is watched for as long as it lasts; one that was given back is free at once."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "mistral-operator", "namespace": "default"},
        "spec": {"holderIdentity": "host_1_abc", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T10:00:00.000000Z"},
    }
    arguments = ("--service-account=default/mistral-operator", "-o", "json")
    about = "Lease default/mistral-operator"
    empty_plane.apply(lease)
    try:
        assert told(doctor(empty_plane, *arguments), "operator") == [("problem", about, "OperatorSilent")]
        empty_plane.apply(lease | {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})
        assert told(doctor(empty_plane, *arguments), "operator") == [("problem", about, "OperatorStopped")]
    finally:
        empty_plane.kubectl("delete", "lease", "mistral-operator", "-n", "default")


def test_nodes_without_their_other_half(empty_plane: ControlPlane, doctor: Doctor) -> None:
    """Labels without GPUs to ask for, GPUs without labels, and a node that has both."""
    silent, bare = H200.manifest("no-plugin"), T4.manifest("no-labels")
    del silent["status"]["allocatable"]["nvidia.com/gpu"]
    bare["metadata"]["labels"] = {}
    manifests = yaml.safe_dump_all([silent, bare])
    empty_plane.kubectl("create", "-f", "-", stdin=manifests)
    try:
        half = told(doctor(empty_plane, "-o", "json"), "gpu-nodes")
        empty_plane.add_node("whole", H200)
        whole = told(doctor(empty_plane, "-o", "json"), "gpu-nodes")
    finally:
        empty_plane.kubectl("delete", "node", "--all")
    assert half == [
        ("warning", "Nodes", "NoGPUs"),
        ("problem", "Node no-plugin", "NoDevicePlugin"),
        ("warning", "Node no-labels", "NoGPULabels"),
    ]
    assert whole == [
        ("ok", "Nodes", "GPUsFound"),
        ("warning", "Node no-plugin", "NoDevicePlugin"),
        ("warning", "Node no-labels", "NoGPULabels"),
        ("warning", "Node whole", "NodeUnusable"),  # nobody says that it is ready
    ]


def test_a_hub_that_is_away(empty_plane: ControlPlane, doctor: Doctor) -> None:
    """A warning, since the operator may see it all the same."""
    done = doctor(empty_plane, "-o", "json", hub_url="http://127.0.0.1:9")
    assert told(done, "hub") == [("warning", "hub http://127.0.0.1:9", "HubUnreachable")]


def test_no_cluster(plane: ControlPlane, doctor: Doctor, tmp_path: Path) -> None:
    """One sentence, the next step, and the exit code of a mistake, before anything is printed."""
    config = yaml.safe_load(plane.admin_kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    away = tmp_path / "away"
    away.write_text(yaml.safe_dump(config), encoding="utf-8")
    config["clusters"][0]["cluster"]["server"] = plane.server
    config["users"][0]["user"]["token"] = "wrong"  # noqa: S105
    stranger = tmp_path / "stranger"
    stranger.write_text(yaml.safe_dump(config), encoding="utf-8")
    for done, says in (
        (doctor(plane, "--context=elsewhere"), "no context 'elsewhere': it has local"),
        (doctor(plane, kubeconfig=tmp_path / "none"), "There is no kubeconfig at"),
        (doctor(plane, kubeconfig=away, hub_url="http://127.0.0.1:9"), "127.0.0.1:9"),
        (doctor(plane, "-o", "json", kubeconfig=stranger), "credentials are valid"),
        (doctor(plane, "-A", "-n", "team"), "leave one of them out"),
        (doctor(plane, "--service-account=mistral-operator"), "NAMESPACE/NAME"),
    ):
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert says in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


@contextmanager
def faults(hub: HubServer, found: dict[str, Fault]) -> Iterator[None]:
    """Let something be wrong with models for a while."""
    for model, fault in found.items():
        hub.faults[model] = fault
    try:
        yield
    finally:
        for model in found:
            del hub.faults[model]


@contextmanager
def in_namespace(kubeconfig: Path, namespace: str) -> Iterator[None]:
    """Let a kubeconfig's context name a namespace."""
    before = kubeconfig.read_text(encoding="utf-8")
    config = yaml.safe_load(before)
    config["contexts"][0]["context"]["namespace"] = namespace
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    yield
    kubeconfig.write_text(before, encoding="utf-8")


def diagnosed(live: Live, name: str) -> bool:
    """Tell whether an object says what its pod has."""
    reason = condition_of(live.get("MistralDeployment", name), "Available").get("reason")
    return reason not in (None, "NotDeployed", "NoPodAvailable")
