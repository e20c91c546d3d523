"""Operators as processes: what they answer, whether they lead, and what is done to them from outside."""

import base64
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import yaml

from cluster.traces import total
from devcluster.controlplane import ControlPlane
from devcluster.operator import NAMESPACE, SERVICE_ACCOUNT, Operator
from devcluster.waiting import wait_until

_BOUND_SECONDS = 30.0


class Said(NamedTuple):
    """An answer over HTTP."""

    status: int
    content_type: str
    text: str


def ask(operator: Operator, path: str) -> Said:
    """Ask an operator for /healthz, /readyz or /metrics."""
    try:
        with urllib.request.urlopen(f"{operator.url}{path}", timeout=10) as answer:  # noqa: S310 - always http
            return Said(answer.status, answer.headers["Content-Type"], answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Said(error.code, error.headers["Content-Type"], error.read().decode())


def until_heard(operator: Operator) -> None:
    """Wait until an operator answers over HTTP at all, ready or not."""

    def answers() -> bool:
        operator.check()
        try:
            return ask(operator, "/healthz").status > 0
        except OSError:
            return False

    wait_until("the operator to answer", answers, seconds=_BOUND_SECONDS)


def leads(operator: Operator) -> bool:
    """Tell whether an operator says that it works."""
    return total(operator, "mistral_operator_leading") == 1


def until_leads(operator: Operator, seconds: float = _BOUND_SECONDS) -> None:
    """Wait until an operator works."""
    wait_until("the operator to lead", lambda: leads(operator), seconds=seconds)


def until_ended(operator: Operator, seconds: float = _BOUND_SECONDS) -> int:
    """Wait until an operator's process has ended, and return what it ended with."""
    wait_until("the operator to end", lambda: not operator.running, seconds=seconds)
    code = operator.exit_code
    assert code is not None
    return code


@contextmanager
def frozen(operator: Operator) -> Iterator[None]:
    """Let an operator's process stand still, as on a machine that swaps or a virtual one that is moved."""
    os.kill(operator.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(operator.pid, signal.SIGCONT)


@contextmanager
def blind(operator: Operator, plane: ControlPlane) -> Iterator[None]:
    """Let an operator miss what happens, for good: when it looks again, history is compacted."""
    with frozen(operator):
        # its connections break while it cannot read from them, so that nothing of the future waits in them
        plane.stop_apiserver()
        plane.start_apiserver()
        yield
        plane.compact()


def newest_credential(plane: ControlPlane) -> str:
    """Return how the audit log names the token of the operator that was started last."""
    text = (plane.folder / f"{NAMESPACE}-{SERVICE_ACCOUNT}.kubeconfig").read_text(encoding="utf-8")
    claims = yaml.safe_load(text)["users"][0]["user"]["token"].split(".")[1]
    return "JTI=" + str(json.loads(base64.urlsafe_b64decode(claims + "=="))["jti"])
