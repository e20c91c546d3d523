"""Who gets past the guard of the API key."""

import asyncio
from argparse import Namespace
from typing import Any

import pytest

from mistral_vllm.api_key import KeyGuard, api_keys

PASSED = [{"type": "passed"}]


def ask(keys: list[str], **scope: Any) -> list[Any]:
    """Return what is sent back for one request; ``PASSED`` where the application would answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "passed"})

    asyncio.run(KeyGuard(app, keys)({"type": "http", "path": "/invocations", "headers": [], **scope}, None, send))
    return sent


@pytest.mark.parametrize(
    ("authorization", "passes"),
    [
        (b"Bearer one", True),
        (b"bearer two", True),
        (b"Bearer ", False),
        (b"Bearer three", False),
        (b"Bearer on", False),
        (b"Basic one", False),
        (b"one", False),
        (b"", False),
        (b"Bearer \xff", False),
    ],
)
def test_who_passes(authorization: bytes, passes: bool) -> None:
    """One of the keys, whole, as a bearer token."""
    sent = ask(["one", "two"], headers=[(b"host", b"x"), (b"authorization", authorization)])
    assert (sent == PASSED) is passes
    if not passes:
        assert sent[0]["status"] == 401
        assert sent[1]["body"] == b'{"error":"Unauthorized"}'


@pytest.mark.parametrize(
    ("path", "root_path", "is_open"),
    [
        ("/health", "", True),
        ("/metrics", "", True),
        ("/ping", "", True),
        ("/a/health", "/a", True),
        ("/health", "/a", True),
        ("/a/invocations", "/a", False),
        ("/health/", "", False),
        ("/Health", "", False),
        ("/invocations/health", "", False),
        ("health", "", False),
        ("", "", False),
    ],
)
def test_what_is_open(path: str, root_path: str, *, is_open: bool) -> None:
    """Probes and scrapers have no key; nothing that merely looks like their paths is open."""
    assert (ask(["one"], path=path, root_path=root_path) == PASSED) is is_open


def test_other_kinds_of_connections() -> None:
    """Websockets are closed before they are accepted; the server's own start and end are nobody's request."""
    assert ask(["one"], type="websocket") == [{"type": "websocket.close", "code": 1008}]
    assert ask(["one"], type="lifespan") == PASSED


@pytest.mark.parametrize(
    ("arguments", "environment", "keys"),
    [
        (Namespace(api_key=None), {}, []),
        (Namespace(api_key=None), {"VLLM_API_KEY": ""}, []),
        (Namespace(api_key=None), {"VLLM_API_KEY": "one"}, ["one"]),
        (Namespace(api_key=["two", "three"]), {"VLLM_API_KEY": "one"}, ["two", "three"]),
        (Namespace(api_key=[""]), {"VLLM_API_KEY": "one"}, []),
        (None, {"VLLM_API_KEY": "one"}, ["one"]),
    ],
)
def test_which_keys_there_are(arguments: Any, environment: dict[str, str], keys: list[str]) -> None:
    """Those that vLLM asks for below /v1, or none where it asks for none."""
    assert api_keys(arguments, environment) == keys
