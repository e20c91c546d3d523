"""The scenarios: what a user, a stranger, the hub or a kubelet does to an object. A new capability adds its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.faults.admin import Body
from bench.faults.world import World
from mistral_operator.api.names import API_VERSION, KIND, PAUSED_ANNOTATION, REPLAN_ANNOTATION

NAME: Final = "m"  # of the one object, and so of its children
BRANCHING: Final = "acme/mistral"  # a repository of the hub whose branch can move
TOKEN_SECRET: Final = "hub"  # noqa: S105 - the name of a Secret
_FATE: Final = "devcluster.mistral-operator.io/fate"
_LAST_WORDS: Final = "devcluster.mistral-operator.io/last-words"
_CLAIM: Final = {"pvc": {"create": {"size": "1Gi"}}}
_STOPPED_WITH_CLAIM: Final = {"replicas": 0, "storage": _CLAIM}
_RECHECK_SECONDS: Final = 3.0  # rarer than an undisturbed end needs to be seen
_OF_BRANCH: Final = {"model": {"id": BRANCHING}, "hfTokenSecretRef": {"name": TOKEN_SECRET, "key": "token"}}


@dataclass(frozen=True)
class Scenario:
    """One thing that happens to an object that is served.

    Parameters
    ----------
    act
        Does it.
    done
        Tells whether the operator has come to the end of it, on a quiet day. The end state is judged by comparison.
    spec
        Of the object that there is at the beginning, in addition to its model; None where there is none yet.
    prepare, prepared
        What happens before, undisturbed, and tells whether the operator has come to the end of that.
    recheck_seconds
        How often the operator asks the hub whether a branch has moved.
    """

    name: str
    act: Callable[[World], Awaitable[None]]
    done: Callable[[World], bool]
    spec: Mapping[str, Any] | None = field(default_factory=dict)
    prepare: Callable[[World], Awaitable[None]] | None = None
    prepared: Callable[[World], bool] | None = None
    recheck_seconds: float = 3600


def manifest(world: World, spec: Mapping[str, Any]) -> Body:
    """Return the object of a scenario."""
    model = {"id": "mistralai/Mistral-7B-v0.1"}
    whole = {"model": model, "gpu": {"products": ["NVIDIA-H200"]}, "podAnnotations": world.pod_annotations, **spec}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": NAME}, "spec": whole}


def settled(world: World) -> bool:
    """Tell whether pods are as many and as ready as the object's newest spec wants, and its status says so."""
    if not (world.is_current() and world.is_rolled_out(NAME)):
        return False
    if world.condition("Ready") == ("False", "ScaledToZero"):
        return not world.pods()
    return (world.condition("Ready")[0], world.condition("AttentionVerified")[0]) == ("True", "True")


async def _create(world: World) -> None:
    await world.create(manifest(world, {}))


async def _change_spec(world: World) -> None:
    await world.patch(KIND, NAME, {"spec": {"engine": {"maxModelLen": 4096}, "extraArgs": ["--seed=1"]}})


async def _edit_children(world: World) -> None:
    edited = {"name": "vllm", "image": "stranger"}
    await world.patch_strategically(
        "Deployment", NAME, {"spec": {"replicas": 3, "template": {"spec": {"containers": [edited]}}}}
    )
    await world.patch_strategically("Service", NAME, {"spec": {"selector": {"app.kubernetes.io/instance": "stranger"}}})


def _children_are_ours(world: World) -> bool:
    deployment, service = world.get("Deployment", NAME), world.get("Service", NAME)
    if deployment is None or service is None:
        return False
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    selected = service["spec"]["selector"]["app.kubernetes.io/instance"]
    return settled(world) and deployment["spec"]["replicas"] == 1 and image != "stranger" and selected == NAME


async def _delete_children(world: World) -> None:
    await world.delete("Service", NAME)
    await world.delete("Deployment", NAME)


async def _scale(world: World) -> None:
    await world.patch(KIND, NAME, {"spec": {"replicas": 3}})


async def _delete(world: World) -> None:
    await world.delete(KIND, NAME)


def _is_gone(world: World) -> bool:
    kinds = (KIND, "Deployment", "Service", "PersistentVolumeClaim")
    return not world.pods() and all(world.get(kind, NAME) is None for kind in kinds)


async def _recreate(world: World) -> None:
    await world.delete(KIND, NAME)
    await world.create(manifest(world, {"replicas": 2}))


async def _move_branch(world: World) -> None:
    world.move_branch()


def _is_outdated(world: World) -> bool:
    return settled(world) and world.condition("PlanCurrent") == ("False", "PlanOutdated")


async def _replan(world: World) -> None:
    await world.patch(KIND, NAME, {"metadata": {"annotations": {REPLAN_ANNOTATION: "1"}}})


def _is_replanned(world: World) -> bool:
    resolved = world.status().get("resolved") or {}
    return settled(world) and resolved.get("replan") == "1" and world.condition("PlanCurrent")[0] == "True"


async def _pause_and_change(world: World) -> None:
    await world.patch(KIND, NAME, {"metadata": {"annotations": {PAUSED_ANNOTATION: "true"}}})
    await world.patch(KIND, NAME, {"spec": {"extraArgs": ["--seed=2"], "replicas": 2}})


def _is_paused(world: World) -> bool:
    return world.is_current() and world.condition("PlanCurrent")[1] == "Paused"


async def _pause_and_go_on(world: World) -> None:
    await _pause_and_change(world)
    await world.patch(KIND, NAME, {"metadata": {"annotations": {PAUSED_ANNOTATION: None}}})


async def _drop_claim(world: World) -> None:
    await world.patch(KIND, NAME, {"spec": {"storage": None}})


async def _add_claim(world: World) -> None:
    await world.patch(KIND, NAME, {"spec": {"storage": _CLAIM}})


def _has_claim(*, wanted: bool) -> Callable[[World], bool]:
    return lambda world: settled(world) and (world.get("PersistentVolumeClaim", NAME) is not None) is wanted


async def _crash_pod(world: World) -> None:
    for pod in world.pods():
        words = {_FATE: "ends", _LAST_WORDS: "ValueError: a pod's last words"}
        await world.patch("Pod", pod, {"metadata": {"annotations": words}})


def _is_crashed(world: World) -> bool:
    return world.condition("Available")[0] == "False" and "last words" in str(world.status().get("conditions"))


SCENARIOS: Final = (
    Scenario("create", _create, settled, spec=None),
    Scenario("change of spec", _change_spec, settled),
    Scenario("a stranger edits the children", _edit_children, _children_are_ours),
    Scenario("a stranger deletes the children", _delete_children, _children_are_ours),
    Scenario("scale", _scale, settled),
    Scenario("delete", _delete, _is_gone, spec={"storage": _CLAIM, "replicas": 0}),
    Scenario("delete and create anew", _recreate, settled),
    Scenario("the branch moves", _move_branch, _is_outdated, spec=_OF_BRANCH, recheck_seconds=_RECHECK_SECONDS),
    Scenario(
        "replan",
        _replan,
        _is_replanned,
        spec=_OF_BRANCH,
        prepare=_move_branch,
        prepared=_is_outdated,
        recheck_seconds=_RECHECK_SECONDS,
    ),
    Scenario("pause, and change", _pause_and_change, _is_paused),
    Scenario("pause, change, and go on", _pause_and_go_on, settled),
    Scenario("a claim is added", _add_claim, _has_claim(wanted=True), spec={"replicas": 0}),
    Scenario("the claim is dropped", _drop_claim, _has_claim(wanted=False), spec=_STOPPED_WITH_CLAIM),
    Scenario("the pod crashes", _crash_pod, _is_crashed),
)
