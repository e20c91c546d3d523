"""The environment of the vLLM container."""

from typing import Any

import pytest

from unit.planning_on_clusters import spec
from unit.rendering_from_specs import container, environment, planned, pod

PVC: dict[str, Any] = {
    "model": {"id": "mistralai/Mistral-7B-v0.1", "source": "PVC", "path": "m"},
    "storage": {"pvc": {"name": "w"}},
}
WRITTEN_TO = (
    "HOME", "HF_HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "VLLM_CACHE_ROOT",
)  # fmt: skip


@pytest.mark.parametrize("fields", [{}, PVC, {"storage": {"pvc": {"create": {"size": "50Gi"}}}}])
@pytest.mark.parametrize("name", WRITTEN_TO)
def test_whatever_is_written_lands_on_a_volume(name: str, fields: dict[str, Any]) -> None:
    """The root filesystem is read-only, so that every folder written to is on a mount that is not."""
    folder = environment(**fields)[name]["value"]
    mounts = container(**fields)["volumeMounts"]
    (mount,) = [
        mount for mount in mounts if folder == mount["mountPath"] or folder.startswith(f"{mount['mountPath']}/")
    ]
    assert not mount.get("readOnly")


def test_downloads_go_where_weights_are_kept() -> None:
    """The hub's cache is on the volume of weights, unless that is the user's own and read-only."""
    assert environment()["HF_HOME"]["value"] == "/models/huggingface"
    assert environment(**PVC)["HF_HOME"]["value"] == "/cache/huggingface"


def test_the_user_has_a_name() -> None:
    """Importing torch asks for the user's name, which fails where neither USER nor an entry of passwd tells it."""
    assert environment()["USER"]["value"] == "vllm"


def test_the_plan_wins_over_the_base() -> None:
    """What the plan says stands, also of a name that every pod has."""
    frozen = planned(spec()).model_copy(update={"env": {"VLLM_PLUGINS": "mistral_vllm", "HOME": "/plan"}})
    found = environment(frozen)
    assert (found["VLLM_PLUGINS"]["value"], found["HOME"]["value"]) == ("mistral_vllm", "/plan")


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"},
        {"name": "HOME", "value": "/elsewhere"},
        {"name": "HF_HOME", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ],
)
def test_the_user_wins(entry: dict[str, Any]) -> None:
    """A user's entry replaces ours as a whole: a value beside a valueFrom would be refused."""
    assert environment(env=[entry])[entry["name"]] == entry


def test_references_find_what_they_name() -> None:
    """$(NAME) means a variable that stands before it, so that the user's keep their order after all of ours."""
    mine = [
        {"name": "BASE", "value": "/data"},
        {"name": "HOME", "value": "$(BASE)/home"},
        {"name": "XDG_CACHE_HOME", "value": "$(HOME)/xdg"},
        {"name": "AGAIN", "value": "$(USER)"},
    ]
    assert container(env=mine)["env"][-4:] == mine


def test_secrets_stand_in_it_by_reference_only() -> None:
    """Neither the token nor the API key is ever in a manifest; arguments would show them to every ps."""
    fields: dict[str, Any] = {
        "hfTokenSecretRef": {"name": "hf", "key": "token"},
        "apiKeySecretRef": {"name": "vllm", "key": "api-key"},
    }
    found = environment(**fields)
    assert found["HF_TOKEN"] == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}
    assert found["VLLM_API_KEY"]["valueFrom"] == {"secretKeyRef": {"name": "vllm", "key": "api-key"}}
    args = container(**fields)["args"]
    assert not [
        argument for argument in args if "token" in argument.replace("tokenizer", "") and "batched" not in argument
    ]
    assert not [argument for argument in args if "api-key" in argument]


def test_no_secret_without_a_wish() -> None:
    """Without references there are no variables: an empty token would be sent, and refused."""
    assert not {"HF_TOKEN", "VLLM_API_KEY"} & environment().keys()


def test_the_environment_is_the_containers_alone() -> None:
    """There is one container, and no envFrom that could bring a second value of a name."""
    (found,) = pod()["containers"]
    assert "envFrom" not in found
