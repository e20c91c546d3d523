"""What reading gives, costs and says when the hub, or whoever stands in its place, means harm: real sockets."""

import gzip
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.raw_servers import RawServer, answer, whole
from mistral_operator.hub import HubError, HubReason
from mistral_operator.hub.errors import HubUnreachableError
from mistral_operator.hub.remote import HubReader
from mistral_operator.hub.wire import Deadline

MODEL = "acme/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = b'{"model_type": "mistral"}'
LISTING = json.dumps({"sha": COMMIT, "siblings": [{"rfilename": "config.json", "size": len(CONFIG)}]}).encode()
CHUNKED = "Transfer-Encoding: chunked"
TOKEN = "hf_NotARealTokenButUnmistakable"  # noqa: S105 - no secret: it is what no other host may get
SECONDS = 1.0  # that an answer may take where it is to take too long
PATIENT_SECONDS = 30.0

Send = Callable[[RawServer, socket.socket], None]


def repeated(first: bytes, again: bytes, pause_seconds: float = 0) -> Send:
    """Return what sends a beginning, and then the same for ever."""

    def send(server: RawServer, connection: socket.socket) -> None:
        server.send(connection, first)
        while not server.over.wait(pause_seconds) if pause_seconds else not server.over.is_set():
            server.send(connection, again)

    return send


def once(content: bytes, *, then_close: bool = False) -> Send:
    """Return what sends some bytes."""

    def send(server: RawServer, connection: socket.socket) -> None:
        server.send(connection, content)
        if then_close:
            connection.shutdown(socket.SHUT_RDWR)

    return send


def numbered(first: bytes, line: str) -> Send:
    """Return what sends a beginning, and then lines without end, each with a number of its own."""

    def send(server: RawServer, connection: socket.socket) -> None:
        server.send(connection, first)
        for number in itertools.count():
            server.send(connection, (line % number).encode())

    return send


def reading(
    send: Send, tmp_path: Path, *, path: str = "", seconds: float = PATIENT_SECONDS
) -> tuple[HubError | None, RawServer]:
    """Read a model from a hub that answers like this where the path has these words, and as it should elsewhere."""

    def handle(connection: socket.socket, target: str) -> None:
        if path in target:
            send(server, connection)
        else:
            server.send(connection, whole(LISTING if "/revision/" in target else CONFIG))

    server = RawServer(handle)
    with server.running():
        begun = time.monotonic()
        try:
            HubReader(server.url, token=False, cache_dir=tmp_path, timeout_seconds=seconds).read(MODEL)
            error = None
        except HubError as raised:
            error = raised
        assert time.monotonic() - begun < seconds + 5
    return error, server


BIG = b"%x\r\n%s\r\n" % (65536, b"x" * 65536)
ENDLESS = {
    **{f"a body of {status}": repeated(answer(CHUNKED, status=status), BIG) for status in ("403 x", "404 x", "503 x")},
    "a body of a redirect": repeated(answer(CHUNKED, "Location: /again", status="302 x"), BIG),
    "a body of no length": repeated(answer("Connection: close", status="500 x"), b"x" * 65536),
    "a body of an impossible length": repeated(answer(f"Content-Length: {10**15}", status="500 x"), b"x" * 65536),
    "a listing": repeated(answer(CHUNKED), b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "headers": numbered(b"HTTP/1.1 200 OK\r\n", "X-%d: y\r\n"),
    "one header": repeated(b"HTTP/1.1 200 OK\r\nX-A: ", b"y" * 65536),
    "a header of a megabyte": once(answer("X-A: " + "y" * (1 << 20), "Content-Length: 0")),
    "thousands of headers": once(answer(*(f"X-{number}: y" for number in range(5000)), "Content-Length: 0")),
    "a status line": repeated(b"HTTP/1.1 200 ", b"O" * 65536),
    "informational answers": repeated(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 500),
    "continues": repeated(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "tiny chunks": repeated(answer(CHUNKED), b"1\r\n \r\n" * 5000),
    "a chunk's extension": repeated(answer(CHUNKED) + b"1;x=", b"y" * 65536),
    "trailers": numbered(answer(CHUNKED) + b"%x\r\n%s\r\n0\r\n" % (len(LISTING), LISTING), "X-%d: y\r\n"),
    "empty lines": repeated(b"", b"\r\n" * 10000),
    "noise": repeated(b"", b"\x00\x01\x02" * 20000),
}


@pytest.mark.parametrize("send", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_never_ends_is_left(send: Send, tmp_path: Path) -> None:
    """Whatever a server goes on sending, a few megabytes at most leave it, most of which wait in the kernel."""
    error, server = reading(send, tmp_path)
    assert isinstance(error, HubError)
    assert error.reason is not HubReason.INTERNAL_ERROR
    assert server.sent_bytes < 24 << 20


TRICKLING = {
    "a body": repeated(answer(CHUNKED), b"1\r\n \r\n", 0.05),
    "a body of a length": repeated(answer("Content-Length: 999999"), b" ", 0.05),
    "a body of an error": repeated(answer(CHUNKED, status="502 x"), b"1\r\n \r\n", 0.05),
    "headers": repeated(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 0.05),
    "the bytes of a header": repeated(b"HTTP/1.1 200 OK\r\nX-A: ", b"y", 0.05),
    "the status": repeated(b"HTTP/1.1 200 ", b"O", 0.05),
    "informational answers": repeated(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.05),
    "a chunk's length": repeated(answer(CHUNKED), b"0", 0.05),
    "trailers": repeated(answer(CHUNKED) + b"0\r\n", b"X-A: b\r\n", 0.05),
    "nothing": repeated(b"", b"", 0.05),
}


@pytest.mark.parametrize("send", TRICKLING.values(), ids=TRICKLING.keys())
@pytest.mark.parametrize("path", ["/revision/", "/resolve/"])
def test_what_trickles_has_one_time_for_all(send: Send, path: str, tmp_path: Path) -> None:
    """A byte now and then is no answer: the time is that of the whole, of listings as of files."""
    error, _ = reading(send, tmp_path, path=path, seconds=SECONDS)
    assert isinstance(error, HubError)
    assert (error.reason, error.transient) == (HubReason.HUB_UNREACHABLE, True)


def test_redirects_take_their_time_together_with_the_answer(tmp_path: Path) -> None:
    """A server that sends its readers on, slowly, does not get a time for each step."""

    def send(server: RawServer, connection: socket.socket) -> None:
        server.over.wait(0.3)
        server.send(connection, answer("Location: /next", "Content-Length: 0", status="307 x"))

    error, server = reading(send, tmp_path, seconds=SECONDS)
    assert isinstance(error, HubUnreachableError)
    assert len(server.requests) <= 4


UNEXPECTED = {
    "to a file": once(answer("Location: file:///etc/passwd", "Content-Length: 0", status="302 x")),
    "to another protocol": once(answer("Location: ftp://127.0.0.1/x", "Content-Length: 0", status="301 x")),
    "to no address": once(answer("Location: http://[::1", "Content-Length: 0", status="308 x")),
    "to a script": once(answer("Location: javascript:alert(1)", "Content-Length: 0", status="303 x")),
    "to a port that is none": once(answer("Location: http://127.0.0.1:99999/", "Content-Length: 0", status="302 x")),
    "to nowhere": once(answer("Content-Length: 0", status="302 x")),
    "not modified": once(answer("Content-Length: 0", status="304 x")),
    "no content": once(answer(status="204 x")),
    "a choice": once(whole(b"{}", status="300 x")),
    "compressed": once(whole(gzip.compress(LISTING), "Content-Encoding: gzip")),
    "a bomb": once(whole(gzip.compress(b" " * (1 << 26)), "Content-Encoding: gzip")),
    "brotli": once(whole(LISTING, "Content-Encoding: br")),
    "a page": once(whole(b"<html>Please sign in</html>", "Content-Type: text/html")),
    "a listing that ends too early": once(whole(LISTING[:-5])),
    "a listing of deep lists": once(whole(b'{"sha":' + b"[" * 100_000)),
    "a listing of objects": once(whole(b'{"x":[' + b"{}," * 600_000 + b"{}]}")),
    "a listing with a file of everything": once(whole(b'{"siblings":[{"rfilename":"%s"}]}' % (b"x" * 99_999))),
}


@pytest.mark.parametrize("send", UNEXPECTED.values(), ids=UNEXPECTED.keys())
def test_what_no_hub_answers_is_told_as_such(send: Send, tmp_path: Path) -> None:
    """It is asked again seldom, since only a person can change it."""
    error, _ = reading(send, tmp_path)
    assert isinstance(error, HubError)
    assert (error.reason, error.transient) == (HubReason.UNEXPECTED_ANSWER, False)


LOST = {
    "a listing": ("/revision/", answer(f"Content-Length: {len(LISTING)}", body=LISTING[:20])),
    "a listing without a length": ("/revision/", answer(body=LISTING[:20], version="HTTP/1.0")),
    "a chunked listing": ("/revision/", answer(CHUNKED, body=b"%x\r\n%s\r\n" % (20, LISTING[:20]))),
    "a file": ("/resolve/", answer(f"Content-Length: {len(CONFIG)}", body=CONFIG[:20])),
    "a file without a length": ("/resolve/", answer(body=CONFIG[:20], version="HTTP/1.0")),
    "a file whose length agrees": ("/resolve/", whole(CONFIG[:20])),
    "a file of nothing": ("/resolve/", whole(b"")),
    "headers": ("/resolve/", b"HTTP/1.1 200 OK\r\nContent-"),
    "everything": ("/resolve/", b""),
    "a file of two lengths": ("/resolve/", answer("Content-Length: 2", "Content-Length: 3", body=CONFIG)),
    "a file of a negative length": ("/resolve/", answer("Content-Length: -1", body=CONFIG)),
    "a file of a length that is none": ("/resolve/", answer("Content-Length: " + "9" * 5000, body=CONFIG)),
    "a chunk of a length that is none": ("/resolve/", answer(CHUNKED, body=b"ffffffffffffffffffffff\r\n" + CONFIG)),
    "no HTTP": ("/resolve/", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
}


@pytest.mark.parametrize(("path", "content"), LOST.values(), ids=LOST.keys())
def test_what_is_cut_short_may_be_whole_next_time(path: str, content: bytes, tmp_path: Path) -> None:
    """A connection that is lost is the network's, not the model's: it is asked again soon."""
    error, _ = reading(once(content, then_close=True), tmp_path, path=path)
    assert isinstance(error, HubError)
    assert (error.reason, error.transient) == (HubReason.HUB_UNREACHABLE, True)


WHOLE = {
    "without a length": answer(body=LISTING, version="HTTP/1.0"),
    "in chunks": answer(CHUNKED, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(LISTING), LISTING)),
    "after hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + whole(LISTING),
    "with an encoding of none": whole(LISTING, "Content-Encoding: identity"),
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE.keys())
def test_what_is_odd_and_whole_is_read(content: bytes, tmp_path: Path) -> None:
    """HTTP allows for it, and hubs and their mirrors do it."""
    send = once(content, then_close=content.startswith(b"HTTP/1.0"))
    assert reading(send, tmp_path, path="/revision/")[0] is None


def test_an_answer_longer_than_it_says(tmp_path: Path) -> None:
    """What follows it may pass for the next answer, which is none then; or it comes too late, and is lost."""
    error, _ = reading(once(whole(LISTING) + b"and more"), tmp_path, path="/revision/")
    assert error is None or error.reason is HubReason.HUB_UNREACHABLE


def test_a_token_goes_to_no_other_host(tmp_path: Path) -> None:
    """A redirect within a hub keeps it, one to where files are stored does not, and none brings it back."""

    def store(connection: socket.socket, _: str) -> None:
        back = f"Location: {hub.url}/resolve/back"
        stored.send(connection, answer(back, "Content-Length: 0", status="302 x"))

    def handle(connection: socket.socket, target: str) -> None:
        if "/revision/" in target:
            hub.send(connection, answer("Location: /renamed", "Content-Length: 0", status="307 x"))
        elif target == "/renamed":
            hub.send(connection, whole(LISTING))
        elif target.endswith("back"):
            hub.send(connection, whole(CONFIG))
        else:
            hub.send(connection, answer(f"Location: {stored.url}/cdn", "Content-Length: 0", status="302 x"))

    hub, stored = RawServer(handle), RawServer(store)
    with hub.running(), stored.running():
        facts = HubReader(hub.url, TOKEN, cache_dir=tmp_path, timeout_seconds=5).read(MODEL)
    assert facts.config == json.loads(CONFIG)
    told = {request.split(b" ")[1].rpartition(b"/")[2]: TOKEN.encode() in request for request in hub.requests}
    assert told == {b"main?blobs=true": True, b"renamed": True, b"config.json": True, b"back": False}
    assert not any(TOKEN.encode() in request for request in stored.requests)


def test_the_words_of_another_host_are_not_passed_on(tmp_path: Path) -> None:
    """A redirect must not make a status show what some address inside the cluster says."""
    inner = RawServer(lambda connection, _: inner.send(connection, whole(b"inner secret", status="403 x")))
    with inner.running():
        error, _ = reading(once(answer(f"Location: {inner.url}/", "Content-Length: 0", status="302 x")), tmp_path)
    assert isinstance(error, HubError)
    assert error.reason is HubReason.FORBIDDEN
    assert "inner secret" not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": "no \x1b[31m\u202e\x07 \ud800 way"}).encode(),
        b"plain \x1b]0;title\x07 words \xc2\x9b31m",
        b"[" * 60_000,
        b'{"error": ' + b"[" * 60_000,
        b'{"error": ' + b"9" * 60_000 + b"}",
        json.dumps({"errors": [{"message": "x" * 60_000}] * 1}).encode(),
        b"\xff\xfe",
    ],
)
def test_the_words_of_a_refusal_are_one_plain_line(body: bytes, tmp_path: Path) -> None:
    """They stand in a status and on a terminal."""
    error, _ = reading(once(whole(body, "Content-Type: application/json", status="403 x")), tmp_path)
    assert isinstance(error, HubError)
    assert error.reason is HubReason.FORBIDDEN
    assert error.message.isprintable()
    assert len(error.message) < 500
    error.message.encode()


def test_a_read_that_is_given_up_ends(tmp_path: Path) -> None:
    """Another thread may end it at any moment, whatever it waits for."""
    waiting = threading.Event()

    def handle(connection: socket.socket, target: str) -> None:
        del connection, target
        waiting.set()
        server.over.wait()

    server = RawServer(handle)
    deadline = Deadline(600)
    errors: list[HubError] = []

    def read() -> None:
        try:
            HubReader(server.url, token=False, cache_dir=tmp_path, timeout_seconds=600).read(MODEL, deadline=deadline)
        except HubError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    with server.running():
        thread.start()
        assert waiting.wait(10)
        begun = time.monotonic()
        deadline.cancel()
        thread.join(10)
        assert time.monotonic() - begun < 5
    assert [error.reason for error in errors] == [HubReason.HUB_UNREACHABLE]
