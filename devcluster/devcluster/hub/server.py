"""The hub as an HTTP server in a background thread."""

import logging
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devcluster.hub.answers import Answer
from devcluster.hub.faults import Switchboard
from devcluster.hub.repository import MAIN, read_repositories
from devcluster.hub.routes import Request, Routes

MODELS = Path(__file__).parent / "models"
"""The configs of real models that come with this package."""

# How long the accept loop takes to notice a shutdown; the default of half a second adds up over many tests.
_POLL_SECONDS = 0.02

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """One request and what was answered, for tests that ask how little was downloaded.

    Parameters
    ----------
    method
        HTTP method.
    path
        Path and query as sent.
    ranged
        Whether the request had a ``Range`` header.
    token
        Bearer token, or None.
    status
        HTTP status of the answer.
    body_bytes
        Length of the body sent back; 0 for HEAD.
    """

    method: str
    path: str
    ranged: bool
    token: str | None
    status: int
    body_bytes: int


class HubServer:
    """A hub on a local port: entering the context starts it, leaving it ends every connection and thread.

    Parameters
    ----------
    models
        Folder of repositories, see `devcluster.hub.repository`; None for `MODELS`.
    host
        Address to listen on.
    port
        TCP port; 0 picks a free one.

    Attributes
    ----------
    faults : Switchboard
        What is wrong at the moment; change it at any time, from any thread.

    Raises
    ------
    ValueError
        When the folder cannot be understood; see `devcluster.hub.repository.read_repositories`.
    OSError
        When the folder cannot be read, or the address cannot be listened on.
    """

    def __init__(self, models: Path | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self.faults = Switchboard()
        self._repositories = read_repositories(MODELS if models is None else models)
        self._exchanges: list[Exchange] = []
        self._server = _Server((host, port), Routes(self._repositories, self.faults), self._exchanges)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="hub", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address for ``HF_ENDPOINT``; the loopback one when the server listens on all addresses."""
        host = "127.0.0.1" if self._host == "0.0.0.0" else self._host  # noqa: S104  compared, not bound
        return f"http://{host}:{self._server.server_port}"

    @property
    def repo_ids(self) -> Sequence[str]:
        """What is served, sorted."""
        return tuple(self._repositories)

    @property
    def requests(self) -> list[Exchange]:
        """What was asked so far and answered, in order; a copy, without requests to the switchboard."""
        return list(self._exchanges)

    def commit(self, repo_id: str, revision: str = MAIN) -> str:
        """Return the 40 hex digits of the commit that a branch points to.

        They depend on nothing but the contents, so they are the same in every run.

        Raises
        ------
        KeyError
            When there is no such repository or revision.
        """
        return self._repositories[repo_id].revision(revision).commit

    def move(self, repo_id: str, branch: str, token: str | None = None) -> None:
        """Let main of a repository move to where another branch is, as those see it who ask with a token, or with none.

        Others see it where it was, so that many may share a hub.
        """
        self._server.routes.move(repo_id, branch, token)


class _Server(ThreadingHTTPServer):
    """Keeps track of connections, because idle keep-alive ones would otherwise outlive the server."""

    # Threads are joined by server_close, which the base class does only for those that are no daemons.
    daemon_threads = False

    def __init__(self, address: tuple[str, int], routes: Routes, exchanges: list[Exchange]) -> None:
        self.routes = routes
        self.exchanges = exchanges
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def stop(self) -> None:
        """End the accept loop, all connections and their threads."""
        self.stopping.set()
        self.shutdown()
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        # A client that has read enough of a checkpoint hangs up; that is no error of the server.
        if not isinstance(sys.exception(), ConnectionError):
            _logger.exception("request from %s failed", client_address)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        _logger.debug("connection was already closed by its client")


class _Handler(BaseHTTPRequestHandler):
    """Translates between HTTP and `Routes`."""

    server: _Server
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes: Nagle's algorithm would hold the second until the client's ACK.
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        length = int(self.headers.get("Content-Length", 0))
        request = Request(
            method=self.command,
            target=self.path,
            token=credentials if scheme.lower() == "bearer" and credentials else None,
            byte_range=self.headers.get("Range"),
            body=self.rfile.read(length),
        )
        answer = self.server.routes.answer(request)
        if not request.administrative:
            # Before the answer is sent: once a client has it, the record of it exists.
            self.server.exchanges.append(
                Exchange(
                    request.method,
                    request.target,
                    request.byte_range is not None,
                    request.token,
                    answer.status,
                    0 if request.method == "HEAD" else answer.length,
                )
            )
        if answer.delay and self.server.stopping.wait(answer.delay):
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(answer.length))
        self.end_headers()
        if self.command != "HEAD":
            for piece in answer.body:
                self.wfile.write(piece)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815  names that the base class looks up

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's signature
        _logger.info("%s %s", self.address_string(), format % args)
