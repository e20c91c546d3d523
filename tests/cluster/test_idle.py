"""A system at rest stays at rest: what has converged costs reads for the resync, and not one write."""

from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster.conftest import QUICK
from cluster.hubs import put_models, times_asked
from cluster.live import Live, condition_of, manifest
from cluster.traces import Audit, Request
from devcluster.hub import Fault, HubServer, Kind
from devcluster.operator import Operator

ARGUMENTS: Final = (*QUICK, "--resync=2")
BOUND_SECONDS: Final = 60.0
MODEL: Final = "acme/open"
FATE: Final = "devcluster.mistral-operator.io/fate"
LISTED: Final = ("mistraldeployments", "deployments", "services", "persistentvolumeclaims", "pods", "nodes")


class Sort(NamedTuple):
    """Objects of one sort: how many, their spec, and the word by which a condition tells that they have arrived."""

    objects: int
    spec: dict[str, Any]
    condition: str
    word: str


SORTS: Final = {
    "serving": Sort(4, {}, "Ready", "Serving"),
    "stopped": Sort(7, {"replicas": 0}, "Available", "ScaledToZero"),
    "crashing": Sort(1, {"podAnnotations": {FATE: "crash"}}, "Available", "ContainerCrashed"),
    "killed": Sort(1, {"podAnnotations": {FATE: "oom"}}, "Available", "OOMKilled"),
    "pulling": Sort(1, {"podAnnotations": {FATE: "image"}}, "Available", "ImagePullFailed"),
    "slow": Sort(1, {"podAnnotations": {FATE: "slow"}}, "UpToDate", "RollingOut"),
    "nowhere": Sort(2, {"nodeSelector": {"zone": "nowhere"}}, "Available", "AffinityUnmatched"),
    "unbound": Sort(1, {"storage": {"pvc": {"create": {"size": "20Gi"}}}}, "Available", "ClaimPending"),
    "gated": Sort(3, {"model": {"id": "acme/gated"}}, "ModelResolved", "Gated"),
    "refused": Sort(
        1,
        {"model": {"id": "acme/gated"}, "hfTokenSecretRef": {"name": "hf", "key": "token"}},
        "ModelResolved",
        "has not been granted access",
    ),
    "missing": Sort(2, {"model": {"id": "acme/missing"}}, "ModelResolved", "NotFoundOrNoAccess"),
    "unavailable": Sort(1, {"model": {"id": "acme/unavailable"}}, "ModelResolved", "HubUnreachable"),
    "unmatched": Sort(3, {"gpu": {"products": ["NVIDIA-B300"]}}, "HardwareCompatible", "NoMatchingGPU"),
    "uneven": Sort(2, {"parallelism": {"tensor": 3}}, "BackendSelected", "ParallelismInvalid"),
}


def resyncs(requests: list[Request]) -> int:
    """Return how often everything was listed."""
    lists = [request.resource for request in requests if request.verb == "list"]
    return min(lists.count(resource) for resource in LISTED)


def test_a_converged_system_is_left_alone(solo: Live, tmp_path: Path) -> None:
    """For two resyncs nothing is written and nothing refused, while hub, Secrets and objects are looked at again."""
    put_models(tmp_path, MODEL, "acme/gated", "acme/unavailable")
    solo.secret("hf", {"token": "hf_other"})
    sort_of = {f"{name}-{number}": sort for name, sort in SORTS.items() for number in range(sort.objects)}
    assert len(sort_of) == 30
    with (
        HubServer(tmp_path) as hub,
        Operator(solo.plane, hub.url, arguments=ARGUMENTS, name="operator-idle") as operator,
    ):
        hub.faults["acme/gated"] = Fault(Kind.GATED)
        hub.faults["acme/unavailable"] = Fault(Kind.UNAVAILABLE)
        for name, sort in sort_of.items():
            body = manifest(name, MODEL)
            body["spec"] |= sort.spec
            solo.create(body)

        def not_told() -> list[str]:
            found = {body["metadata"]["name"]: body for body in solo.all("MistralDeployment")}
            told = {name: condition_of(found[name], sort.condition) for name, sort in sort_of.items()}
            return [name for name, sort in sort_of.items() if sort.word not in str(told[name])]

        solo.until("every object to have arrived", lambda: not not_told(), BOUND_SECONDS)
        audit = Audit(solo.plane)

        def requests() -> list[Request]:
            return [request for request in audit.requests() if request.namespace in ("", solo.namespace)]

        def is_at_rest() -> bool:
            if any(request.writes for request in requests()):
                audit.forget()
            return resyncs(requests()) >= 1

        solo.until("everything to be at rest for a resync", is_at_rest, BOUND_SECONDS)
        audit.forget()
        asked = times_asked(hub, "acme/gated"), times_asked(hub, MODEL)
        # the first list of each may belong to a resync that had begun before
        solo.until("two whole resyncs", lambda: resyncs(requests()) >= 3, BOUND_SECONDS)

        seen = requests()
        assert [request for request in seen if request.writes] == []
        assert [request for request in seen if request.status >= 400] == []
        assert {r.name for r in seen if (r.verb, r.resource) == ("get", "mistraldeployments")} == sort_of.keys()
        assert [r.name for r in seen if (r.verb, r.resource) == ("get", "secrets")].count("hf") >= 2
        assert times_asked(hub, "acme/gated") > asked[0]
        assert times_asked(hub, MODEL) > asked[1]
        assert not_told() == []
        assert operator.running
