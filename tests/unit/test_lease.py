"""Who leads: one at a time, soon after the last, and nobody whose lease may have run out."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mistral_operator.cluster.rbac import lease_rules
from mistral_operator.cluster.resources import LEASES
from mistral_operator.controller.lease import Elector
from mistral_operator.controller.settings import LeaseSettings
from unit.api_server import ApiServer, Fault, on_server
from unit.logs import captured_log
from unit.virtual_time import now

SETTINGS = LeaseSettings("system", "operator", duration_seconds=15, renew_deadline_seconds=10, retry_seconds=2)
MOMENT = 0.5  # more than what a few requests take, less than any wait
DEADLINE, DURATION, RETRY = 10.0, 15.0, 2.0
FOR_EVER = float("inf")


class Candidate:
    """One process that runs for the lease, and when it worked."""

    def __init__(self, name: str = "me") -> None:
        self.name = name
        self.worked: list[tuple[float, float]] = []  # from, until
        self.begun: float | None = None
        self.connected = True  # whether its writes get through
        self.clock_offset = 0.0
        self.lingers_seconds = 0.0  # what the work takes to end
        self.log, self.told = captured_log()

    async def start(self, server: ApiServer) -> None:
        """Begin to run."""
        self.failing: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        cluster = await server.cluster(may_write=lambda: self.connected)
        self.elector = Elector(cluster, SETTINGS, self.name, lambda: now() + self.clock_offset, self.log)
        self.running = asyncio.create_task(self.elector.run(self._work))

    async def stop(self) -> None:
        """End in order, as at SIGTERM."""
        self.running.cancel()
        await asyncio.wait({self.running})

    async def _work(self) -> None:
        self.begun = now()
        try:
            raise await asyncio.shield(self.failing)
        finally:
            await asyncio.sleep(self.lingers_seconds)
            self.worked.append((self.begun, now()))
            self.begun = None

    def events(self) -> list[str]:
        """Return what was logged."""
        return [str(entry["event"]) for entry in self.told.entries]


async def until(condition: Callable[[], Any], within: float = 60) -> float:
    """Wait for something, and return how long it took."""
    begun = now()
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.2)
    return now() - begun


def lease(server: ApiServer) -> dict[str, Any]:
    """Return the Lease's spec."""
    found = server.find(LEASES, "system", "operator")
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec


def held_by(server: ApiServer, holder: str | None, **spec: Any) -> None:
    """Write the Lease as another would."""
    times = {"renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15, "leaseTransitions": 4} | spec
    there = {"holderIdentity": holder} if holder is not None else {}
    server.put(LEASES, {"metadata": {"namespace": "system", "name": "operator"}, "spec": there | times})


def test_a_lease_that_was_never_there() -> None:
    """It is made and taken at once, with the operator's rights on Leases and no others."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        assert await until(lambda: me.begun is not None) < MOMENT
        assert me.elector.leading
        spec = lease(server)
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("me", 15, 1)
        assert spec["acquireTime"] == spec["renewTime"]
        await me.stop()

    on_server(test, ApiServer(rules=lease_rules("operator")))


@pytest.mark.parametrize("holder", ["", None, "me"])
def test_a_lease_that_is_free(holder: str | None) -> None:
    """Given back, or our own: taken at once."""

    async def test(server: ApiServer) -> None:
        held_by(server, holder)
        me = Candidate()
        await me.start(server)
        assert await until(lambda: me.begun is not None) < MOMENT
        assert lease(server)["leaseTransitions"] == (4 if holder == "me" else 5)
        await me.stop()

    on_server(test)


@pytest.mark.parametrize("renew_time", ["1999-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
def test_a_lease_of_somebody_silent(renew_time: str) -> None:
    """It is taken when it has not changed for its duration as seen here; clocks of others mean nothing."""

    async def test(server: ApiServer) -> None:
        held_by(server, "other", renewTime=renew_time)
        me = Candidate()
        await me.start(server)
        waited = await until(lambda: me.begun is not None)
        assert DURATION < waited < DURATION + RETRY + MOMENT
        assert lease(server)["leaseTransitions"] == 5
        await me.stop()

    on_server(test)


def test_a_lease_of_somebody_alive() -> None:
    """As long as it is renewed, however rarely, it is another's."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        held_by(server, "other")
        await me.start(server)
        for _ in range(8):
            await asyncio.sleep(DURATION - RETRY - 1)
            held_by(server, "other")
        assert not me.worked
        assert me.begun is None
        assert not me.elector.leading
        waited = await until(lambda: me.begun is not None)
        assert waited > DURATION - RETRY
        await me.stop()

    on_server(test)


def test_another_duration() -> None:
    """What counts is how long the holder says that its lease lasts."""

    async def test(server: ApiServer) -> None:
        held_by(server, "other", leaseDurationSeconds=40)
        me = Candidate()
        await me.start(server)
        assert 40 < await until(lambda: me.begun is not None) < 40 + RETRY + MOMENT
        await me.stop()

    on_server(test)


def test_it_is_kept() -> None:
    """A leader renews all the time, and works on without a break."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        before = lease(server)["renewTime"]
        await asyncio.sleep(300)
        assert me.elector.leading
        assert not me.worked
        assert lease(server)["renewTime"] > before
        assert lease(server)["leaseTransitions"] == 1
        assert server.count("update", "leases") >= 300 / RETRY - 10
        assert server.count("get", "leases") == 1  # renewals need no look
        await me.stop()

    on_server(test)


def test_the_end() -> None:
    """The work ends first; then the lease is given back, and the next begins at once."""

    async def test(server: ApiServer) -> None:
        me, other = Candidate("me"), Candidate("other")
        me.lingers_seconds = 3
        await me.start(server)
        await until(lambda: me.begun is not None)
        await other.start(server)
        await asyncio.sleep(RETRY)
        ended = now()
        await me.stop()
        assert now() - ended < 3 + MOMENT
        ((_, until_then),) = me.worked
        assert not me.elector.leading
        await until(lambda: other.begun is not None)
        assert other.begun is not None
        assert until_then <= other.begun < ended + 3 + RETRY + MOMENT
        await other.stop()
        assert lease(server)["holderIdentity"] == ""

    on_server(test)


def test_who_never_led_gives_nothing_back() -> None:
    """A standby that ends leaves the leader's lease alone."""

    async def test(server: ApiServer) -> None:
        held_by(server, "other")
        me = Candidate()
        await me.start(server)
        await asyncio.sleep(RETRY)
        asked = len(server.requests)
        await me.stop()
        assert lease(server)["holderIdentity"] == "other"
        assert len(server.requests) == asked

    on_server(test)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_server_that_is_ill_for_a_moment(times: int) -> None:
    """Failed renewals within the deadline cost nothing but a warning each."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        server.faults.append(Fault("*", 500, times=times))
        await asyncio.sleep(30)
        assert me.elector.leading
        assert not me.worked
        assert me.events().count("could not renew the lease") == times
        await me.stop()

    on_server(test)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_server_that_is_away(hangs: bool) -> None:
    """The work ends within the deadline, before anybody else may begin, and begins anew when the server is back."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        fault = Fault("*", 500, times=FOR_EVER, hangs=hangs)
        server.faults.append(fault)
        begun = now()
        assert await until(lambda: not me.elector.leading) <= DEADLINE + 0.3
        await until(lambda: bool(me.worked))
        assert now() - begun < DURATION
        assert me.events()[-1] == "is the leader no more" or "could not take the lease" in me.events()
        await asyncio.sleep(60)
        assert me.begun is None
        fault.times = 0
        await until(lambda: me.begun is not None)
        assert me.elector.leading
        await me.stop()

    on_server(test)


def test_two_never_work_at_once() -> None:
    """One cannot write any more: it ends before the other begins, which does not wait much longer than it must."""

    async def test(server: ApiServer) -> None:
        one, other = Candidate("one"), Candidate("other")
        await one.start(server)
        await until(lambda: one.begun is not None)
        await other.start(server)
        await asyncio.sleep(20)
        one.connected, cut = False, now()
        await until(lambda: other.begun is not None)
        ((_, ended),) = one.worked
        assert other.begun is not None
        assert ended < other.begun
        assert ended <= cut + DEADLINE + 0.3
        assert other.begun <= cut + DURATION + 2 * RETRY + MOMENT
        one.connected = True
        await asyncio.sleep(60)
        assert one.begun is None
        await one.stop()
        await other.stop()

    on_server(test)


def test_a_race_for_a_new_lease() -> None:
    """Of many that begin at the same moment one leads."""

    async def test(server: ApiServer) -> None:
        candidates = [Candidate(str(number)) for number in range(5)]
        for candidate in candidates:
            await candidate.start(server)
        for _ in range(60):
            await asyncio.sleep(0.5)
            assert sum(candidate.begun is not None for candidate in candidates) <= 1
        (leader,) = [candidate for candidate in candidates if candidate.begun is not None]
        assert lease(server)["holderIdentity"] == leader.name
        for candidate in candidates:
            await candidate.stop()

    on_server(test)


def test_a_lease_that_another_has_taken() -> None:
    """Whatever the reason: who sees another's name works no more, and takes nothing back."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        held_by(server, "other")
        assert await until(lambda: bool(me.worked)) < RETRY + MOMENT
        assert not me.elector.leading
        await asyncio.sleep(RETRY)
        assert lease(server)["holderIdentity"] == "other"
        await me.stop()
        assert lease(server)["holderIdentity"] == "other"

    on_server(test)


def test_a_lease_that_somebody_has_changed() -> None:
    """A conflict is looked into at once: an annotation is no reason to stop."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        held_by(server, "me", annotation="x")
        await asyncio.sleep(DEADLINE + DURATION)
        assert me.elector.leading
        assert not me.worked
        await me.stop()

    on_server(test)


def test_a_server_that_sees_conflicts() -> None:
    """A conflict says that somebody was faster, not that somebody else leads."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        server.faults.append(Fault("PUT", 409, times=2))
        await asyncio.sleep(DURATION)
        assert me.elector.leading
        assert not me.worked
        await me.stop()

    on_server(test)


def test_an_answer_that_is_late() -> None:
    """A lease lasts from when its renewal was sent: others have seen it before the answer came."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        late = Fault("PUT", 200, seconds=4, after=True)
        server.faults += [late, Fault("*", 500, times=FOR_EVER)]
        await until(lambda: late.times == 0)
        assert await until(lambda: not me.elector.leading) <= DEADLINE + 0.3
        await me.stop()

    on_server(test)


def test_a_lease_that_was_deleted() -> None:
    """Its leader makes it anew and works on; nobody else takes it for free."""

    async def test(server: ApiServer) -> None:
        me, other = Candidate("me"), Candidate("other")
        await me.start(server)
        await until(lambda: me.begun is not None)
        await other.start(server)
        await asyncio.sleep(1)
        for _ in range(3):
            server.remove(LEASES, "system", "operator")
            await asyncio.sleep(RETRY + MOMENT)
            assert lease(server)["holderIdentity"] == "me"
            await asyncio.sleep(5)
        assert not me.worked
        assert other.begun is None
        await other.stop()
        await me.stop()

    on_server(test)


@pytest.mark.parametrize("hangs", [False, True])
def test_an_answer_that_is_lost(hangs: bool) -> None:
    """A renewal that was carried out and not answered is found at the next, and the lease is still given back."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        server.faults.append(Fault("PUT", 500, hangs=hangs, after=True))
        await asyncio.sleep(30)
        assert not me.worked
        server.faults.append(Fault("PUT", 500, after=True))
        await until(lambda: server.faults[-1].times == 0)
        await me.stop()
        assert lease(server)["holderIdentity"] == ""

    on_server(test)


def test_work_that_fails() -> None:
    """Its error ends the process in order: told to whoever runs the election, and the lease is free."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        me.failing.set_result(RuntimeError("broken"))
        with pytest.raises(RuntimeError, match="broken"):
            await asyncio.wait_for(me.running, 10)
        assert lease(server)["holderIdentity"] == ""

    on_server(test)


def test_a_renewal_that_fails_in_the_operator_itself() -> None:
    """A fault is not taken for a server that is ill, nor swallowed."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        held_by(server, "me")
        odd = b'{"metadata": {"resourceVersion": "1"}, "spec": {"leaseTransitions": "many"}}'
        server.faults.append(Fault("GET", 200, raw=odd))
        with pytest.raises(ValueError, match="many"):
            await asyncio.wait_for(me.running, 10)

    on_server(test)


@pytest.mark.parametrize("taken", [False, True])
def test_a_process_that_stood_still(taken: bool) -> None:
    """It finds out before it does anything, and works on only when the lease turns out to be still its own."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        assert me.elector.leading
        me.clock_offset = DEADLINE + 1
        assert not me.elector.leading  # at that very moment, before any timer has run
        if taken:
            held_by(server, "other")
        await asyncio.sleep(RETRY + MOMENT)
        assert me.elector.leading is not taken
        assert bool(me.worked) is taken
        await me.stop()

    on_server(test)


@pytest.mark.parametrize("fault", [Fault("PUT", 500, times=FOR_EVER), Fault("*", times=FOR_EVER, hangs=True)])
def test_a_lease_that_cannot_be_given_back(fault: Fault) -> None:
    """The process ends all the same, and soon: the lease expires by itself."""

    async def test(server: ApiServer) -> None:
        me = Candidate()
        await me.start(server)
        await until(lambda: me.begun is not None)
        server.faults.append(fault)
        begun = now()
        await me.stop()
        assert now() - begun <= DEADLINE / 2 + MOMENT
        assert me.events()[-1] == "could not release the lease; it expires by itself"

    on_server(test)
