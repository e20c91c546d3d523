"""From a MistralDeployment of three lines to pods that serve, and to nothing again."""

import pytest

from cluster.live import NEMO, Live, container_of


def test_a_model_id_alone_becomes_a_serving_deployment(live: Live) -> None:
    """Children exist, belong to the object, and the status tells what was read, decided and seen.

    Only what pods run is not known: nobody answers for them.
    """
    live.mdep("m")
    body = live.until_ready("m")

    assert "finalizers" not in body["metadata"]
    assert "annotations" not in body["metadata"]
    status = body["status"]
    assert status["phase"] == "Ready"
    assert status["model"]["commit"] == status["resolved"]["commit"]
    assert status["attention"]["slidingWindow"] == 4096
    assert status["attention"]["layers"] == {"sliding": 32, "full": 0}
    assert status["attention"]["backends"] == {"sliding_attention": "XFORMERS"}
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    assert status["url"] == f"http://m.{live.namespace}.svc:8000/v1"
    assert {condition["type"]: condition["status"] for condition in status["conditions"]} == dict.fromkeys(
        (
            "Ready", "ModelResolved", "BackendSelected", "HardwareCompatible", "Available", "UpToDate", "PlanCurrent",
        ),
        "True",
    ) | {"AttentionVerified": "Unknown"}  # fmt: skip
    for kind in ("Deployment", "Service"):
        owner = live.get(kind, "m")["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"]) == (body["metadata"]["uid"], True)
    arguments = container_of(live.get("Deployment", "m"))["args"]
    assert arguments[arguments.index("--attention-backend") + 1] == "CUSTOM"
    assert arguments[arguments.index("--revision") + 1] == status["resolved"]["commit"]


def test_a_model_without_a_window_is_left_to_the_engine(live: Live) -> None:
    """No window: no attention argument, no window column, and the status says why."""
    live.mdep("nemo", NEMO)
    status = live.until_ready("nemo")["status"]
    assert "slidingWindow" not in status["attention"]
    assert status["attention"]["reason"] == "NoSlidingWindow"
    assert "--attention-backend" not in container_of(live.get("Deployment", "nemo"))["args"]


def test_nothing_rolls_on_the_way_to_ready(live: Live) -> None:
    """What is rendered from a plan just made, and from the same plan read back, is the same pod."""
    live.mdep("m", env=[{"name": "B", "value": "1"}, {"name": "A", "value": "$(B)"}])
    live.until_ready("m")
    assert len(live.all("ReplicaSet")) == 1
    assert live.get("Deployment", "m")["metadata"]["generation"] == 1


def test_pods_stay_on_gpus_of_the_plan(live: Live) -> None:
    """A product that the spec names is where the pod lands."""
    live.mdep("m", gpu={"products": ["NVIDIA-L4"]})
    live.until_ready("m")
    assert [pod["spec"]["nodeName"] for pod in live.pods("m")] == ["l4-0"]


def test_columns_say_what_counts(live: Live) -> None:
    """``kubectl get mdep -o wide`` answers model, window, backend, readiness, where and at which commit."""
    live.mdep("m", gpu={"products": ["NVIDIA-H200"]})
    commit = live.until_ready("m")["status"]["resolved"]["commit"]
    header, row = live.plane.kubectl("get", "mdep", "-o", "wide", "-n", live.namespace).strip().splitlines()
    assert " ".join(header.split()) == "NAME MODEL WINDOW BACKEND READY REPLICAS REASON AGE COMMIT GPU URL"
    seen = row.split()
    age = seen.pop(7)
    assert age.endswith("s")
    url = f"http://m.{live.namespace}.svc:8000/v1"
    assert " ".join(seen) == f"m mistralai/Mistral-7B-v0.1 4096 XFORMERS True 1 Serving {commit} NVIDIA-H200 {url}"


def test_a_restricted_namespace_admits_the_pods(live: Live) -> None:
    """Pods pass the restricted Pod Security level as they are."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    live.plane.kubectl("label", "namespace", live.namespace, label)
    live.mdep("m")
    live.until_ready("m")


def test_secrets_stand_in_the_pod_by_reference_only(live: Live) -> None:
    """Token and API key reach the container from Secrets, never as text."""
    live.secret("hf", {"token": "hf_secret_token"})
    live.secret("vllm", {"key": "sk-secret-key"})
    live.mdep("m", hfTokenSecretRef={"name": "hf", "key": "token"}, apiKeySecretRef={"name": "vllm", "key": "key"})
    body = live.until_ready("m")
    deployment = live.get("Deployment", "m")
    environment = {entry["name"]: entry for entry in container_of(deployment)["env"]}
    assert environment["HF_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "hf", "key": "token"}
    assert environment["VLLM_API_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "vllm", "key": "key"}
    for text in (str(deployment), str(body)):
        assert "hf_secret_token" not in text
        assert "sk-secret-key" not in text


def test_a_claim_is_made_and_goes_when_it_is_not_wanted(live: Live) -> None:
    """storage.pvc.create makes a claim that belongs to the object; without it the claim is pruned."""
    live.mdep("m", storage={"pvc": {"create": {"size": "20Gi", "accessModes": ["ReadWriteMany"]}}})
    claim = live.until("the claim", lambda: live.find("PersistentVolumeClaim", "m"))
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert claim["metadata"]["ownerReferences"][0]["kind"] == "MistralDeployment"
    live.patch("MistralDeployment", "m", {"spec": {"storage": None}})

    def is_going() -> bool:
        left = live.find("PersistentVolumeClaim", "m")
        # pvc-protection holds it for as long as a pod mounts it
        return left is None or "deletionTimestamp" in left["metadata"]

    live.until("the claim to go", is_going)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_deletion_removes_everything_and_recreates_nothing(live: Live, policy: str) -> None:
    """No finalizer holds the object, and no child comes back under a foreground deletion."""
    live.mdep("m")
    live.until_ready("m")
    before = {kind: live.get(kind, "m")["metadata"]["uid"] for kind in ("Deployment", "Service")}
    live.delete("MistralDeployment", "m", policy)

    def gone() -> bool:
        for kind, uid in before.items():
            child = live.find(kind, "m")
            assert child is None or child["metadata"]["uid"] == uid, f"{kind} was created anew"
        kinds = ("MistralDeployment", "Deployment", "Service", "ReplicaSet", "Pod")
        return not any(item for kind in kinds for item in live.all(kind))

    # the garbage collector learns of a new kind of owner at its next discovery, which comes every 30 s
    live.until("everything to be gone", gone, seconds=90)


def test_an_object_made_anew_waits_for_its_predecessors_children_to_go(live: Live) -> None:
    """They are nobody's fault, so that nothing is said of them, and they are not taken over."""
    live.mdep("m")
    live.until_ready("m")
    before = live.get("Deployment", "m")["metadata"]["uid"]
    live.delete("MistralDeployment", "m")
    live.until("the object to be gone", lambda: live.find("MistralDeployment", "m") is None)
    live.mdep("m")
    live.until_ready("m", seconds=90)
    assert live.get("Deployment", "m")["metadata"]["uid"] != before
    assert ("Warning", "ChildNotOwned") not in live.events("m")
