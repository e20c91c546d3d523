"""What all trials share: one control plane, one hub, one server that answers for pods, one process to fork from."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from aiohttp import web

from bench.faults.admin import MERGE, Admin, session_for
from bench.faults.history import Histories, History
from bench.faults.operators import OperatorProcess, Zygote
from bench.faults.proxy import Proxy
from bench.faults.scenarios import BRANCHING, TOKEN_SECRET
from bench.faults.world import World
from bench.faults.zygote import OperatorConfig
from devcluster.cluster import write_kubeconfig
from devcluster.controlplane import H200, ControlPlane
from devcluster.hub import HubServer
from devcluster.hub.server import MODELS
from devcluster.operator import NAMESPACE, SERVICE_ACCOUNT, Operator
from mistral_operator.cluster.rbac import lease_rules
from mistral_operator.controller.settings import LeaseSettings

_ADDRESS: Final = "devcluster.mistral-operator.io/address"
_LOOPBACK: Final = "127.0.0.1"
_NEXT: Final = "next"  # where the branch moves to
_NODES: Final = 8  # of which each takes 500 pods
_RBAC: Final = "rbac.authorization.k8s.io"
_LEASE: Final = LeaseSettings().name


@dataclass(frozen=True, slots=True)
class Running:
    """One operator of a trial."""

    process: OperatorProcess
    proxy: Proxy
    log: Path


class Lab:
    """Makes namespaces and operators for trials."""

    def __init__(
        self,
        plane: ControlPlane,
        admin: Admin,
        histories: Histories,
        zygote: Zygote,
        upstream: aiohttp.ClientSession,
        hub: HubServer,
        pod_port: int,
        token: str,
    ) -> None:
        self.admin = admin
        self.histories = histories
        self._plane = plane
        self._zygote = zygote
        self._upstream = upstream
        self._hub = hub
        self._pod_port = pod_port
        self._token = token
        self._numbers = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def on(cls, plane: ControlPlane) -> AsyncIterator["Lab"]:
        """Prepare a control plane that has just been started."""
        await asyncio.to_thread(_prepare, plane)
        path = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT, seconds=24 * 3600)
        token = yaml.safe_load(path.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
        zygote = await Zygote.start(plane)
        try:
            async with Admin.of(plane) as admin, session_for(plane) as upstream, _pod() as port:
                histories = Histories(admin)
                await histories.start()
                try:
                    with HubServer(_models(plane.folder / "models")) as hub:
                        yield cls(plane, admin, histories, zygote, upstream, hub, port, token)
                finally:
                    await histories.stop()
        finally:
            await zygote.close()

    async def new_world(self) -> tuple[str, History, World]:
        """Make a namespace, with the rights on its Lease and a token for the hub that is its own."""
        namespace = f"trial-{next(self._numbers)}"
        history = self.histories.of(namespace)
        await self.admin.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        rbac = f"/apis/{_RBAC}/v1/namespaces/{namespace}"
        await self.admin.request("POST", f"{rbac}/roles", {"metadata": {"name": "lease"}, "rules": lease_rules(_LEASE)})
        account = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": NAMESPACE}
        role = {"apiGroup": _RBAC, "kind": "Role", "name": "lease"}
        binding = {"metadata": {"name": "lease"}, "roleRef": role, "subjects": [account]}
        await self.admin.request("POST", f"{rbac}/rolebindings", binding)
        token = f"hf_{namespace}"
        secret = {"metadata": {"name": TOKEN_SECRET}, "stringData": {"token": token}}
        await self.admin.request("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
        world = World(
            self.admin,
            namespace,
            history,
            lambda: self._hub.move(BRANCHING, _NEXT, token),
            {_ADDRESS: _LOOPBACK},
        )
        return namespace, history, world

    async def start_operator(
        self,
        namespace: str,
        history: History,
        changed: asyncio.Event,
        *,
        lease_seconds: float,
        resync_seconds: float,
        recheck_seconds: float,
        planted: str | None,
        horizon: int | None = None,
        kill_at: tuple[int, bool] | None = None,
        counts_work_only: bool = False,
    ) -> Running:
        """Start an operator that sees no more than a namespace."""
        identity = f"operator-{next(self._numbers)}"
        proxy = Proxy(self._upstream, history, identity, changed)
        proxy.horizon, proxy.kill_at, proxy.counts = horizon, kill_at, not counts_work_only
        url = await proxy.start()
        folder = self._plane.folder
        kubeconfig = write_kubeconfig(folder / f"{identity}.kubeconfig", {"server": url}, self._token)
        log = folder / f"{identity}.log"
        config = OperatorConfig(
            kubeconfig=str(kubeconfig),
            namespace=namespace,
            identity=identity,
            hub_url=self._hub.url,
            hub_cache=str(folder / "hub-cache"),
            pod_port=self._pod_port,
            lease_seconds=lease_seconds,
            resync_seconds=resync_seconds,
            recheck_seconds=recheck_seconds,
            log=str(log),
            planted=planted,
        )
        process = await self._zygote.fork(config)
        proxy.begin(process.kill)
        return Running(process, proxy, log)

    async def expire_lease(self, namespace: str) -> None:
        """Let a dead operator's Lease have run out, as it has when a pod takes its time to come back."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        for lease in (await self.admin.request("GET", path))["items"]:
            # not replaced: a renewal that was sent before the end may still be carried out
            name = lease["metadata"]["name"]
            await self.admin.request("PATCH", f"{path}/{name}", {"spec": {"holderIdentity": None}}, MERGE)


def _prepare(plane: ControlPlane) -> None:
    many = replace(H200, gpus=500)
    plane.add_nodes({f"h200-{number}": many for number in range(_NODES)})
    Operator(plane, None).install()


def _models(folder: Path) -> Path:
    """Lay out the hub's repositories: a model as it is, and one with a branch that main can move to.

    The attention is the same there, since a pod tells the same before and after.
    """
    source = MODELS / "mistralai__Mistral-7B-v0.1"
    shutil.copytree(source, folder / source.name)
    branching = BRANCHING.replace("/", "__")
    shutil.copytree(source, folder / branching)
    moved = shutil.copytree(source, folder / f"{branching}--{_NEXT}") / "config.json"
    config = json.loads(moved.read_text(encoding="utf-8"))
    moved.write_text(json.dumps(config | {"initializer_range": 0.01}), encoding="utf-8")
    return folder


@asynccontextmanager
async def _pod() -> AsyncIterator[int]:
    """Answer for every pod that it runs what was planned; yield the port."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(report())

    app = web.Application()
    app.router.add_get("/v1/attention", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _LOOPBACK, 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def report(window: int = 4096, backend: str = "XFORMERS") -> Mapping[str, Any]:
    """Return what a pod of Mistral-7B-v0.1 tells of itself, as docs/pod-report.md shows it."""
    kind = "sliding_attention"
    layers = {"kind": kind, "layers": 32, "slidingWindow": window, "backend": backend, "headSize": 128}
    return {
        "versions": {"vllm": "0.26.0", "torch": "2.11.0+cu130", "xformers": "0.0.35", "plugin": "0.1.0"},
        "xformers": "Available",
        "slidingWindow": window,
        "layers": {"sliding": 32, "full": 0},
        "backends": {kind: backend},
        "kinds": [{**layers, "queryHeads": 32, "kvHeads": 8, "kernels": None}],
        "ranks": 1,
        "ranksAgree": True,
        "warnings": [],
    }
