"""What the API server refuses at apply, with a sentence that names the field; and that it is never too strict."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from cluster.live import Answer, Body, Live, manifest
from devcluster.controlplane import ControlPlane
from devcluster.kubernetes_schemas import published_schemas
from mistral_operator.api.core_type import core_types_in
from mistral_operator.api.kubernetes_schemas import KubernetesSchemas
from mistral_operator.api.spec import MistralDeploymentSpec
from mistral_operator.api.status import MistralDeploymentStatus

PVC: Final = {"pvc": {"name": "weights"}}
REFUSED: Final[Mapping[str, tuple[Body, str]]] = {
    "no model": ({"model": None}, "spec.model"),
    "no id": ({"model": {"id": ""}}, "spec.model.id"),
    "negative replicas": ({"replicas": -1}, "spec.replicas"),
    "unknown backend": ({"engine": {"attentionBackend": "FASTEST"}}, "spec.engine.attentionBackend"),
    "no memory to use": ({"engine": {"gpuMemoryUtilization": 0}}, "spec.engine.gpuMemoryUtilization"),
    "memory beyond all": ({"engine": {"gpuMemoryUtilization": 1.01}}, "spec.engine.gpuMemoryUtilization"),
    "capability as a word": ({"gpu": {"minComputeCapability": "hopper"}}, "spec.gpu.minComputeCapability"),
    "memory of no GPU": ({"gpu": {"minMemory": "999999999999.999999Ti"}}, "spec.gpu.minMemory must be less than 100Ti"),
    "memory of no GPU in GiB": ({"gpu": {"minMemory": "100000Gi"}}, "spec.gpu.minMemory must be less than 100Ti"),
    "another vendor": ({"gpu": {"resourceName": "amd.com/gpu"}}, "spec.gpu.resourceName"),
    "pipeline": ({"parallelism": {"pipeline": 2}}, "spec.parallelism.pipeline"),
    "image without runtime": ({"image": {"tag": "v1"}}, "spec.image.runtime is required"),
    "digest without runtime": ({"image": {"digest": "sha256:" + "0" * 64}}, "spec.image.runtime is required"),
    "unknown runtime": ({"image": {"runtime": {"name": "sglang", "version": "1"}}}, "spec.image.runtime.name"),
    "GPU limit": ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "spec.resources may not name GPUs"),
    "MIG request": ({"resources": {"requests": {"nvidia.com/mig-1g.10gb": 1}}}, "spec.resources may not name GPUs"),
    "rendered flag": ({"extraArgs": ["--max-model-len=1"]}, "--max-model-len: say it in spec.engine.maxModelLen"),
    "underscores": ({"extraArgs": ["--max_model_len", "1"]}, "--max-model-len: say it in spec.engine.maxModelLen"),
    "nested flag": ({"extraArgs": ["--attention-config.backend=X"]}, "spec.extraArgs may not repeat"),
    "too many arguments": ({"extraArgs": ["--a"] * 65}, "spec.extraArgs"),
    "rendered variable": ({"env": [{"name": "VLLM_API_KEY", "value": "k"}]}, "say it in spec.apiKeySecretRef"),
    "rendered label": ({"podLabels": {"app.kubernetes.io/name": "x"}}, "spec.podLabels may not name"),
    "rendered annotation": ({"podAnnotations": {"mistral-operator.io/plan": "x"}}, "spec.podAnnotations may not name"),
    "volume of ours": ({"volumes": [{"name": "shm", "emptyDir": {}}]}, "spec.volumes may not name"),
    "mount of ours": ({"volumeMounts": [{"name": "x", "mountPath": "/models"}]}, "spec.volumeMounts may not mount"),
    "two kinds of storage": ({"storage": PVC | {"emptyDir": {}}}, "spec.storage takes pvc or emptyDir"),
    "claim of nothing": ({"storage": {"pvc": {}}}, "spec.storage.pvc takes either name"),
    "claim twice": ({"storage": {"pvc": {"name": "a", "create": {"size": "1Gi"}}}}, "spec.storage.pvc takes either"),
    "size as a word": ({"storage": {"pvc": {"create": {"size": "large"}}}}, "spec.storage.pvc.create.size"),
    "path without claim": ({"model": {"source": "PVC", "path": "m"}}, "spec.storage.pvc.name is required"),
    "claim without path": ({"model": {"source": "PVC"}, "storage": PVC}, "spec.model.path is required"),
    "path on the hub": ({"model": {"path": "m"}}, "means nothing with source Hub"),
    "path out of it": ({"model": {"source": "PVC", "path": "a/../../b"}, "storage": PVC}, "stays in it"),
    "absolute path": ({"model": {"source": "PVC", "path": "/m"}, "storage": PVC}, "stays in it"),
    "no way to roll": ({"rollout": {"maxSurge": 0, "maxUnavailable": 0}}, "spec.rollout"),
    "no way in percent": ({"rollout": {"maxSurge": "0%", "maxUnavailable": "0%"}}, "spec.rollout"),
    "Secret elsewhere": ({"apiKeySecretRef": {"name": "../../b/secrets/s", "key": "k"}}, "spec.apiKeySecretRef.name"),
    "key of no Secret": ({"hfTokenSecretRef": {"name": "hf", "key": "a/b"}}, "spec.hfTokenSecretRef.key"),
    "affinity misspelt": ({"affinity": {"nodeAfinity": {}}}, "nodeAfinity"),
}  # fmt: skip
ACCEPTED: Final[Mapping[str, Body]] = {
    "similar flags": {"extraArgs": ["--max-model-lenient", "--tokenizer", "x", "--model-impl=auto", "-v"]},
    "similar variables": {"env": [{"name": "VLLM_API_KEYS", "value": "k"}, {"name": "HF_HUB_OFFLINE", "value": "1"}]},
    "image with runtime": {"image": {"tag": "v1", "runtime": {"name": "vllm", "version": "v0.11.2"}}},
    "pull policy alone": {"image": {"pullPolicy": "Always"}},
    "much memory": {"gpu": {"minMemory": "99.999999Ti"}},
    "memory in bytes": {"gpu": {"minMemory": "999999999999"}},
    "memory in kilobytes": {"gpu": {"minMemory": "83886080.5k"}},
    "resources": {"resources": {"requests": {"cpu": 4, "memory": "32Gi"}, "limits": {"memory": "64Gi"}}},
    "surge": {"rollout": {"maxSurge": 1, "maxUnavailable": 0}},
    "surge in percent": {"rollout": {"maxSurge": "25%"}},
    "size as a number": {"storage": {"pvc": {"create": {"size": 10737418240}}}},
    "weights on a claim": {"model": {"source": "PVC", "path": "models/a..b"}, "storage": PVC},
    "64 arguments": {"extraArgs": ["x" * 1024] * 64},
    "everything of a pod": {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {}}}
                ]
            }
        },
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [{"name": "data", "nfs": {"server": "s", "path": "/"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
        "podSecurityContext": {"supplementalGroups": [1], "sysctls": [{"name": "a", "value": "b"}]},
        "securityContext": {"capabilities": {"add": ["SYS_NICE"]}},
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
    },
}  # fmt: skip


def attempt(live: Live, spec: Body, name: str = "m") -> None:
    """Create a MistralDeployment for trial only."""
    body = manifest(name)
    merged = {"model": body["spec"]["model"] | (spec.get("model") or {})} if spec.get("model", {}) is not None else {}
    body["spec"] = spec | merged
    live.request("POST", live.path("MistralDeployment") + "?dryRun=All&fieldValidation=Strict", body)


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_spec_is_refused_by_name(live: Live, case: str) -> None:
    """The sentence names the field."""
    spec, sentence = REFUSED[case]
    with pytest.raises(Answer) as refusal:
        attempt(live, spec)
    assert refusal.value.status in (400, 422)
    assert sentence in refusal.value.message


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_right_spec_is_accepted(live: Live, case: str) -> None:
    """No rule is stricter than what it is for."""
    attempt(live, ACCEPTED[case])


@pytest.mark.parametrize("name", ["1st", "m.x", "a" * 53, "m-"])
def test_a_name_that_children_cannot_bear_is_refused(live: Live, name: str) -> None:
    """Services and labels are stricter than the API server is with names of custom resources."""
    with pytest.raises(Answer) as refusal:
        attempt(live, {}, name)
    assert "name" in refusal.value.message


def test_the_longest_legal_name_works(live: Live) -> None:
    """52 characters: the Service, the labels and the pods' names all hold them."""
    name = "m" * 52
    live.mdep(name)
    live.until_ready(name)
    assert live.find("Service", name) is not None


def test_a_second_variable_of_one_name_is_refused(live: Live) -> None:
    """The list is a map by name: what would answer HTTP 500 on the Deployment never gets there."""
    with pytest.raises(Answer, match="Duplicate value"):
        attempt(live, {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})


def test_defaults_are_filled_in(live: Live) -> None:
    """``kubectl get -o yaml`` shows what counts, said or not."""
    spec = live.mdep("m")["spec"]
    assert spec["replicas"] == 1
    assert spec["engine"] == {"attentionBackend": "Auto", "gpuMemoryUtilization": 0.92, "enforceEager": False}
    assert spec["parallelism"] == {"tensor": 1, "pipeline": 1}
    assert "rollout" not in spec


def test_explain_tells_every_level(live: Live, tmp_path: Path) -> None:
    """``kubectl explain`` shows the documentation of the fields, Kubernetes' own included."""

    def explained(field: str) -> str:
        # explain does not look anew for a kind that a discovery of before the definition did not have
        return live.plane.kubectl("explain", field, f"--cache-dir={tmp_path}")

    assert "Longest sequence, in tokens" in explained("mdep.spec.engine.maxModelLen")
    assert "toleration" in explained("mdep.spec.tolerations.key").lower()
    assert "Attention backend by kind of layer" in explained("mdep.status.attention")


def test_kubernetes_own_schemas_are_those_of_this_release(plane: ControlPlane) -> None:
    """The file that the definition is generated from is what the API server publishes."""
    schemas = [model.model_json_schema() for model in (MistralDeploymentSpec, MistralDeploymentStatus)]
    published = published_schemas(plane, core_types_in(schemas))
    kept: Any = KubernetesSchemas().definitions
    assert json.dumps(published, sort_keys=True) == json.dumps(kept, sort_keys=True), (
        "run: python -m devcluster.kubernetes_schemas operator/mistral_operator/api/kubernetes_schemas.json "
        + " ".join(sorted(core_types_in(schemas)))
    )
