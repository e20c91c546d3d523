"""One question to one pod: bounded in time and bytes, to that pod alone, and whatever comes back is a sentence."""

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from mistral_operator.api.conditions import Reason
from mistral_operator.controller.pod_reports import PodReports, UntoldError
from mistral_operator.status.pod_report import PodReport
from unit.pod_answers import answer, told
from unit.pod_server import PATH, PodServer, Reply

KEY: Final = "sk-NotARealKeyButUnmistakable"
TIMEOUT_SECONDS: Final = 1.0
HEAD: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n\r\n"
HUGE: Final = b" " * (256 * 1024) + json.dumps(answer()).encode()


def many(**fields: Any) -> Reply:
    """Return a report with something that is too much of it."""
    return Reply(json.dumps(answer() | fields).encode())


@pytest.fixture
def pod() -> Iterator[PodServer]:
    """Return a pod."""
    with PodServer() as server:
        yield server


def ask(port: int, address: str = "127.0.0.1", key: str | None = None) -> PodReport:
    """Ask a pod."""

    async def main() -> PodReport:
        async with PodReports(port, TIMEOUT_SECONDS) as reports:
            return await reports.ask(address, key)

    return asyncio.run(main())


def test_a_report(pod: PodServer) -> None:
    """It is read; without a key none is sent."""
    assert ask(pod.port) == told()
    assert [(question.path, question.authorization) for question in pod.questions] == [(PATH, None)]


def test_a_key(pod: PodServer) -> None:
    """It is sent, and one that the pod does not know is told as such."""
    pod.key = KEY
    assert ask(pod.port, key=KEY) == told()
    with pytest.raises(UntoldError, match="refuses the key") as caught:
        ask(pod.port, key="another")
    assert caught.value.reason is Reason.KEY_REFUSED


@pytest.mark.parametrize("key", ["", "two\nlines", "schlüssel", "nul\x00"])
def test_a_key_that_no_header_can_carry(pod: PodServer, key: str) -> None:
    """The pod is not asked, and the key is not repeated."""
    with pytest.raises(UntoldError, match="not printable ASCII") as caught:
        ask(pod.port, key=key)
    assert caught.value.reason is Reason.KEY_MISSING
    assert key == "" or key not in str(caught.value)
    assert pod.questions == []


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        pytest.param(Reply(b"Not Found", 404), Reason.IMAGE_CANNOT_TELL, "has no /v1/attention", id="a stock image"),
        pytest.param(Reply(b"{}", 401), Reason.KEY_REFUSED, "401", id="a key is wanted"),
        pytest.param(
            Reply(b'{"error": "the plugin is not active"}', 503), Reason.POD_CANNOT_TELL,
            "answers 503: the plugin is not active", id="it cannot tell",
        ),
        pytest.param(Reply(b"<html>gone</html>", 502), Reason.POD_CANNOT_TELL, "answers 502", id="a proxy's page"),
        pytest.param(Reply(b'{"error": {"a": 1}}', 500), Reason.POD_CANNOT_TELL, "answers 500", id="no sentence"),
        pytest.param(Reply(b"[" * 100_000, 500), Reason.POD_CANNOT_TELL, "answers 500", id="a deep error"),
        pytest.param(Reply(b"{}"), Reason.POD_CANNOT_TELL, "no report: ", id="wrong JSON"),
        pytest.param(Reply(b"hello"), Reason.POD_CANNOT_TELL, "no report: ", id="no JSON"),
        pytest.param(Reply(HUGE), Reason.POD_CANNOT_TELL, "more than 256 KiB", id="huge"),
        pytest.param(
            Reply(gzip.compress(HUGE), headers={"Content-Encoding": "gzip"}), Reason.POD_CANNOT_TELL, "no report: ",
            id="packed, which was not asked for",
        ),
        pytest.param(Reply(missing=10), Reason.POD_CANNOT_TELL, "does not answer in HTTP", id="torn"),
        pytest.param(Reply(raw=b"SSH-2.0-Open\r\n"), Reason.POD_CANNOT_TELL, "does not answer in HTTP", id="no HTTP"),
        pytest.param(Reply(raw=b""), Reason.POD_UNREACHABLE, "does not answer at 127.0.0.1", id="hangs up"),
        pytest.param(
            Reply(raw=b"", endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 999), Reason.POD_CANNOT_TELL,
            "does not answer in HTTP", id="endless interim answers",
        ),
        pytest.param(
            Reply(raw=HEAD, endless=b"a: b\r\n" * 999), Reason.POD_CANNOT_TELL, "does not answer in HTTP",
            id="endless headers",
        ),
        pytest.param(
            Reply(raw=HEAD + b"a: ", endless=b"b" * 9999), Reason.POD_CANNOT_TELL, "no head", id="an endless header",
        ),
        pytest.param(
            Reply(raw=HEAD + CHUNKED, endless=b"1\r\nx\r\n" * 999), Reason.POD_CANNOT_TELL, "more than 256 KiB",
            id="endless chunks of one byte",
        ),
        pytest.param(
            Reply(raw=HEAD + CHUNKED + b"1;", endless=b"e" * 9999), Reason.POD_CANNOT_TELL, "does not answer in HTTP",
            id="an endless extension of a chunk",
        ),
        pytest.param(
            Reply(raw=HEAD + b"\r\n", endless=b"x" * 9999), Reason.POD_CANNOT_TELL, "more than 256 KiB", id="endless",
        ),
        pytest.param(
            Reply(raw=HEAD + b"Content-Length: 99999999\r\n\r\n{"), Reason.POD_CANNOT_TELL, "more than 256 KiB",
            id="a length that is too much",
        ),
        pytest.param(many(kinds=[{"a": 1}] * 20_000), Reason.POD_CANNOT_TELL, "kinds: more than 64", id="many kinds"),
        pytest.param(
            many(backends={str(n): 1 for n in range(20_000)}), Reason.POD_CANNOT_TELL, "backends: more than 8",
            id="many backends",
        ),
        pytest.param(many(slidingWindow=10**4000), Reason.POD_CANNOT_TELL, "slidingWindow: ", id="a huge window"),
        pytest.param(
            Reply(b'{"slidingWindow": ' + b"9" * 200_000 + b"}"), Reason.POD_CANNOT_TELL, "no JSON",
            id="a number of many digits",
        ),
        pytest.param(many(slidingWindow=float("inf")), Reason.POD_CANNOT_TELL, "slidingWindow: ", id="infinite"),
        pytest.param(many(slidingWindow=float("nan")), Reason.POD_CANNOT_TELL, "slidingWindow: ", id="no number"),
        pytest.param(Reply(b'{"a":' * 40_000), Reason.POD_CANNOT_TELL, "no JSON", id="deep"),
        pytest.param(Reply(b"[]"), Reason.POD_CANNOT_TELL, "no JSON object", id="a list"),
        pytest.param(
            Reply(b'{"error": ["' + b"x" * 200_000 + b'"]}', 500), Reason.POD_CANNOT_TELL, "answers 500",
            id="a long error",
        ),
        pytest.param(Reply(hangs=True), Reason.POD_UNREACHABLE, "does not answer at 127.0.0.1", id="hangs"),
        pytest.param(Reply(trickles=True), Reason.POD_UNREACHABLE, "does not answer at 127.0.0.1", id="trickles"),
    ],
)  # fmt: skip
def test_no_report(pod: PodServer, reply: Reply, reason: Reason, words: str) -> None:
    """Each has its reason, at most a line, and takes no longer than the time limit."""
    pod.reply = reply
    begun = time.monotonic()
    with pytest.raises(UntoldError) as caught:
        ask(pod.port)
    assert time.monotonic() - begun < 5 * TIMEOUT_SECONDS
    assert caught.value.reason is reason
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(b"", None, id="until it hangs up"),
        pytest.param(b"content-LENGTH:  %d \r\n", None, id="its length is told"),
        pytest.param(b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n", id="in chunks"),
    ],
)
@pytest.mark.parametrize("stays", [False, True], ids=["closes", "keeps the connection"])
def test_ways_to_send_a_report(pod: PodServer, head: bytes, body: bytes | None, stays: bool) -> None:
    """Each that HTTP knows; one that says how long it is need not hang up."""
    content = json.dumps(answer()).encode()
    lines = HEAD + (head % len(content) if b"%" in head else head) + b"\r\n"
    raw = lines + (content if body is None else body % (len(content), content))
    pod.reply = Reply(raw=raw, stays=stays and b"%" in head)
    assert ask(pod.port) == told()


def test_a_redirect_is_not_followed(pod: PodServer) -> None:
    """Nobody is sent anywhere with the key."""
    with PodServer() as other:
        pod.reply = Reply(b"", 307, {"Location": f"http://127.0.0.1:{other.port}{PATH}"})
        with pytest.raises(UntoldError, match="answers 307") as caught:
            ask(pod.port, key=KEY)
        assert caught.value.reason is Reason.POD_CANNOT_TELL
        assert other.questions == []


def test_no_proxy_is_asked(pod: PodServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods are inside the cluster, whatever the environment says of the world outside."""
    with PodServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert ask(pod.port, key=KEY) == told()
        assert proxy.questions == []


@pytest.mark.parametrize("address", ["None", "", "example.com", "10.0.0.1/x", "127.0.0.1:1@example.com"])
def test_no_address(pod: PodServer, address: str) -> None:
    """Only an address is asked; nothing is looked up."""
    with pytest.raises(UntoldError, match="has no address yet") as caught:
        ask(pod.port, address)
    assert caught.value.reason is Reason.POD_UNREACHABLE
    assert pod.questions == []


def test_nobody_listens() -> None:
    """As with a policy that drops what comes; an address of the sixth version stands in brackets."""
    with PodServer() as gone:
        port = gone.port
    for address, shown in (("127.0.0.1", f"127.0.0.1:{port}"), ("::1", f"[::1]:{port}")):
        with pytest.raises(UntoldError) as caught:
            ask(port, address)
        assert caught.value.reason is Reason.POD_UNREACHABLE
        assert f"does not answer at {shown}" in str(caught.value)
