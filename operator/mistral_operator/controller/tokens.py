"""Tokens of the hub and keys of pods, out of Secrets: read by name, believed for moments, never logged.

One that is believed no longer is dropped when the next is read; the process may hold the last ones for longer.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Final, NamedTuple

from mistral_operator.api.conditions import Reason
from mistral_operator.api.spec import SecretKeyRef
from mistral_operator.cluster.client import Cluster
from mistral_operator.cluster.errors import ForbiddenError
from mistral_operator.cluster.resources import SECRETS


class SecretUse(NamedTuple):
    """What a Secret is read for, as errors name it."""

    field: str  # of the spec
    content: str


HUB_TOKEN: Final = SecretUse("spec.hfTokenSecretRef", "a token of the hub")
API_KEY: Final = SecretUse("spec.apiKeySecretRef", "the key that clients must send")


class TokenError(Exception):
    """A token could not be had; ``str()`` names the Secret and what to do."""

    def __init__(self, reason: Reason, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.reason = reason
        self.message = message
        self.next_step = next_step


class _Known(NamedTuple):
    token: str
    until: float


class Tokens:
    """Reads tokens, each at most once in ``believed_seconds``; ``reader`` is who asks, as errors name them."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], float],
        believed_seconds: float,
        reader: str = "the operator's ServiceAccount",
        use: SecretUse = HUB_TOKEN,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._believed_seconds = believed_seconds
        self._reader = reader
        self._use = use
        self._known: dict[tuple[str, str, str], _Known] = {}

    async def read(self, namespace: str, reference: SecretKeyRef) -> str:
        """Return a token.

        Raises
        ------
        TokenError
            When the Secret or its key is not there, may not be read, or holds no text.
        ClusterError
            When the API server does not answer.
        """
        name = (namespace, reference.name, reference.key)
        known = self._known.get(name)
        if known is not None and self._clock() < known.until:
            return known.token
        token = await self._fetch(namespace, reference)
        self._drop_old()
        self._known[name] = _Known(token, self._clock() + self._believed_seconds)
        return token

    async def _fetch(self, namespace: str, reference: SecretKeyRef) -> str:
        where = f"Secret {namespace}/{reference.name}"
        try:
            secret = await self._cluster.get(SECRETS, namespace, reference.name)
        except ForbiddenError:
            raise TokenError(
                Reason.TOKEN_SECRET_UNREADABLE,
                f"{where}, named by {self._use.field}, may not be read by {self._reader}.",
                f"Grant {self._reader} get on Secrets.",
            ) from None
        if secret is None:
            raise TokenError(
                Reason.TOKEN_SECRET_MISSING,
                f"{where}, named by {self._use.field}, does not exist.",
                f"Create it with a key {reference.key!r} that holds {self._use.content}.",
            )
        encoded = (secret.get("data") or {}).get(reference.key)
        if encoded is None:
            raise TokenError(
                Reason.TOKEN_SECRET_MISSING,
                f"{where}, named by {self._use.field}, has no key {reference.key!r}.",
                "Add the key, or name another one.",
            )
        try:
            return base64.b64decode(encoded, validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            # neither the error nor its text may go on: it could quote the token
            raise TokenError(
                Reason.TOKEN_SECRET_UNREADABLE,
                f"{where}, key {reference.key!r}, holds no text.",
                f"Store {self._use.content} in it as text.",
            ) from None

    def _drop_old(self) -> None:
        now = self._clock()
        self._known = {name: known for name, known in self._known.items() if now < known.until}
