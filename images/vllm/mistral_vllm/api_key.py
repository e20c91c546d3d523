"""vLLM's API key, asked for on every path but those of probes and scrapers.

vLLM 0.26 asks for it below ``/v1``, ``/v2`` and ``/inference`` alone (``entrypoints/serve/utils/server_utils.py``), and
answers ``POST /invocations`` to whoever reaches the port, with a completion.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

VARIABLE: Final = "VLLM_API_KEY"
OPEN_PATHS: Final = frozenset({"/health", "/ping", "/metrics"})  # the kubelet and Prometheus have no key
_UNAUTHORIZED: Final = b'{"error":"Unauthorized"}'  # as vLLM says it
_POLICY_VIOLATION: Final = 1008  # RFC 6455

Application = Callable[[Any, Any, Any], Awaitable[None]]


def api_keys(arguments: object, environment: Mapping[str, str]) -> list[str]:
    """Return the keys that vLLM was started with; none where it serves everybody. ``--api-key`` wins, as in vLLM."""
    return [key for key in (getattr(arguments, "api_key", None) or [environment.get(VARIABLE)]) if key]


class KeyGuard:
    """ASGI middleware that lets nobody without a key to any path that is not open."""

    def __init__(self, app: Application, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = [sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._admits(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_UNAUTHORIZED))]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": _UNAUTHORIZED})

    def _admits(self, scope: Mapping[str, Any]) -> bool:
        if scope["path"].removeprefix(scope.get("root_path", "")) in OPEN_PATHS:
            return True
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = sent.partition(b" ")
        # every one is compared, whole: how long it takes tells nothing
        same = [secrets.compare_digest(sha256(key).digest(), digest) for digest in self._digests]
        return scheme.lower() == b"bearer" and any(same)
