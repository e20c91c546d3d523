"""The operator's pod: what it may do, what it is told, and where it may be."""

from typing import Any, Final

import pytest

from chart.helm import Body, Release
from chart.value_sets import SETS

ROLE: Final = "mistral-operator"


def pod_of(release: Release) -> Body:
    """Return the spec of the operator's pods."""
    return dict(release.find("Deployment")["spec"]["template"]["spec"])


def env_of(release: Release) -> dict[str, Any]:
    """Return the container's variables."""
    return {entry["name"]: entry.get("value") for entry in release.container()["env"]}


def test_restricted() -> None:
    """All that the Pod Security level *restricted* asks, and a root file system that is read only."""
    pod, container = pod_of(Release()), Release().container()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)
    assert all("emptyDir" in volume for volume in pod["volumes"])


def test_what_is_written_to_is_mounted() -> None:
    """The hub's answers and temporary files, each with a limit."""
    release = Release()
    mounts = {mount["mountPath"] for mount in release.container()["volumeMounts"]}
    assert mounts == {"/cache", "/tmp"}  # noqa: S108
    assert "--hub-cache=/cache/hub" in release.container()["args"]
    assert env_of(release) == {"HF_HOME": "/cache"}
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod_of(release)["volumes"])


def test_who_assigns_users_may() -> None:
    """On such a cluster no user is asked for."""
    context = pod_of(SETS["a cluster that assigns users"])["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "mistral-operator:0.1.0"),
        ({"tag": "1"}, "mistral-operator:1"),
        ({"repository": "local:5000/a", "tag": "1", "digest": "sha256:" + "a" * 64}, "local:5000/a@sha256:" + "a" * 64),
    ],
)
def test_image(image: dict[str, str], expected: str) -> None:
    """A digest wins over a tag, and a tag over the chart's own release."""
    assert Release(values={"image": image}).container()["image"] == expected


def test_probes() -> None:
    """Alive is not ready: an operator without its CustomResourceDefinition waits, and is not restarted."""
    container = Release().container()
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert {container[name]["httpGet"]["port"] for name in paths} == {container["ports"][0]["name"]}
    container = SETS["everything that is watched by others"].container()
    assert container["ports"][0]["containerPort"] == 9090
    assert "--http-port=9090" in container["args"]


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ({}, {}),
        ({"noProxy": "hub"}, {}),
        ({"httpProxy": "http://p"}, {"HTTP_PROXY": "http://p", "NO_PROXY": "$(KUBERNETES_SERVICE_HOST),.svc"}),
        (
            {"httpsProxy": "http://p", "noProxy": "hub,10.0.0.0/8"},
            {"HTTPS_PROXY": "http://p", "NO_PROXY": "$(KUBERNETES_SERVICE_HOST),.svc,hub,10.0.0.0/8"},
        ),
    ],
)
def test_proxy(proxy: dict[str, str], expected: dict[str, str]) -> None:
    """The API server is reached without one."""
    assert env_of(Release(values={"proxy": proxy})) == {"HF_HOME": "/cache"} | expected


@pytest.mark.parametrize(
    ("bundle", "source"),
    [
        (
            {"configMap": {"name": "ca", "key": "x.pem"}},
            {"configMap": {"name": "ca", "items": [{"key": "x.pem", "path": "ca.crt"}]}},
        ),
        ({"secret": {"name": "ca"}}, {"secret": {"secretName": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
    ],
)
def test_certificates(bundle: dict[str, Any], source: Body) -> None:
    """Where the variable says, there is the bundle."""
    release = Release(values={"caBundle": bundle})
    (mount,) = [mount for mount in release.container()["volumeMounts"] if mount["name"] == "certificates"]
    assert env_of(release)["SSL_CERT_FILE"] == f"{mount['mountPath']}/ca.crt"
    (volume,) = [volume for volume in pod_of(release)["volumes"] if volume["name"] == "certificates"]
    assert volume == {"name": "certificates", **source}


def test_hub_and_default_image() -> None:
    """What is said of the hub and of vLLM reaches the command."""
    assert "--hf-endpoint=https://hub.local/hf" in SETS["a closed network"].container()["args"]
    arguments = SETS["stock vLLM"].container()["args"]
    expected = ("--image-repository=vllm/vllm-openai", "--image-tag=v0.25.1", "--runtime=vllm", "--vllm=0.25.1")
    assert set(expected) <= set(arguments)


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        ({}, None),
        ({"replicaCount": 2}, {"maxUnavailable": 1}),
        ({"replicaCount": 2, "podDisruptionBudget": {"maxUnavailable": "50%"}}, {"maxUnavailable": "50%"}),
        ({"replicaCount": 3, "podDisruptionBudget": {"minAvailable": 2}}, {"minAvailable": 2}),
        ({"replicaCount": 3, "podDisruptionBudget": {"minAvailable": 0}}, {"minAvailable": 0}),
        ({"replicaCount": 2, "podDisruptionBudget": {"enabled": False}}, None),
    ],
)
def test_disruption_budget(values: dict[str, Any], spec: Body | None) -> None:
    """With several replicas one may go at a time; a single one must not hold up a drain."""
    found = [body["spec"] for body in Release(values=values).rendered() if body["kind"] == "PodDisruptionBudget"]
    kept = [{key: value for key, value in body.items() if key.endswith("vailable")} for body in found]
    assert kept == ([] if spec is None else [spec])


def test_spread() -> None:
    """Constraints without a selector get that of the operator's pods; one with keeps it."""
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = {"labelSelector": {"matchLabels": {"a": "b"}}}
    given = pod_of(Release(values={"topologySpreadConstraints": [constraint, constraint | own]}))
    first, second = given["topologySpreadConstraints"]
    selector = Release().find("Deployment")["spec"]["selector"]
    assert (first, second["labelSelector"]["matchLabels"]["a"]) == (constraint | {"labelSelector": selector}, "b")


def test_common_labels() -> None:
    """They are on everything, in no selector, and take the place of none of ours."""
    release = SETS["labels and manifests of one's own"]
    for body in release.rendered():
        if not body["metadata"]["name"].endswith(("-yaml", "-text")):
            assert body["metadata"]["labels"]["team"] == "ml"
            assert body["metadata"]["labels"]["app.kubernetes.io/name"] == "mistral-operator"
    assert "team" not in release.find("Deployment")["spec"]["selector"]["matchLabels"]
    assert {body["metadata"]["name"] for body in release.rendered() if body["kind"] == "ConfigMap"} == {
        f"{ROLE}-yaml", f"{ROLE}-text"
    }  # fmt: skip
