"""The smallest operator there is, for the benchmark to measure: a Deployment for each Greeting that is allowed.

It makes exactly two requests an object, and one from time to time when idle, so that what is counted can be told.
"""

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

_GREETINGS = "/apis/example.com/v1/greetings"
_FIDGET_SECONDS = 4  # longer than what counts as rest


def _deployment(greeting: dict[str, Any]) -> dict[str, Any]:
    name, labels = greeting["metadata"]["name"], {"greeting": greeting["metadata"]["name"]}
    owner = {
        "apiVersion": greeting["apiVersion"],
        "kind": greeting["kind"],
        "name": name,
        "uid": greeting["metadata"]["uid"],
        "controller": True,
    }
    container = {"name": "greeter", "image": "greeter:1", "args": [greeting["spec"]["text"]]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def _greet(session: aiohttp.ClientSession, greeting: dict[str, Any]) -> None:
    namespace, name = greeting["metadata"]["namespace"], greeting["metadata"]["name"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    async with session.post(path, json=_deployment(greeting)) as answer:
        answer.raise_for_status()
    path = f"/apis/example.com/v1/namespaces/{namespace}/greetings/{name}/status"
    headers = {"Content-Type": "application/merge-patch+json"}
    patch = json.dumps({"status": {"phase": os.environ["GREETER_PHASE"]}})
    async with session.patch(path, data=patch, headers=headers) as answer:
        answer.raise_for_status()


@asynccontextmanager
async def _read(session: aiohttp.ClientSession, **query: str) -> AsyncIterator[aiohttp.ClientResponse]:
    while True:
        async with session.get(_GREETINGS, params=query) as answer:
            if answer.status != 429:  # while the API server's cache of a kind that is new to it fills (KEP-4568)
                answer.raise_for_status()
                yield answer
                return
            pause_seconds = int(answer.headers["Retry-After"])
        await asyncio.sleep(pause_seconds)


async def _fidget(session: aiohttp.ClientSession) -> None:
    while True:
        async with _read(session):
            pass
        await asyncio.sleep(_FIDGET_SECONDS)


async def _watch(session: aiohttp.ClientSession) -> None:
    greeted = set()
    async with _read(session, watch="1") as events:
        async for line in events.content:
            greeting = json.loads(line)["object"]
            name = greeting["metadata"]["name"]
            if greeting.get("status", {}).get("allowed") and name not in greeted:
                greeted.add(name)
                await _greet(session, greeting)


async def _main() -> None:
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    async with aiohttp.ClientSession(
        cluster["server"],
        headers={"Authorization": f"Bearer {user['token']}"},
        connector=aiohttp.TCPConnector(ssl=trust),
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        await asyncio.gather(_watch(session), _fidget(session))


if __name__ == "__main__":
    asyncio.run(_main())
