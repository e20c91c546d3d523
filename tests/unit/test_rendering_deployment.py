"""The Deployment and its probes: how many pods, how they are replaced, and how long each may take."""

from typing import Any

import pytest

from mistral_operator.planning.frozen import plan_digest
from mistral_operator.rendering.children import render_children
from mistral_operator.rendering.owner import Manifest, Owner, selector_of, selector_text
from mistral_operator.rendering.probes import render_probes, startup_seconds
from unit.planning_on_clusters import spec
from unit.rendering_from_specs import OWNER, container, planned, rendered

LABELS = {
    "app.kubernetes.io/name": "vllm",
    "app.kubernetes.io/instance": "mistral",
    "app.kubernetes.io/component": "model-server",
    "app.kubernetes.io/managed-by": "mistral-operator",
}
MINUTES = 60


def deployment(**fields: Any) -> Manifest:
    """Return the Deployment."""
    return rendered(spec(**fields))["Deployment"]


@pytest.mark.parametrize("replicas", [0, 1, 7])
def test_replicas_are_always_sent(replicas: int) -> None:
    """An intent that leaves them out resets the Deployment to 1."""
    assert deployment(replicas=replicas)["spec"]["replicas"] == replicas


@pytest.mark.parametrize(
    ("rollout", "surge", "unavailable"),
    [
        pytest.param(None, 0, 1, id="never a spare GPU"),
        pytest.param({"maxSurge": 1, "maxUnavailable": 0}, 1, 0, id="never fewer pods"),
        pytest.param({"maxUnavailable": "50%"}, 0, "50%", id="a share"),
    ],
)
def test_how_pods_are_replaced(rollout: dict[str, Any] | None, surge: Any, unavailable: Any) -> None:
    """Always RollingUpdate: a switch to Recreate by apply is refused once rollingUpdate was defaulted."""
    strategy = deployment(**({} if rollout is None else {"rollout": rollout}))["spec"]["strategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


@pytest.mark.parametrize(
    ("weights", "seconds"),
    [
        pytest.param(0, 10 * MINUTES, id="no weights"),
        pytest.param(50_000_000, 10 * MINUTES + 1, id="50 MB/s"),
        pytest.param(50_000_001, 10 * MINUTES + 2, id="a byte more"),
        pytest.param(14_483_464_192, 890, id="Mistral-7B"),
        pytest.param(None, 10 * MINUTES + 2800, id="unknown: as long as a 70B model takes"),
    ],
)
def test_how_long_a_start_may_take(weights: int | None, seconds: int) -> None:
    """Ten minutes, and the download at 50 MB/s; the Deployment waits 20 minutes more for the image."""
    assert startup_seconds(weights) == seconds
    probe = render_probes(weights)["startupProbe"]
    assert probe["periodSeconds"] == 10
    assert seconds <= probe["periodSeconds"] * probe["failureThreshold"] < seconds + 10
    wanted = spec()
    resolved = planned(wanted).model_copy(update={"weights": weights})
    assert rendered(wanted, resolved)["Deployment"]["spec"]["progressDeadlineSeconds"] == seconds + 20 * MINUTES


@pytest.mark.parametrize(
    ("probe", "least_seconds", "most_seconds"),
    [("readinessProbe", 10, 30), ("livenessProbe", 2 * MINUTES, 5 * MINUTES)],
)
def test_probes_after_the_start(probe: str, least_seconds: int, most_seconds: int) -> None:
    """A pod that is busy leaves the endpoints soon, and is killed only when it has been silent for minutes."""
    found = container()[probe]
    patience = found["periodSeconds"] * found["failureThreshold"]
    assert least_seconds <= patience <= most_seconds
    assert "initialDelaySeconds" not in found  # the startup probe holds both back


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_what_probes_ask(probe: str) -> None:
    """/health on the port by its name: it needs no API key."""
    found = container()
    assert found[probe]["httpGet"] == {"path": "/health", "port": "http", "scheme": "HTTP"}
    assert found["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]


def test_labels() -> None:
    """Children and pods carry the standard labels; the watches are filtered by managed-by."""
    for child in rendered(spec(storage={"pvc": {"create": {"size": "1Gi"}}})).values():
        assert child["metadata"]["labels"] == LABELS
    found = deployment(podLabels={"team": "nlp", "app.kubernetes.io/component": "mine"})
    assert found["spec"]["template"]["metadata"]["labels"] == {"team": "nlp", **LABELS}


def test_the_selector() -> None:
    """It selects the pods, of one owner alone, and holds nothing that could ever change."""
    found = deployment()["spec"]
    assert found["selector"] == {"matchLabels": selector_of("mistral")}
    assert selector_of("mistral").items() <= found["template"]["metadata"]["labels"].items()
    assert not selector_of("other").items() <= found["template"]["metadata"]["labels"].items()
    assert selector_text(selector_of("m")) == "app.kubernetes.io/instance=m,app.kubernetes.io/name=vllm"


def test_annotations_of_pods() -> None:
    """The user's, and the digest of the plan, by which pods of an older plan are told."""
    found = deployment(podAnnotations={"prometheus.io/scrape": "true", "mistral-operator.io/plan": "forged"})
    assert found["spec"]["template"]["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "mistral-operator.io/plan": plan_digest(planned(spec())),
    }


@pytest.mark.parametrize(
    ("update", "rolls"),
    [
        ({"generation": 9, "inputs": "x", "replan": "y", "scheduled": True}, False),
        ({"image": "another:1"}, True),
        ({"commit": "0" * 40}, True),
        ({"args": ["a"]}, True),
        ({"env": {"A": "b"}}, True),
        ({"gpu_classes": []}, True),
    ],
)
def test_what_a_plan_rolls(update: dict[str, Any], rolls: bool) -> None:
    """Pods are replaced for what they run, and never for what is only noted beside it."""
    wanted = spec()
    before = planned(wanted)
    templates = [
        rendered(wanted, resolved)["Deployment"]["spec"]["template"]
        for resolved in (before, before.model_copy(update=update))
    ]
    assert (templates[0] != templates[1]) is rolls


@pytest.mark.parametrize(
    "fields",
    [{"replicas": 5}, {"rollout": {"maxSurge": 1}}, {"service": {"port": 80}}, {"storage": {"emptyDir": {}}}],
)
def test_what_rolls_nothing(fields: dict[str, Any]) -> None:
    """Scaling, above all, replaces no pod."""
    before, after = deployment(), deployment(**fields)
    assert after["spec"]["template"] == before["spec"]["template"]


def test_owners() -> None:
    """Every child goes with its owner, and keeps it until it is gone itself; there is no other owner."""
    for child in rendered(spec(storage={"pvc": {"create": {"size": "1Gi"}}})).values():
        assert child["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "mistral-operator.io/v1alpha1",
                "kind": "MistralDeployment",
                "name": "mistral",
                "uid": OWNER.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


def test_without_an_owner() -> None:
    """On a command line there is no object yet: the same manifests, less the references."""
    wanted = spec()
    resolved = planned(wanted)
    printed = render_children(Owner(OWNER.name, OWNER.namespace), wanted, resolved)
    applied = render_children(OWNER, wanted, resolved)
    for theirs, ours in zip(printed, applied, strict=True):
        less = {name: value for name, value in ours["metadata"].items() if name != "ownerReferences"}
        assert theirs == {**ours, "metadata": less}


def test_the_order() -> None:
    """What pods mount and what they are reached by comes before them."""
    wanted = spec(storage={"pvc": {"create": {"size": "1Gi"}}})
    kinds = [manifest["kind"] for manifest in render_children(OWNER, wanted, planned(wanted))]
    assert kinds == ["PersistentVolumeClaim", "Service", "Deployment"]
