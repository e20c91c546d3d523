"""Operators as processes within milliseconds: forked from one that has imported everything, and nothing else.

``python -m bench.faults.zygote SOCKET`` listens there for one connection. Each line is the JSON of an
:class:`OperatorConfig`; the answer is ``{"pid": ...}``, and ``{"ended": pid, "status": ...}`` when it ends.
"""

import asyncio
import gc
import json
import os
import random
import selectors
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from kubernetes.aio.config import kube_config

from bench.faults.planted_bugs import PLANTED
from mistral_operator.api.names import DEFAULT_IMAGE_REPOSITORY
from mistral_operator.api.spec import RuntimeSpec
from mistral_operator.cli.logs import set_up_logs
from mistral_operator.cluster.connection import connect
from mistral_operator.controller.app import run
from mistral_operator.controller.settings import HubSettings, LeaseSettings, Settings, VerificationSettings
from mistral_operator.planning.wishes import Defaults
from mistral_vllm.profiles import load_profiles
from mistral_vllm.runtimes import DEFAULT_VERSION, RuntimeName


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """One operator."""

    kubeconfig: str
    namespace: str
    identity: str
    hub_url: str
    hub_cache: str
    pod_port: int  # where pods tell what they run
    lease_seconds: float
    resync_seconds: float
    recheck_seconds: float
    log: str
    planted: str | None = None  # name of a planted bug

    def settings(self) -> Settings:
        """Return the operator's settings: what takes minutes in production takes seconds here."""
        return Settings(
            defaults=Defaults(
                image_repository=DEFAULT_IMAGE_REPOSITORY,
                image_tag=DEFAULT_VERSION,
                runtime=RuntimeSpec(name=RuntimeName.MISTRAL_VLLM, version=DEFAULT_VERSION),
                hf_endpoint=self.hub_url,
            ),
            namespaces=(self.namespace,),
            identity=self.identity,
            workers=4,
            resync_seconds=self.resync_seconds,
            http_host="127.0.0.1",
            http_port=0,
            lease=LeaseSettings(
                namespace=self.namespace,
                duration_seconds=self.lease_seconds,
                renew_deadline_seconds=self.lease_seconds * 2 / 3,
                retry_seconds=max(0.2, self.lease_seconds / 7.5),
            ),
            hub=HubSettings(
                cache_dir=Path(self.hub_cache),
                recheck_seconds=self.recheck_seconds,
                retry_seconds=0.2,
                slow_retry_seconds=1,
                token_seconds=0.5,
            ),
            verification=VerificationSettings(port=self.pod_port, retry_seconds=0.2, slow_retry_seconds=1),
        )


def main() -> None:
    """Fork an operator for each line, until the connection ends."""
    load_profiles()
    gc.freeze()  # what is here stays shared with the children
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(1)
        connection, _ = listener.accept()
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    with connection, connection.makefile("rb") as lines, selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, 4096)
                for pid, status in _ended():
                    _say(connection, {"ended": pid, "status": status})
            if connection in ready:
                line = lines.readline()
                if not line:
                    return
                config = OperatorConfig(**json.loads(line))
                pid = os.fork()
                if pid == 0:
                    _become(config, connection)
                _say(connection, {"pid": pid})


def _ended() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


def _say(connection: socket.socket, answer: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _become(config: OperatorConfig, connection: socket.socket) -> None:
    """Be an operator, in a child that never returns."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.close()
        log = os.open(config.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        random.seed()
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = config.kubeconfig  # read from the environment at import only
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_operate(config))
        code = 0
    except BaseException as error:  # noqa: BLE001 - nothing of the parent may run in the child
        sys.stderr.write(f"the operator ended: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


async def _operate(config: OperatorConfig) -> None:
    log = set_up_logs("INFO", json=False)
    settings = config.settings()
    if config.planted is not None:
        bug = PLANTED[config.planted]
        bug.plant()
        settings = bug.settings(settings)
    async with await connect() as client:
        await run(settings, client, log)


if __name__ == "__main__":
    main()
