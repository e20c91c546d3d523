"""A pod's API server, as far as it tells of its attention: over real HTTP, with every fault that one may have."""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from unit.pod_answers import answer

PATH: Final = "/v1/attention"


class Question(NamedTuple):
    """What a pod was asked."""

    path: str
    authorization: str | None
    headers: Mapping[str, str]


@dataclass
class Reply:
    """What it answers."""

    body: bytes = field(default_factory=lambda: json.dumps(answer()).encode())
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0  # bytes that are promised and do not come
    hangs: bool = False  # nothing comes after the question
    trickles: bool = False  # the head comes, and then a byte at a time for ever
    raw: bytes | None = None  # this, whatever it is
    endless: bytes = b""  # after that, again and again
    stays: bool = False  # and does not hang up


def telling(*kinds: dict[str, Any], **fields: Any) -> Reply:
    """Return a reply that tells of layers."""
    return Reply(json.dumps(answer(*kinds, **fields)).encode())


class PodServer:
    """Answers until its context ends; ``reply`` may be changed at any time.

    Parameters
    ----------
    key
        The API key without which it answers 401.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, key: str | None = None) -> None:
        self.reply = Reply()
        self.turns: Iterator[Reply] | None = None  # or one after the other
        self.questions: list[Question] = []
        self.key = key
        self.address = host
        self._ends = threading.Event()
        self._server = _Server((host, port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one question."""
        authorization = handler.headers.get("Authorization")
        self.questions.append(Question(handler.path, authorization, dict(handler.headers.items())))
        refused = self.key is not None and authorization != f"Bearer {self.key}"
        reply = self.reply if self.turns is None else next(self.turns)
        if refused:
            reply = Reply(b'{"error": "Unauthorized"}', 401)
        if reply.hangs:
            self._ends.wait()
            return
        if reply.raw is not None:
            handler.wfile.write(reply.raw)
            while reply.endless and not self._ends.is_set():
                handler.wfile.write(reply.endless)
            if reply.stays:
                self._ends.wait()
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body) + reply.missing))
        handler.end_headers()
        if not reply.trickles:
            handler.wfile.write(reply.body)
            return
        for byte in reply.body:
            if self._ends.wait(0.05):
                return
            handler.wfile.write(bytes([byte]))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever asked has gone away, which is what some tests are about."""


def _handler(server: PodServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.take(self)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
