"""Hub tokens out of Secrets: read seldom, believed shortly, and never told to anybody."""

import asyncio
import base64
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.api.spec import SecretKeyRef
from mistral_operator.cluster.errors import UnreachableError
from mistral_operator.cluster.rbac import operator_rules
from mistral_operator.cluster.resources import SECRETS
from mistral_operator.controller.tokens import TokenError, Tokens
from unit.api_server import ApiServer, Fault, on_server
from unit.virtual_time import now

TOKEN = "hf_NotARealTokenButUnmistakable"  # noqa: S105 - no secret: it is what must not be found in any message
REFERENCE = SecretKeyRef(name="hf", key="token")
BELIEVED = 30.0


def put(server: ApiServer, data: dict[str, str] | None, name: str = "hf") -> None:
    """Write a Secret; values are what is written in it, encoded already."""
    server.put(SECRETS, {"metadata": {"namespace": "ns", "name": name}} | ({} if data is None else {"data": data}))


def encoded(text: str) -> str:
    """Return a text as a Secret holds it."""
    return base64.b64encode(text.encode()).decode()


def with_tokens(test: Callable[[ApiServer, Tokens], Awaitable[None]], rules: Any = None) -> None:
    """Run a test against a server, with the operator's own rights."""

    async def main(server: ApiServer) -> None:
        await test(server, Tokens(await server.cluster(), now, BELIEVED))

    on_server(main, ApiServer(rules=operator_rules() if rules is None else rules))


@pytest.mark.parametrize("written", [TOKEN, f"{TOKEN}\n", f"  {TOKEN} "])
def test_a_token(written: str) -> None:
    """It is read by get alone; the newline that editors leave is none of it."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, {"token": encoded(written)})
        assert await tokens.read("ns", REFERENCE) == TOKEN
        assert [(request.verb, request.place.name) for request in server.requests] == [("get", "hf")]

    with_tokens(test)


def test_it_is_believed_for_a_while() -> None:
    """A thousand objects ask once; a new token is found within the time."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, {"token": encoded("first")})
        for _ in range(10):
            assert await tokens.read("ns", REFERENCE) == "first"
        assert server.count("get", "secrets") == 1
        put(server, {"token": encoded("second")})
        await asyncio.sleep(BELIEVED - 1)
        assert await tokens.read("ns", REFERENCE) == "first"
        await asyncio.sleep(2)
        assert await tokens.read("ns", REFERENCE) == "second"
        assert server.count("get", "secrets") == 2

    with_tokens(test)


def test_secrets_and_keys_are_told_apart() -> None:
    """By namespace, name and key: one tenant's token is not another's."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, {"token": encoded("a"), "other": encoded("b")})
        put(server, {"token": encoded("c")}, "hf2")
        server.put(SECRETS, {"metadata": {"namespace": "ns2", "name": "hf"}, "data": {"token": encoded("d")}})
        found = [
            await tokens.read("ns", REFERENCE),
            await tokens.read("ns", SecretKeyRef(name="hf", key="other")),
            await tokens.read("ns", SecretKeyRef(name="hf2", key="token")),
            await tokens.read("ns2", REFERENCE),
        ]
        assert found == ["a", "b", "c", "d"]

    with_tokens(test)


@pytest.mark.parametrize(
    ("data", "reason", "told"),
    [
        pytest.param(None, Reason.TOKEN_SECRET_MISSING, "has no key 'token'. Add the key", id="no data"),
        pytest.param({}, Reason.TOKEN_SECRET_MISSING, "has no key 'token'. Add the key", id="no key"),
        pytest.param({"Token": "YQ=="}, Reason.TOKEN_SECRET_MISSING, "has no key 'token'", id="another case"),
        pytest.param({"token": "/w=="}, Reason.TOKEN_SECRET_UNREADABLE, "holds no text", id="bytes that are no text"),
        pytest.param({"token": TOKEN}, Reason.TOKEN_SECRET_UNREADABLE, "holds no text", id="not even encoded"),
    ],
)
def test_secrets_that_hold_no_token(data: dict[str, str] | None, reason: Reason, told: str) -> None:
    """The error names the Secret, the key and what to do, and never what the Secret holds."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, data)
        with pytest.raises(TokenError) as caught:
            await tokens.read("ns", REFERENCE)
        assert caught.value.reason is reason
        assert told in str(caught.value)
        assert "Secret ns/hf" in str(caught.value)
        assert TOKEN not in "".join(traceback.format_exception(caught.value))

    with_tokens(test)


def test_a_secret_that_comes() -> None:
    """Its absence is not believed for a moment: the next look finds it."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        with pytest.raises(TokenError, match=r"does not exist. Create it with a key 'token'") as caught:
            await tokens.read("ns", REFERENCE)
        assert caught.value.reason is Reason.TOKEN_SECRET_MISSING
        put(server, {"token": encoded(TOKEN)})
        assert await tokens.read("ns", REFERENCE) == TOKEN

    with_tokens(test)


def test_a_right_that_is_missing() -> None:
    """Who reads is named, and what it lacks."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, {"token": encoded(TOKEN)})
        with pytest.raises(TokenError, match=r"may not be read by .*Grant the operator's ServiceAccount get") as caught:
            await tokens.read("ns", REFERENCE)
        assert caught.value.reason is Reason.TOKEN_SECRET_UNREADABLE

    with_tokens(test, rules=[])


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_server_that_is_ill(status: int) -> None:
    """It says nothing about the Secret: the reconcile is tried again, and no condition is written."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, {"token": encoded(TOKEN)})
        server.faults.append(Fault("GET", status))
        with pytest.raises(UnreachableError):
            await tokens.read("ns", REFERENCE)
        assert await tokens.read("ns", REFERENCE) == TOKEN

    with_tokens(test)


def test_memory_is_bounded_by_what_is_asked_for() -> None:
    """Tokens of objects that are gone are not kept in memory."""

    async def test(server: ApiServer, tokens: Tokens) -> None:
        for number in range(20):
            put(server, {"token": encoded(f"{TOKEN}{number}")}, f"hf{number}")
            await tokens.read("ns", SecretKeyRef(name=f"hf{number}", key="token"))
        await asyncio.sleep(BELIEVED + 1)
        put(server, {"token": encoded("last")})
        await tokens.read("ns", REFERENCE)
        assert TOKEN not in str(vars(tokens))

    with_tokens(test)


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not at the most talkative level, by nobody on the way."""
    caplog.set_level(logging.DEBUG)

    async def test(server: ApiServer, tokens: Tokens) -> None:
        put(server, {"token": encoded(TOKEN)})
        await tokens.read("ns", REFERENCE)

    with_tokens(test)
    assert TOKEN not in caplog.text
    assert encoded(TOKEN) not in caplog.text
