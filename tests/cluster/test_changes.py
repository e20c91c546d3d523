"""Every field a user may change rolls what it must, and nothing else."""

from typing import Any, Final

import pytest

from cluster.live import MISTRAL_7B, NEMO, Body, Live, container_of

IMAGE: Final = {
    "repository": "registry.example/vllm",
    "tag": "v0.26.0",
    "runtime": {"name": "vllm", "version": "0.26.0"},
}


def pod_spec(live: Live) -> Body:
    """Return the pod's spec in the Deployment."""
    spec: Body = live.get("Deployment", "m")["spec"]["template"]["spec"]
    return spec


# the patch of the spec, and what must stand in the pod's spec afterwards
ROLLS: Final[dict[str, tuple[Body, Any]]] = {
    "model": ({"model": {"id": NEMO}}, lambda pod: pod["containers"][0]["args"][0] == NEMO),
    "revision": (
        {"model": {"id": "mistralai/Ministral-8B-Instruct-2410", "revision": "with-layer_types"}},
        lambda pod: "mistralai/Ministral-8B-Instruct-2410" in pod["containers"][0]["args"],
    ),
    "servedName": ({"model": {"servedName": "chat"}}, lambda pod: "chat" in pod["containers"][0]["args"]),
    "env": (
        {"env": [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}]},
        lambda pod: {"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"} in pod["containers"][0]["env"],
    ),
    "env that the operator sets too": (
        {"env": [{"name": "HF_HOME", "value": "/elsewhere"}]},
        lambda pod: [e["value"] for e in pod["containers"][0]["env"] if e["name"] == "HF_HOME"] == ["/elsewhere"],
    ),
    "extraArgs": (
        {"extraArgs": ["--enable-prefix-caching"]},
        lambda pod: pod["containers"][0]["args"][-1] == "--enable-prefix-caching",
    ),
    "image": ({"image": IMAGE}, lambda pod: pod["containers"][0]["image"] == "registry.example/vllm:v0.26.0"),
    "gpu products": (
        {"gpu": {"products": ["NVIDIA-A100-SXM4-80GB"]}},
        lambda pod: "NVIDIA-A100-SXM4-80GB" in str(pod["affinity"]) and "H200" not in str(pod["affinity"]),
    ),
    "gpu count": (
        {"parallelism": {"tensor": 2}},
        lambda pod: pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2",
    ),
    "maxModelLen": (
        {"engine": {"maxModelLen": 8192}},
        lambda pod: "8192" in pod["containers"][0]["args"],
    ),
    "attentionBackend": (
        {"engine": {"attentionBackend": "FLASH_ATTN"}},
        lambda pod: "FLASH_ATTN" in pod["containers"][0]["args"],
    ),
    "resources": (
        {"resources": {"requests": {"cpu": "4"}}},
        lambda pod: pod["containers"][0]["resources"]["requests"]["cpu"] == "4",
    ),
    "nodeSelector": ({"nodeSelector": {"kubernetes.io/arch": "amd64"}}, lambda pod: "nodeSelector" in pod),
    "tolerations": (
        {"tolerations": [{"key": "spot", "operator": "Exists"}]},
        lambda pod: {"key": "spot", "operator": "Exists"} in pod["tolerations"],
    ),
    "podLabels": ({"podLabels": {"team": "nlp"}}, lambda pod: True),  # noqa: ARG005 - they stand beside the pod's spec
    "priorityClassName": (
        {"priorityClassName": "system-cluster-critical"},
        lambda pod: pod["priorityClassName"] == "system-cluster-critical",
    ),
    "grace period": (
        {"terminationGracePeriodSeconds": 7},
        lambda pod: pod["terminationGracePeriodSeconds"] == 7,
    ),
    "emptyDir": (
        {"storage": {"emptyDir": {"sizeLimit": "50Gi"}}},
        lambda pod: {"name": "models", "emptyDir": {"sizeLimit": "50Gi"}} in pod["volumes"],
    ),
    "securityContext": (
        {"securityContext": {"readOnlyRootFilesystem": False}},
        lambda pod: pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is False,
    ),
    "hfTokenSecretRef": (
        {"hfTokenSecretRef": {"name": "hf", "key": "token"}},
        lambda pod: "HF_TOKEN" in [entry["name"] for entry in pod["containers"][0]["env"]],
    ),
}


@pytest.mark.parametrize("field", ROLLS)
def test_what_pods_run_rolls_them(live: Live, field: str) -> None:
    """The new pods run what was asked for, and the old ones are gone before the object is Ready again."""
    patch, holds = ROLLS[field]
    live.secret("hf", {"token": "hf_token"})
    live.mdep("m")
    live.until_ready("m")
    before = live.get("Deployment", "m")
    live.patch("MistralDeployment", "m", {"spec": patch})
    live.until_ready("m")
    after = live.get("Deployment", "m")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1, "rolled more than once"
    assert len(live.all("ReplicaSet")) == 2
    assert holds(pod_spec(live))


def test_a_service_account_can_be_taken_back(live: Live) -> None:
    """The API server keeps an account in an old alias of its field as well."""
    live.mdep("m", serviceAccountName="models")
    live.until("the account", lambda: live.find("Deployment", "m") and pod_spec(live)["serviceAccountName"] == "models")
    live.patch("MistralDeployment", "m", {"spec": {"serviceAccountName": None}})
    live.until("the default account", lambda: pod_spec(live)["serviceAccountName"] == "default")
    assert pod_spec(live)["serviceAccount"] == "default"


@pytest.mark.parametrize(
    ("patch", "kind", "holds"),
    [
        ({"replicas": 2}, "Deployment", lambda body: body["spec"]["replicas"] == 2),
        ({"service": {"port": 80}}, "Service", lambda body: body["spec"]["ports"][0]["port"] == 80),
        (
            {"service": {"annotations": {"a": "b"}}},
            "Service",
            lambda body: body["metadata"].get("annotations") == {"a": "b"},
        ),
        (
            {"rollout": {"maxSurge": 1, "maxUnavailable": 0}},
            "Deployment",
            lambda body: body["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0},
        ),
        ({"image": {"pullPolicy": None}}, "Deployment", lambda body: body["spec"]["replicas"] == 1),
    ],
    ids=["replicas", "service port", "service annotations", "rollout", "nothing"],
)
def test_what_pods_do_not_run_rolls_nothing(live: Live, patch: Body, kind: str, holds: Any) -> None:
    """The change arrives where it belongs, and every pod that was there lives on."""
    live.mdep("m")
    live.until_ready("m")
    before = {pod["metadata"]["uid"] for pod in live.pods("m")}
    live.patch("MistralDeployment", "m", {"spec": patch})
    live.until(f"the {kind} to follow", lambda: holds(live.get(kind, "m")))
    live.until_ready("m")
    assert before <= {pod["metadata"]["uid"] for pod in live.pods("m")}
    assert len(live.all("ReplicaSet")) == 1


def test_a_change_that_allows_no_plan_leaves_the_pods_alone(live: Live) -> None:
    """Pods of the old plan serve on, and the status says what is wrong with the new wish, and heals."""
    live.mdep("m")
    live.until_ready("m")
    before = live.get("Deployment", "m")
    live.patch("MistralDeployment", "m", {"spec": {"gpu": {"products": ["NVIDIA-B300"]}}})
    live.until_condition("m", "HardwareCompatible", "False", "NoMatchingGPU")
    live.until_condition("m", "Ready", "False", "NoMatchingGPU")
    live.until_condition("m", "PlanCurrent", "False", "PlanPending")
    after = live.get("Deployment", "m")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    live.patch("MistralDeployment", "m", {"spec": {"gpu": {"products": None}}})
    live.until_ready("m")
    assert live.get("Deployment", "m")["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_backend_that_ignores_the_window_is_refused(live: Live) -> None:
    """VLLM 0.11.2's XFORMERS computes wrong answers: it is never run, whoever asks for it."""
    old = {"repository": "vllm/vllm-openai", "tag": "v0.11.2", "runtime": {"name": "vllm", "version": "0.11.2"}}
    live.mdep("m", MISTRAL_7B, image=old, engine={"attentionBackend": "XFORMERS"})
    told = live.until_condition("m", "BackendSelected", "False")
    assert "window" in told["message"]
    assert live.find("Deployment", "m") is None


def test_a_users_variable_is_the_last_word_and_stands_once(live: Live) -> None:
    """Two entries of one name would answer HTTP 500 for ever."""
    live.mdep("m", env=[{"name": "HOME", "value": "/home/me"}])
    live.until_ready("m")
    names = [entry["name"] for entry in container_of(live.get("Deployment", "m"))["env"]]
    assert len(names) == len(set(names))
