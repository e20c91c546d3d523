"""Two operators: one works, the other waits; however the first ends, only one of them ever writes at a time."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle, groupby
from typing import Final, NamedTuple

from cluster.conftest import QUICK
from cluster.live import Body, Live
from cluster.processes import ask, frozen, leads, newest_credential, until_ended, until_leads
from cluster.traces import Audit, samples, total
from devcluster.hub import HubServer
from devcluster.operator import NAMESPACE, Operator

LEASE: Final = f"apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/mistral-operator"
DURATION: Final = timedelta(seconds=3)  # as QUICK says
OBJECTS: Final = tuple(f"m{number}" for number in range(3))


class Candidate(NamedTuple):
    """One of two operators, and how the audit log names it."""

    operator: Operator
    credential: str


@contextmanager
def two_operators(solo: Live, hub: HubServer, *arguments: str) -> Iterator[tuple[Candidate, Candidate]]:
    """Run two operators; the first leads."""
    options = (*QUICK, *arguments)
    with Operator(solo.plane, hub.url, arguments=options, name="operator-first") as first:
        one = Candidate(first, newest_credential(solo.plane))
        first.wait_ready()
        until_leads(first)
        with Operator(solo.plane, hub.url, arguments=options, name="operator-second") as second:
            other = Candidate(second, newest_credential(solo.plane))
            second.wait_ready()
            yield one, other


def writers(audit: Audit) -> list[str]:
    """Return who wrote, in order: each name stands for an unbroken row of writes of one operator."""
    written = [request for request in audit.everything() if request.writes]
    # candidates may try for the Lease whenever they like, and ask what they may do
    work = [request for request in written if request.resource not in ("leases", "selfsubjectaccessreviews")]
    return [credential for credential, _ in groupby(request.credential for request in work)]


def lease(solo: Live) -> Body:
    """Return the Lease's spec."""
    spec: Body = solo.request("GET", LEASE)["spec"]
    return spec


def has_lease(solo: Live) -> bool:
    """Tell whether there is a Lease."""
    found: list[Body] = solo.request("GET", LEASE.rpartition("/")[0])["items"]
    return any(body["metadata"]["name"] == "mistral-operator" for body in found)


def moment(text: str) -> datetime:
    """Return a time stamp of the Lease."""
    return datetime.fromisoformat(text)


def stirring(solo: Live, condition: Callable[[], bool]) -> Callable[[], bool]:
    """Give whoever leads something to write whenever a condition is asked for: a child to bring back."""
    names = cycle(OBJECTS)

    def asked() -> bool:
        name = next(names)
        if solo.find("Service", name) is not None:
            solo.delete("Service", name)
        return condition()

    return asked


def until_all_there(solo: Live) -> None:
    """Wait until every object has its children, and is Ready."""
    for name in OBJECTS:
        solo.until(f"the Service {name}", partial(solo.find, "Service", name))
        solo.until_ready(name)


def make_all(solo: Live) -> None:
    """Make the objects."""
    for name in OBJECTS:
        solo.mdep(name)
    until_all_there(solo)


def test_one_works_and_the_other_waits(solo: Live, hub: HubServer) -> None:
    """Both are healthy and ready; only the leader writes, and only it shows objects in its metrics."""
    audit = Audit(solo.plane)
    with two_operators(solo, hub) as (first, second):
        make_all(solo)
        for operator in (first.operator, second.operator):
            assert ask(operator, "/healthz").status == 200
            assert ask(operator, "/readyz").status == 200
        assert leads(first.operator)
        assert not leads(second.operator)
        assert len(
            samples(first.operator, "mistral_operator_condition", namespace=solo.namespace, type="Ready")
        ) == len(OBJECTS)
        assert samples(second.operator, "mistral_operator_condition") == []
        assert total(second.operator, "mistral_operator_queue_depth") == 0
        assert samples(second.operator, "mistral_operator_attention_backend_info") == []
        assert writers(audit) == [first.credential]


def test_a_leader_that_is_killed_is_replaced_within_the_lease(solo: Live, hub: HubServer) -> None:
    """The other waits for as long as the lease lasts and no longer, and does what was asked for meanwhile."""
    audit = Audit(solo.plane)
    with two_operators(solo, hub) as (first, second):
        make_all(solo)
        first.operator.kill()
        renewed = moment(lease(solo)["renewTime"])
        solo.mdep("new")
        solo.patch("MistralDeployment", "m0", {"spec": {"replicas": 2}})
        solo.delete("Service", "m1")
        until_leads(second.operator)
        taken = moment(lease(solo)["acquireTime"])
        assert renewed + DURATION < taken < renewed + 2 * DURATION

        solo.until_ready("new")
        solo.until("two pods", lambda: len(solo.pods("m0")) == 2)
        solo.until("the Service to be back", lambda: solo.find("Service", "m1"))
        assert writers(audit) == [first.credential, second.credential]
        assert lease(solo)["leaseTransitions"] >= 1


def test_a_leader_that_is_told_to_stop_hands_over_at_once(solo: Live, hub: HubServer) -> None:
    """It gives the Lease back, so that nobody waits for it to run out."""
    duration = 30
    audit = Audit(solo.plane)
    with two_operators(solo, hub, f"--lease-duration={duration}") as (first, second):
        make_all(solo)
        os.kill(first.operator.pid, signal.SIGTERM)
        solo.until("the other to lead", stirring(solo, lambda: leads(second.operator)), duration / 2)
        assert until_ended(first.operator) == 0
        until_all_there(solo)
        assert writers(audit) == [first.credential, second.credential]


def test_a_leader_that_stood_still_writes_no_more(solo: Live, hub: HubServer) -> None:
    """Everything it meant to do is stale when it wakes: it is a candidate again, and the other goes on."""
    audit = Audit(solo.plane)
    with two_operators(solo, hub) as (first, second):
        make_all(solo)
        with frozen(first.operator):
            solo.until("the other to lead", stirring(solo, lambda: leads(second.operator)))
            until_all_there(solo)
            # what it finds when it wakes
            for name in OBJECTS:
                solo.patch("MistralDeployment", name, {"spec": {"replicas": 0}})
                solo.delete("Service", name)
        solo.until("the first to know", stirring(solo, lambda: not leads(first.operator)))
        assert ask(first.operator, "/healthz").status == 200
        assert ask(first.operator, "/readyz").status == 200
        assert writers(audit) == [first.credential, second.credential]


def test_a_lease_that_somebody_deletes(solo: Live, hub: HubServer) -> None:
    """It is no sign that nobody works: the leader makes it anew, and the other waits as before."""
    audit = Audit(solo.plane)
    with two_operators(solo, hub) as (first, second):
        make_all(solo)
        holder = lease(solo)["holderIdentity"]
        for _ in range(3):
            solo.request("DELETE", LEASE)
            solo.until("the Lease to be back", stirring(solo, lambda: has_lease(solo)))
            assert lease(solo)["holderIdentity"] == holder
        until_all_there(solo)
        assert leads(first.operator)
        assert not leads(second.operator)
        assert writers(audit) == [first.credential]
