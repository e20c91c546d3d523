"""Where a pod's status says what."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from mistral_operator.api.names import CONTAINER
from mistral_operator.status.diagnosis.finding import LONGEST_WORDS

Body = Mapping[str, Any]
_ORDINARY: Final = frozenset({"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"})


def words_of(body: Body, field: str) -> str:
    """Return what a field says, in as many characters as are read: it may be as long as an object is."""
    return str(body.get(field) or "")[:LONGEST_WORDS]


class Container(NamedTuple):
    """One container's status."""

    status: Mapping[str, Any]
    init: bool

    @property
    def name(self) -> str:
        """Its name in the pod."""
        return str(self.status.get("name", ""))

    @property
    def title(self) -> str:
        """Its name for people; vLLM's own goes without saying."""
        if self.init:
            return f"init container {self.name}"
        return "vLLM" if self.name == CONTAINER else f"container {self.name}"

    @property
    def waiting(self) -> tuple[str, str]:
        """Reason and message of what it waits for, where that is not the ordinary course of things."""
        state = (self.status.get("state") or {}).get("waiting") or {}
        reason = words_of(state, "reason")
        return ("", "") if reason in _ORDINARY else (reason, words_of(state, "message"))

    @property
    def running(self) -> bool:
        """Whether it runs, ready or not."""
        return bool((self.status.get("state") or {}).get("running"))

    @property
    def started(self) -> bool:
        """Whether its startup probe has succeeded in this run."""
        return bool(self.status.get("started")) and self.running

    @property
    def has_ended(self) -> bool:
        """Whether its run has ended and another one is not yet waited for."""
        return bool((self.status.get("state") or {}).get("terminated"))

    @property
    def ended(self) -> Mapping[str, Any]:
        """How its last run ended, as long as it has not started properly since; empty where that is no failure."""
        if self.started or self.status.get("ready"):
            return {}
        now = (self.status.get("state") or {}).get("terminated") or {}
        last = (self.status.get("lastState") or {}).get("terminated") or {}
        end: Mapping[str, Any] = now or last
        return {} if self.init and end.get("exitCode") == 0 else end

    @property
    def told_to_end(self) -> bool:
        """Whether somebody made it end: the exit codes of SIGTERM, heard or not, and of SIGKILL."""
        end = self.ended
        silent = not end.get("message") and end.get("reason") != "OOMKilled"
        return bool(end) and silent and end.get("exitCode") in (0, 137, 143)


def containers_of(pod: Body) -> Iterator[Container]:
    """Yield a pod's containers, in the order in which they start."""
    status = pod.get("status") or {}
    for name, init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for one in status.get(name) or ():
            yield Container(one, init)


def speaks(pod: Body) -> bool:
    """Tell whether a pod says anything in words: what it says has to be read then."""
    status = pod.get("status") or {}
    states = (
        state
        for one in containers_of(pod)
        for kind in ("state", "lastState")
        for state in (one.status.get(kind) or {}).values()
    )
    return any((one or {}).get("message") for one in (status, *(status.get("conditions") or ()), *states))


def has_node(pod: Body) -> bool:
    """Tell whether a pod has been scheduled."""
    return bool((pod.get("spec") or {}).get("nodeName"))


def begins(pod: Body) -> bool:
    """Tell whether a pod has a node, and no container of it has run yet: it gets its volumes, network and image."""
    return has_node(pod) and not any(one.running or one.ended for one in containers_of(pod))
