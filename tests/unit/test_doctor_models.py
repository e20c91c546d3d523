"""Reading the models of objects for the doctor: what is read, and that nothing is left behind."""

import asyncio
import base64
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest

from devcluster.hub import Fault, HubServer, Kind
from mistral_operator.cli.doctor.facts import Deployment
from mistral_operator.cli.doctor.models import read_models
from mistral_operator.cluster.resources import SECRETS
from mistral_operator.controller.tokens import Tokens
from unit.api_server import ApiServer
from unit.planning_on_clusters import spec

MISTRAL = "mistralai/Mistral-7B-v0.1"


def deployment(name: str, model: str = MISTRAL, **fields: Any) -> Deployment:
    """Return an object."""
    body = {"metadata": {"namespace": "ns", "name": name}}
    return Deployment(body, spec(model={"id": model, "revision": "main"}, **fields))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what this machine takes for temporary files and for a cache, and is empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path


def test_nothing_is_left_on_this_machine(folder: Path) -> None:
    """Not even where a read goes wrong: what a token may read is nobody else's."""

    async def main() -> None:
        with HubServer() as hub:
            async with ApiServer() as server:
                data = {"token": base64.b64encode(b"hf_mine").decode()}
                server.put(SECRETS, {"metadata": {"namespace": "ns", "name": "hf"}, "data": data})
                cluster = await server.cluster()
                tokens = Tokens(cluster, lambda: 0.0, believed_seconds=60)
                hub.faults["mistralai/Pixtral-12B-2409"] = Fault(Kind.GARBLED)
                asked = [
                    deployment("one"),
                    deployment("two", hfTokenSecretRef={"name": "hf", "key": "token"}),
                    deployment("three", "mistralai/Pixtral-12B-2409"),
                ]
                found = await read_models(cluster, tokens, asked, hub.url)
        assert [read.reason for read in found.models.values()] == [None, None, "TornConfig"]

    asyncio.run(main())
    assert list(folder.rglob("*")) == []


def test_a_doctor_that_is_interrupted_leaves_no_read_behind(folder: Path) -> None:
    """Its threads end with it, or it would wait for them as long as the hub lets it."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with HubServer() as hub:
            hub.faults[MISTRAL] = Fault(Kind.SLOW, seconds=600)
            async with ApiServer() as server:
                cluster = await server.cluster()
                tokens = Tokens(cluster, lambda: 0.0, believed_seconds=60)
                reading = asyncio.create_task(read_models(cluster, tokens, [deployment("one")], hub.url))
                while not hub.requests:
                    await asyncio.sleep(0)
                reading.cancel()
                begun = loop.time()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
                await loop.shutdown_default_executor()
                return loop.time() - begun

    assert asyncio.run(main()) < 5
    assert list(folder.rglob("*")) == []
