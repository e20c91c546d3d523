"""Servers that say exactly these bytes: what no HTTP library would send."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Handler = Callable[[socket.socket, str], None]


def answer(*headers: str, body: bytes = b"", status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    """Return an answer of these header lines, without any that are not given."""
    return "\r\n".join([f"{version} {status}", *headers, "", ""]).encode("latin-1") + body


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer that says how long it is."""
    return answer(f"Content-Length: {len(body)}", *headers, body=body, status=status)


class RawServer:
    """A server on a local port that hands each connection to a handler, in a thread of its own.

    A handler gets the connection and the target of its first request; what it sends into a connection that the
    client has closed is lost.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.over = threading.Event()
        self.requests: list[bytes] = []
        self.sent_bytes = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator["RawServer"]:
        """Serve within the block."""
        accepting = threading.Thread(target=self._accept)
        accepting.start()
        try:
            yield self
        finally:
            self.over.set()
            self._listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            self._listening.close()
            with self._lock:
                for connection in self._open:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join()

    def send(self, connection: socket.socket, content: bytes) -> None:
        """Send bytes, and count them."""
        connection.sendall(content)
        self.sent_bytes += len(content)

    def opened(self, connection: socket.socket) -> socket.socket:
        """Return what requests come through."""
        return connection

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        with contextlib.suppress(OSError), connection, self.opened(connection) as opened:
            while request := self._request(opened):
                self.requests.append(request)
                self._handler(opened, request.split(b" ", 2)[1].decode("latin-1"))
        with self._lock:
            self._open.discard(connection)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            received = connection.recv(1)
            if not received:
                return b""
            request += received
        return request
