"""HTTP to a hub, bounded in everything a server decides: time, bytes, headers, redirects. Nothing is tried twice.

The one way to read from a hub, for what is read into memory as for what is written to disk. Each bound holds for
answers of every status, and the time for the whole answer from the connection to its last byte. Redirects are
followed by hand: their bodies stay unread, a token goes to no other host, and nothing leads from https to http.
Bodies are asked for as they are, since a small compressed one can become any size.

The client is ``httpcore2``, on which ``huggingface_hub``'s own stands: it follows, decodes and repeats nothing by
itself, and lets its sockets be wrapped (:mod:`mistral_operator.hub.wire`). Proxies and certificates are those of the
environment, as ``huggingface_hub`` takes them.
"""

import base64
import os
import ssl
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies, proxy_bypass

import httpcore2

from mistral_operator.hub.wire import Deadline, TooMuchError, Wire

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    # huggingface_hub's promise to libraries built on it: whichever HTTP client this release of it uses
    from huggingface_hub.utils import httpx

MAX_ERROR_BYTES: Final = 64 << 10
"""What is read of the body of an answer that is an error."""
_MAX_REDIRECTS: Final = 5  # a hub needs two: to a renamed repository, and to where files are stored
_MAX_HEADERS: Final = 200
_MAX_HEADERS_BYTES: Final = 64 << 10
_READ_BYTES: Final = 64 << 10  # what the client takes from a socket at a time
_MAX_TINY_CHUNKS: Final = 4096
_TINY_BYTES: Final = 64
_PROXIES: Final = ("http", "https", "socks5", "socks5h")


class HttpFailed(Exception):
    """No whole answer came, and the next one may be better; ``str()`` continues "it could not be read: "."""


class HttpUnexpected(Exception):
    """The answer is none that a hub gives."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to come.

    Attributes
    ----------
    url
        Where it came from after all redirects.
    headers
        By name in lower case; of a name that comes more than once, the last.
    sent
        The headers of the last request.
    same_origin
        Whether it comes from where the first request went.
    delimited
        Whether it says where its body ends, so that a lost connection shows.
    chunks
        The body, in pieces of at most 64 KiB.
    """

    status: int
    url: "httpx.URL"
    headers: Mapping[str, str]
    sent: Mapping[str, str]
    same_origin: bool
    delimited: bool
    chunks: Iterator[bytes]

    def read(self, limit_bytes: int) -> bytes:
        """Return the first bytes of the body."""
        content = bytearray()
        for chunk in self.chunks:
            content += chunk
            if len(content) >= limit_bytes:
                break
        return bytes(content[:limit_bytes])


class BoundedHttp:
    """One reader's way to one hub: connections live as long as it does. Not for several threads at once.

    Parameters
    ----------
    deadline
        When all has to be read.
    answer_seconds
        How long each answer may take.

    Raises
    ------
    OSError, ValueError
        When the environment's certificates cannot be loaded.
    """

    def __init__(self, deadline: Deadline, answer_seconds: float) -> None:
        self._wire = Wire(deadline)
        self._answer_seconds = answer_seconds
        self._ssl_context = _ssl_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        self._pools: dict[str | None, httpcore2.ConnectionPool] = {}  # by the proxy's URL

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    @contextmanager
    def request(
        self, method: str, url: str, headers: Mapping[str, str], *, limit_bytes: int, follow: bool = True
    ) -> Generator[Answer]:
        """Ask, and give the answer within the block, whatever its status.

        Parameters
        ----------
        limit_bytes
            How much of the body may be read.
        follow
            Whether redirects are followed.

        Raises
        ------
        HttpFailed, HttpUnexpected
            Also while the body is read.
        httpx.InvalidURL
            When ``url`` is none.
        ValueError
            When the environment names a proxy that is none.
        """
        first = target = httpx.URL(url)
        sent = _with_credentials(first, headers)
        self._wire.begin(self._answer_seconds)
        for _ in range(_MAX_REDIRECTS + 1):
            with _errors(), self._ask(method, target, sent) as response:
                said = _checked(response.headers)
                location = said.get("location") if response.status in (301, 302, 303, 307, 308) and follow else None
                if location is None:
                    self._wire.expect(limit_bytes + limit_bytes // 4 + _MAX_HEADERS_BYTES + _READ_BYTES)
                    yield _answer(response, said, target, sent, same_origin=_same_origin(first, target))
                    return
                following = _redirected(target, location)
            if not _same_origin(target, following) and not _upgrades(target, following):
                sent = {name: value for name, value in sent.items() if name != "authorization"}
            target = following
        raise HttpFailed(f"it redirects more than {_MAX_REDIRECTS} times")

    @contextmanager
    def _ask(self, method: str, url: "httpx.URL", headers: Mapping[str, str]) -> Generator[httpcore2.Response]:
        self._wire.expect(_MAX_HEADERS_BYTES + _READ_BYTES)
        address = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        with self._pool(url).stream(method, address, headers=list(headers.items())) as response:
            yield response

    def _pool(self, url: "httpx.URL") -> httpcore2.ConnectionPool:
        proxy = _proxy_of(url)
        if proxy not in self._pools:
            self._pools[proxy] = httpcore2.ConnectionPool(
                self._ssl_context, None if proxy is None else _proxy(proxy), network_backend=self._wire
            )
        return self._pools[proxy]


@contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except TooMuchError:
        raise HttpUnexpected("its answer is larger than it may be") from None
    except httpcore2.TimeoutException:
        raise HttpFailed("it did not answer in time") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
        raise HttpFailed(str(error).rstrip(".") or type(error).__name__) from error


def _checked(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name, whose number and length are bounded."""
    if len(headers) > _MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > _MAX_HEADERS_BYTES:
        raise HttpUnexpected("its answer has more headers than any hub's")
    said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    if said.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HttpUnexpected("it compresses its answer, although it was asked not to")
    return said


def _answer(
    response: httpcore2.Response,
    said: Mapping[str, str],
    url: "httpx.URL",
    sent: Mapping[str, str],
    *,
    same_origin: bool,
) -> Answer:
    return Answer(
        status=response.status,
        url=url,
        headers=said,
        sent=sent,
        same_origin=same_origin,
        delimited="content-length" in said or "transfer-encoding" in said,
        chunks=_chunks(response),
    )


def _chunks(response: httpcore2.Response) -> Iterator[bytes]:
    tiny = 0
    with _errors():
        for chunk in response.iter_stream():
            # each costs as much work as one of 64 KiB
            tiny += len(chunk) < _TINY_BYTES
            if tiny > _MAX_TINY_CHUNKS:
                raise HttpUnexpected("it sends its answer in thousands of tiny chunks")
            yield chunk


def _redirected(url: "httpx.URL", location: str) -> "httpx.URL":
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise HttpUnexpected("it redirects to what is no address") from None
    if target.scheme not in ("http", "https") or not target.host or (target.port or 0) >= 1 << 16:
        raise HttpUnexpected("it redirects to what is no address of a web server")
    if url.scheme == "https" and target.scheme == "http":
        raise HttpUnexpected("it redirects from https to http")
    return target.copy_with(username=None, password=None, fragment=None)


def _origin(url: "httpx.URL") -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _same_origin(url: "httpx.URL", other: "httpx.URL") -> bool:
    return _origin(url) == _origin(other)


def _upgrades(url: "httpx.URL", other: "httpx.URL") -> bool:
    """Tell whether a redirect leads from a host's http to its https, at the ports of both."""
    return url.host == other.host and (_origin(url)[::2], _origin(other)[::2]) == (("http", 80), ("https", 443))


def _with_credentials(url: "httpx.URL", headers: Mapping[str, str]) -> dict[str, str]:
    """Return what is sent: user and password of an endpoint in a token's place, as the hub's own client has it."""
    sent = {"accept": "*/*", "accept-encoding": "identity", "x-amzn-trace-id": str(uuid.uuid4()), **headers}
    if url.username or url.password:
        pair = f"{url.username}:{url.password}".encode()
        sent["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return sent


@lru_cache(maxsize=1)
def _ssl_context(certificates: str | None, folder: str | None) -> ssl.SSLContext:  # noqa: ARG001 - read from there
    """Load the certificates that the environment names, or certifi's: a tenth of a second, so once."""
    return httpx.create_ssl_context()


def _proxy_of(url: "httpx.URL") -> str | None:
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _proxy(url: str) -> httpcore2.Proxy:
    parsed = httpx.URL(url)
    if parsed.scheme not in _PROXIES or not parsed.host:
        raise ValueError(f"the proxy's scheme {parsed.scheme!r} is none of {', '.join(_PROXIES)}")
    address = httpcore2.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=b"/")
    has_user = parsed.username or parsed.password
    return httpcore2.Proxy(address, auth=(parsed.username, parsed.password) if has_user else None)
