"""The sockets under the hub's HTTP client: every wait has an end, and every byte is counted.

An HTTP client's timeouts hold for one wait each, so that a server that sends a byte now and then keeps its reader for
ever, in headers as in bodies. Here the end is that of the whole answer, looked at before each wait; a reader that is
given up from another thread ends within a second.
"""

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore2

_LOOK_SECONDS: Final = 0.5  # how long a single wait lasts, after which a cancelled read is noticed
_MAX_ADDRESSES: Final = 8  # of one host that are tried


class Deadline:
    """When something has to be over; any thread may bring that moment forward.

    Parameters
    ----------
    seconds
        From now.
    within
        Another deadline that counts as well.
    """

    def __init__(self, seconds: float, within: "Deadline | None" = None) -> None:
        self._at = time.monotonic() + seconds
        self._within = within
        self._cancelled = False

    def cancel(self) -> None:
        """Let it be over now."""
        self._cancelled = True

    def remaining_seconds(self) -> float:
        """Return how long there is still; 0 when it is over."""
        if self._cancelled:
            return 0
        outer = float("inf") if self._within is None else self._within.remaining_seconds()
        return max(0.0, min(self._at - time.monotonic(), outer))


class TooMuchError(Exception):
    """The server sends more than the answer may take on the wire."""


class Wire(httpcore2.NetworkBackend):
    """Connects for one reader, which makes one request after the other.

    Parameters
    ----------
    deadline
        When the reader has to be done.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._reader = deadline
        self._answer = deadline
        self._allowed_bytes = 0
        self._sockets = httpcore2.SyncBackend()

    def begin(self, seconds: float) -> None:
        """Give the next answer so much time, with all that comes before it."""
        self._answer = Deadline(seconds, within=self._reader)

    def expect(self, at_most_bytes: int) -> None:
        """Let so many bytes come from now on."""
        self._allowed_bytes = at_most_bytes

    def count(self, received_bytes: int) -> None:
        """Note what has come.

        Raises
        ------
        TooMuchError
            When that is more than is allowed.
        """
        self._allowed_bytes -= received_bytes
        if self._allowed_bytes < 0:
            raise TooMuchError

    def wait_seconds(self, late: type[httpcore2.TimeoutException]) -> float:
        """Return how long there is for the answer.

        Raises
        ------
        httpcore2.TimeoutException
            Of the class given, when its time is over.
        """
        remaining = self._answer.remaining_seconds()
        if remaining <= 0:
            raise late("the time for this answer is over")
        return remaining

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the answer's own time counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to one of a host's addresses, each of which gets its share of the time."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        addresses = [*dict.fromkeys(str(address[0]) for *_, address in found)][:_MAX_ADDRESSES]
        refused: Exception = httpcore2.ConnectError("the host has no address")
        for number, address in enumerate(addresses):
            share = self.wait_seconds(httpcore2.ConnectTimeout) / (len(addresses) - number)
            try:
                stream = self._sockets.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                refused = error
            else:
                return _Stream(stream, self)
        raise refused


class _Stream(httpcore2.NetworkStream):
    """One connection of a wire."""

    def __init__(self, stream: httpcore2.NetworkStream, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        while True:
            wait = min(self._wire.wait_seconds(httpcore2.ReadTimeout), _LOOK_SECONDS)
            try:
                received = self._stream.read(max_bytes, wait)
            except httpcore2.ReadTimeout:
                continue
            self._wire.count(len(received))
            return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._wire.wait_seconds(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        seconds = self._wire.wait_seconds(httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._wire)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
