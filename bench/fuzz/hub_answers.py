"""A hub whose answers may be anything: status, headers, length, speed and body are drawn for each path."""

import gzip
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from bench.fuzz.values import Values
from devcluster.hub.server import MODELS

_COMMIT: Final = "a" * 40
_STATUSES: Final = (200,) * 12 + (206, 301, 302, 307, 400, 401, 403, 404, 404, 408, 410, 416, 418, 429, 500, 502, 503)
_WORDS: Final = (
    "RepoNotFound", "GatedRepo", "EntryNotFound", "RevisionNotFound", "\x7f\x85", "9" * 5_000, "-1", "1e999", "inf",
    "nan", "é",
    "\x1b[2J", "a" * 20_000, '"api";r=0;t=' + "9" * 4_500, "Wed, 21 Oct 2099 07:28:00 GMT", "gzip", "br", "deflate",
)  # fmt: skip
_HEADERS: Final = (
    "X-Error-Code", "X-Error-Message", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "X-Repo-Commit",
    "X-Linked-Size",
    "Content-Encoding", "Content-Range", "Location", "Content-Type", "Set-Cookie",
)  # fmt: skip
_LOCATIONS: Final = (
    "/",
    "//",
    "file:///etc/passwd",
    "http://127.0.0.1:1/x",
    "https://[::1",
    "\x00",
    "/x" * 3_000,
    "gopher://a",
)
_MOST_BYTES: Final = 32 << 20  # of an answer without an end, and of one that unpacks
_POLL_SECONDS: Final = 0.02
_TRICKLE_SECONDS: Final = 0.2
_TRICKLED: Final = 150


@contextmanager
def hostile_hub(seed: int) -> Iterator[str]:
    """Serve until the context is left; yield the URL."""
    stopping = threading.Event()
    server = _Server(("127.0.0.1", 0), _handler(seed, stopping))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:  # clients go, as they must
        pass


def _handler(seed: int, stopping: threading.Event) -> type[BaseHTTPRequestHandler]:
    configs = [file.read_bytes() for file in sorted(MODELS.glob("*/config.json"))]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def log_message(self, *_: object) -> None:  # one line for each request would drown the figures
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            source = random.Random(f"{seed} {self.path.partition('?')[0]}")  # noqa: S311 - repeatable, not secret
            try:
                self._answer(source, _body(source, self.path, configs))
            except OSError:
                self.close_connection = True

        def _answer(self, source: random.Random, body: bytes) -> None:
            status = source.choice(_STATUSES)
            self.send_response(status, source.choice(("OK", "", "a" * 5_000)))
            if status in (301, 302, 307):
                self.send_header("Location", source.choice((*_LOCATIONS, self.path + "/x")))
            elif source.random() < 0.3:
                for _ in range(source.choice((1, 1, 2, 150))):
                    self.send_header(source.choice(_HEADERS), source.choice(_WORDS))
            way = source.random()
            if way < 0.04:
                self._chunked(body, source.choice((_MOST_BYTES, 1 << 20)))
            elif way < 0.05:
                self._trickle()
            elif way < 0.08:
                packed = gzip.compress(b" " * _MOST_BYTES)
                self.send_header("Content-Encoding", "gzip")
                self._plain(packed, len(packed))
            else:
                lie = source.choice((0,) * 20 + (1, -1, 10**18))
                self._plain(body, max(0, len(body) + lie))

        def _plain(self, body: bytes, length: int) -> None:
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.close_connection = length != len(body)

        def _chunked(self, body: bytes, total: int) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            chunk = (body or b"x")[:65536].ljust(65536, b" ")
            for _ in range(total // len(chunk)):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.close_connection = True  # without an end: it was cut off

        def _trickle(self) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(_TRICKLED):
                self.wfile.write(b"1\r\n \r\n")
                if stopping.wait(_TRICKLE_SECONDS):
                    return

    return Handler


def _body(source: random.Random, path: str, configs: list[bytes]) -> bytes:
    values = Values(source)
    if source.random() < 0.05:
        return source.choice(
            (b"", b"<html>busy</html>", b"\xff\xfe", b"[" * 200_000, b"null", b"9" * 100_000, bytes(4096))
        )
    if path.startswith("/api/"):
        return json.dumps(values.mutated(_listing(values), source.choice((0.0, 0.03, 0.1)))).encode()
    content = json.loads(source.choice(configs))
    return json.dumps(values.mutated(content, source.choice((0.0, 0.02, 0.1)))).encode()


def _listing(values: Values) -> dict[str, Any]:
    source = values.source
    names = ["config.json", *source.sample(_FILES, source.randrange(len(_FILES)))]
    siblings = [{"rfilename": name, "size": source.choice((9, 700, 10**9, values.number()))} for name in names]
    parameters = {"BF16": source.choice((10**9, values.number())), values.text(): 1}
    return {
        "sha": _COMMIT,
        "siblings": siblings,
        "gated": source.choice((False, "manual")),
        "safetensors": {"parameters": parameters},
    }


_FILES: Final = (
    "params.json", "model.safetensors", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "consolidated.safetensors", "tekken.json", "tokenizer.json", "pytorch_model.bin",
    "model-1-of-" + "9" * 5_000 + ".safetensors", "🚀\ud800.gguf",
)  # fmt: skip
