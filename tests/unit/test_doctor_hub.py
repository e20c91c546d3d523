"""What the doctor says of hub, tokens and image pull."""

from typing import Any

import pytest

from mistral_operator.api.mistral_deployment import read_spec
from mistral_operator.cli.doctor.checks.hub import check_hub
from mistral_operator.cli.doctor.checks.images import check_images
from mistral_operator.cli.doctor.facts import Deployment, Deployments, Hub, ModelRead, PullSecret, Unread

HUB = "https://hub.example"
READ = ModelRead()
GATED = ModelRead("Gated", "acme/a is gated, and no token was sent.", "Accept the licence.")
AWAY = ModelRead(
    "HubUnreachable", "acme/a could not be read from it: it did not answer in time.", "Check.", hub_away=True
)
NO_SECRET = ModelRead("TokenSecretMissing", "Secret team/hf does not exist.", "Create it.", asked=False)
FORBIDDEN = ModelRead(
    "TokenSecretUnreadable", "may not be read by user u.", "Grant.", asked=False, token_not_readable=True
)
NOT_FOUND = ModelRead("NotFoundOrNoAccess", "mistralai/Mistral-7B-v0.1 does not exist.", "Check.")


def deployment(name: str, **environment: str) -> Deployment:
    """Return a MistralDeployment that was planned with an environment."""
    metadata = {"name": name, "namespace": "team"}
    body = {"metadata": metadata, "status": {"resolved": {"env": environment}} if environment else {}}
    return Deployment(body, read_spec({"model": {"id": "acme/a"}}))


@pytest.mark.parametrize(
    ("reads", "probe", "told"),
    [
        pytest.param({}, READ, [("ok", "hub", "HubAnswers", "answers from here")], id="no models"),
        pytest.param({}, NOT_FOUND, [("ok", "hub", "HubAnswers", "answers from here")], id="a mirror without it"),
        pytest.param({}, AWAY, [("warning", "hub", "HubUnreachable", "from here: acme/a could not")], id="away"),
        pytest.param(
            {"a": READ, "b": GATED},
            None,
            [
                ("ok", "hub", "HubAnswers", "1 of 2 MistralDeployments have a model"),
                ("problem", "b", "Gated", "is gated, and no token was sent"),
            ],
            id="gated",
        ),
        pytest.param(
            {"a": AWAY, "b": AWAY, "c": NO_SECRET},
            None,
            [
                ("warning", "hub", "HubUnreachable", "from here: "),
                ("problem", "c", "TokenSecretMissing", "Secret team/hf does not exist"),
            ],
            id="away: told once",
        ),
        pytest.param(
            {"a": READ, "b": AWAY},
            None,
            [
                ("ok", "hub", "HubAnswers", "1 of 2"),
                ("warning", "b", "HubUnreachable", "did not answer in time"),
            ],
            id="away for one",
        ),
        pytest.param(
            {"a": FORBIDDEN},
            None,
            [
                ("warning", "hub", "HubNotChecked", "not asked"),
                ("warning", "a", "TokenNotChecked", "model and token were not checked: may not be read by user u"),
            ],
            id="a Secret that the user may not read",
        ),
    ],
)
def test_models(reads: dict[str, ModelRead], probe: ModelRead | None, told: list[tuple[str, str, str, str]]) -> None:
    """A hub that is away is told once; whoever may not read a token has found out nothing."""
    deployments = [deployment(name) for name in "abc"]
    hub = Hub(HUB, {f"MistralDeployment team/{name}": read for name, read in reads.items()}, probe)
    found = [*check_hub(hub, Deployments(tuple(deployments), ()))]
    short = {f"hub {HUB}": "hub"} | {one.about: one.name for one in deployments}
    assert [(str(one.level), short[one.object], one.reason) for one in found] == [one[:3] for one in told]
    for one, (*_, says) in zip(found, told, strict=True):
        assert says in one.message
        assert bool(one.next_step) == (one.level != "ok")


def test_the_hub_of_the_operator_is_another() -> None:
    """It is named once, without its password, whatever the number of objects."""
    planned = [deployment(name, HF_ENDPOINT="https://user:secret@mirror.example/") for name in "ab"]
    same = deployment("c", HF_ENDPOINT=f"{HUB}/")
    other = [*check_hub(Hub(HUB, probe=READ), Deployments((*planned, same), ()))][1:]
    assert [(one.level, one.reason, one.object) for one in other] == [
        ("warning", "OtherHub", "hub https://mirror.example")
    ]
    assert "MistralDeployment team/a and 1 more" in other[0].message
    assert "secret" not in other[0].message + other[0].next_step


def pod(name: str, reason: str | None = None, message: str | None = None, *, init: bool = False) -> dict[str, Any]:
    """Return a pod that waits for something."""
    state = {"running": {}} if reason is None else {"waiting": {"reason": reason, "message": message}}
    statuses = "initContainerStatuses" if init else "containerStatuses"
    return {
        "metadata": {"name": name, "namespace": "team"},
        "status": {statuses: [{"name": "vllm", "image": "acme/vllm:1", "state": state}]},
    }


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ([], [("ok", "Pods", "NoPullFails", "there is none; ")]),
        ([pod("a"), pod("b", "CrashLoopBackOff")], [("ok", "Pods", "NoPullFails", "none of 2 waits")]),
        (
            [pod("b", "ErrImagePull", "not\nfound"), pod("a", "ImagePullBackOff", "Back-off")],
            [("problem", "Pod team/a and 1 more", "ImagePullFailed", "acme/vllm:1 cannot be pulled: Back-off")],
        ),
        (
            [pod("a", "ErrImagePull", "acme/vllm:1: not found")],
            [("problem", "Pod team/a", "ImageMissing", "acme/vllm:1 cannot be pulled: acme/vllm:1: not found")],
        ),
        (
            [pod("a", "ErrImageNeverPull", init=True)],
            [("problem", "Pod team/a", "ImageMissing", "acme/vllm:1 is not on the node")],
        ),
        (Unread("pods is forbidden"), [("warning", "Pods", "PodsNotReadable", "pods is forbidden")]),
    ],
)
def test_pulls(pods: list[dict[str, Any]] | Unread, told: list[tuple[str, str, str, str]]) -> None:
    """Pods that wait for the same image are one finding; no registry is asked, and that is said."""
    found = [*check_images(pods, [])]
    assert [(str(one.level), one.object, one.reason) for one in found] == [one[:3] for one in told]
    for one, (*_, says) in zip(found, told, strict=True):
        assert says in one.message
        assert one.reason != "ImageMissing" or "spec.imagePullSecrets" not in one.next_step
    if found[0].reason == "NoPullFails":
        assert "not tested from here" in found[0].message


@pytest.mark.parametrize(
    ("kind", "level", "reason", "says"),
    [
        (None, "problem", "PullSecretMissing", "does not exist, and spec.imagePullSecrets of a, b names it"),
        ("Opaque", "problem", "PullSecretOfOtherType", "is of type Opaque"),
        (Unread("secrets is forbidden"), "warning", "PullSecretNotReadable", "secrets is forbidden"),
        ("kubernetes.io/dockerconfigjson", None, None, None),
        ("kubernetes.io/dockercfg", None, None, None),
    ],
)
def test_pull_secrets(kind: str | Unread | None, level: str | None, reason: str | None, says: str | None) -> None:
    """One that is right is not told."""
    found = [*check_images([], [PullSecret("team", "registry", kind, ("a", "b"))])][1:]
    if says is None:
        assert found == []
        return
    (one,) = found
    assert (one.object, one.level, one.reason) == ("Secret team/registry", level, reason)
    assert says in one.message
    assert "registry" in one.next_step or "team" in one.next_step
