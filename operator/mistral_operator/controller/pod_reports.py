"""Asking one pod what it runs: a single GET, bounded in time and bytes, that goes nowhere but to that pod."""

import asyncio
import ipaddress
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mistral_operator.api.conditions import Reason
from mistral_operator.controller.pod_http import MOST_BYTES, NotHTTPError, collect, understand
from mistral_operator.status.pod_report import NoReportError, PodReport, one_line, read_report

_PATH: Final = "/v1/attention"
_LONGEST_ERROR_BYTES: Final = 8 * 1024  # of which a sentence is repeated
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
    """Asks pods; a context manager, since a thread goes with it, in which answers are read.

    Parameters
    ----------
    port
        Where pods listen.
    timeout_seconds
        For one question, from connecting to the last byte.
    """

    def __init__(self, port: int, timeout_seconds: float) -> None:
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reports")

    async def __aenter__(self) -> "PodReports":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def ask(self, address: str, key: str | None) -> PodReport:
        """Return a pod's report.

        Raises
        ------
        UntoldError
            When there is none.
        """
        host = _address(address)
        where = f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"
        headers = {"Host": where, "Accept": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {_sendable(key)}"
        try:
            # no proxy of the environment and no connection that is kept: the address may be another pod's next time
            async with asyncio.timeout(self._timeout_seconds):
                received = await collect(host, self._port, _PATH, headers)
        except (TimeoutError, OSError):
            received = b""
        if not received:
            # in which way differs from one time to the next, and a message that moves is a write
            raise UntoldError(
                Reason.POD_UNREACHABLE,
                f"does not answer at {where}, so what it runs is not known; a NetworkPolicy may keep the operator out",
            )
        return await asyncio.get_running_loop().run_in_executor(self._thread, _read, received, where)


def _read(received: bytes, where: str) -> PodReport:
    """Understand an answer; this takes a thread up to some tenths of a second."""
    try:
        answer = understand(received)
    except NotHTTPError as error:
        raise UntoldError(Reason.POD_CANNOT_TELL, f"does not answer in HTTP at {where}: {error}") from None
    if answer.status != 200:
        raise _refusal(answer.status, answer.content)
    if answer.content is None:
        raise UntoldError(Reason.POD_CANNOT_TELL, f"answers with more than {MOST_BYTES >> 10} KiB, which is no report")
    try:
        return read_report(answer.content)
    except NoReportError as error:
        raise UntoldError(Reason.POD_CANNOT_TELL, f"answers with no report: {error}") from None


def _refusal(status: int, content: bytes | None) -> UntoldError:
    if status in _REASONS:
        return UntoldError(*_REASONS[status])
    said = _sentence(content or b"")
    return UntoldError(Reason.POD_CANNOT_TELL, f"answers {status}{': ' if said else ''}{said}")


def _sentence(content: bytes) -> str:
    """Return the sentence with which the image says why it cannot tell; pages of others are not repeated."""
    if len(content) > _LONGEST_ERROR_BYTES:
        return ""
    try:
        said = json.loads(content)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return one_line(said) if isinstance(said, str) else ""


def _sendable(key: str) -> str:
    if not (key and key.isascii() and key.isprintable()):
        raise UntoldError(Reason.KEY_MISSING, "needs a key, and the one of spec.apiKeySecretRef is not printable ASCII")
    return key


def _address(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise UntoldError(Reason.POD_UNREACHABLE, "has no address yet") from None
