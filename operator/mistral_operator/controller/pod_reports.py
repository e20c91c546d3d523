"""Asking one pod what it runs: a single GET, bounded in time and bytes, that goes nowhere but to that pod."""

import ipaddress
import json
from typing import Final

import aiohttp

from mistral_operator.api.conditions import Reason
from mistral_operator.status.pod_report import NoReportError, PodReport, one_line, read_report

_PATH: Final = "/v1/attention"
_MOST_BYTES: Final = 256 * 1024  # decode tables of a few kinds of layers are a few KiB
_REASONS: Final = {
    401: (Reason.KEY_REFUSED, "refuses the key (401)"),
    404: (
        Reason.IMAGE_CANNOT_TELL,
        f"has no {_PATH} (404): its image has no mistral-vllm plugin, or does not load it",
    ),
}


class UntoldError(Exception):
    """A pod did not tell what it runs; ``str()`` says how it answered, without its name."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PodReports:
    """Asks pods; a context manager, since connections go with it.

    Parameters
    ----------
    port
        Where pods listen.
    timeout_seconds
        For one question, from connecting to the last byte.
    """

    def __init__(self, port: int, timeout_seconds: float) -> None:
        self._port = port
        # no proxy of the environment and no connection that is kept: the address may be another pod's next time
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            trust_env=False,
            auto_decompress=False,  # a small answer may unpack to a large one
        )

    async def __aenter__(self) -> "PodReports":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, address: str, key: str | None) -> PodReport:
        """Return a pod's report.

        Raises
        ------
        UntoldError
            When there is none.
        """
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {_sendable(key)}"
        where = f"{_host(address)}:{self._port}"
        try:
            async with self._session.get(f"http://{where}{_PATH}", headers=headers, allow_redirects=False) as answer:
                content = await _read(answer)
        except (aiohttp.ClientConnectionError, TimeoutError, OSError):
            # in which way differs from one time to the next, and a message that moves is a write
            raise UntoldError(
                Reason.POD_UNREACHABLE,
                f"does not answer at {where}, so what it runs is not known; a NetworkPolicy may keep the operator out",
            ) from None
        except aiohttp.ClientError as error:
            raise UntoldError(
                Reason.POD_CANNOT_TELL, f"does not answer in HTTP at {where}: {type(error).__name__}"
            ) from None
        if answer.status != 200:
            raise _refusal(answer.status, content)
        if content is None:
            raise UntoldError(
                Reason.POD_CANNOT_TELL, f"answers with more than {_MOST_BYTES >> 10} KiB, which is no report"
            )
        try:
            return read_report(content)
        except NoReportError as error:
            raise UntoldError(Reason.POD_CANNOT_TELL, f"answers with no report: {error}") from None


async def _read(answer: aiohttp.ClientResponse) -> bytes | None:
    """Return the whole body, or None where it is longer than any report."""
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > _MOST_BYTES:
            return None
    return bytes(content)


def _refusal(status: int, content: bytes | None) -> UntoldError:
    if status in _REASONS:
        return UntoldError(*_REASONS[status])
    said = _sentence(content or b"")
    return UntoldError(Reason.POD_CANNOT_TELL, f"answers {status}{': ' if said else ''}{said}")


def _sentence(content: bytes) -> str:
    """Return the sentence with which the image says why it cannot tell; pages of others are not repeated."""
    try:
        said = json.loads(content)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return one_line(said) if isinstance(said, str) else ""


def _sendable(key: str) -> str:
    if not (key and key.isascii() and key.isprintable()):
        raise UntoldError(Reason.KEY_MISSING, "needs a key, and the one of spec.apiKeySecretRef is not printable ASCII")
    return key


def _host(address: str) -> str:
    """Return an address as it stands in a URL."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise UntoldError(Reason.POD_UNREACHABLE, "has no address yet") from None
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)
