"""Tokens for the hub: what is wrong with one is told, and a token that is put right heals within the token's period.

Here as in production the hub is asked again ever so rarely where only a person can help: what heals an object within
the time that tests wait is the new token alone.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from cluster.conftest import QUICK
from cluster.hubs import put_models, times_asked
from cluster.live import Live, manifest
from cluster.traces import Audit
from devcluster.controlplane import ControlPlane
from devcluster.hub import Fault, HubServer, Kind
from devcluster.operator import Operator

ARGUMENTS: Final = (*QUICK, "--hub-slow-retry=3600", "--hub-recheck=3600")
REFERENCE: Final = {"name": "hf", "key": "token"}
GOOD: Final = "hf_good"
MODELS: Final = ("acme/gated", "acme/private", "acme/strict", "acme/secret-later", "acme/key-later", "acme/shared")

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """Return a hub with a model for each test."""
    with HubServer(put_models(tmp_path_factory.mktemp("models"), *MODELS)) as started:
        yield started


@pytest.fixture(scope="module")
def operator(solo_plane: ControlPlane, hub: HubServer) -> Iterator[Operator]:
    """Return an operator that reads that hub, patient as in production."""
    with Operator(solo_plane, hub.url, arguments=ARGUMENTS, name="operator-hub-tokens") as started:
        started.wait_ready()
        yield started


@pytest.mark.parametrize(
    ("model", "kind", "bad", "reason", "words"),
    [
        ("acme/gated", Kind.GATED, "hf_other", "Gated", ("has not been granted access", "Ask for access at")),
        ("acme/private", Kind.PRIVATE, "hf_other", "NotFoundOrNoAccess", ("may not see it", "use a token that may")),
        ("acme/strict", Kind.BAD_TOKEN, "hf_other", "BadToken", ("refuses the token", "hfTokenSecretRef names")),
        ("acme/strict", Kind.BAD_TOKEN, "hf_two\nlines", "BadToken", ("characters that no token has", "valid token")),
        ("acme/strict", Kind.BAD_TOKEN, "", "BadToken", ("the token is empty", "valid token")),
    ],
    ids=["no access to a gated model", "no access to a private model", "refused", "two lines", "empty"],
)
def test_a_token_put_right_heals(
    solo: Live, hub: HubServer, model: str, kind: Kind, bad: str, reason: str, words: tuple[str, ...]
) -> None:
    """The Secret is read again and again, the hub with the bad token only once; the new token is a new question."""
    hub.faults[model] = Fault(kind, tokens=frozenset({GOOD}))
    solo.secret("hf", {"token": bad})
    reads = Audit(solo.plane)
    solo.mdep("m", model, hfTokenSecretRef=REFERENCE)
    message = str(solo.until_condition("m", "ModelResolved", "False", reason)["message"])
    for said in (model, *words):
        assert said in message
    solo.until_condition("m", "Ready", "False", reason)
    assert bad == "" or bad not in message
    secret = ("get", "secrets", solo.namespace, "hf")
    solo.until(
        "the Secret to be read thrice",
        lambda: [(r.verb, r.resource, r.namespace, r.name) for r in reads.requests()].count(secret) >= 3,
    )
    assert times_asked(hub, model, token=bad) <= 1
    assert [reason for kind, reason in solo.events("m") if kind == "Warning"] == [reason]

    solo.secret("hf", {"token": f"{GOOD}\n"})  # as `kubectl create secret --from-file` makes it
    solo.until_ready("m")
    solo.until("the good news", lambda: ("Normal", "ModelRead") in solo.events("m"))
    assert solo.get("MistralDeployment", "m")["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("model", "before", "words"),
    [
        ("acme/secret-later", None, ("does not exist", "Create it with a key 'token'")),
        ("acme/key-later", {"other": GOOD}, ("has no key 'token'", "Add the key")),
    ],
    ids=["no Secret", "no key"],
)
def test_a_secret_that_comes_later_heals(
    solo: Live, hub: HubServer, model: str, before: dict[str, str] | None, words: tuple[str, ...]
) -> None:
    """The Secret is named, and so is what to do; the hub is not asked without the token that the spec wants."""
    hub.faults[model] = Fault(Kind.GATED, tokens=frozenset({GOOD}))
    if before is not None:
        solo.secret("hf", before)
    solo.mdep("m", model, hfTokenSecretRef=REFERENCE)
    message = solo.until_condition("m", "ModelResolved", "False", "TokenSecretMissing")["message"]
    for said in (f"Secret {solo.namespace}/hf", "spec.hfTokenSecretRef", *words):
        assert said in message
    solo.until_condition("m", "Ready", "False", "TokenSecretMissing")
    assert solo.get("MistralDeployment", "m")["status"]["phase"] == "Failed"
    assert times_asked(hub, model) == 0
    solo.secret("hf", {"token": GOOD})
    solo.until_ready("m")
    warnings = [reason for kind, reason in solo.events("m") if kind == "Warning"]
    assert warnings == ["TokenSecretMissing"]


@pytest.mark.parametrize("pinned", [False, True], ids=["branch", "commit"])
def test_a_token_opens_a_model_for_its_own_object_only(solo: Live, hub: HubServer, pinned: bool) -> None:
    """What one tenant's token may read is told to no other, not even out of what was read before."""
    hub.faults["acme/shared"] = Fault(Kind.GATED, tokens=frozenset({GOOD}))
    revision = hub.commit("acme/shared") if pinned else "main"
    ours, theirs = manifest("ours", "acme/shared", hfTokenSecretRef=REFERENCE), manifest("theirs", "acme/shared")
    for body in (ours, theirs):
        body["spec"]["model"]["revision"] = revision
    solo.secret("hf", {"token": GOOD})
    solo.create(ours)
    solo.until_ready("ours")
    solo.create(theirs)
    solo.until_condition("theirs", "ModelResolved", "False", "Gated")
    assert solo.find("Deployment", "theirs") is None
    solo.until_ready("ours")
