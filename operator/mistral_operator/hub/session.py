"""Plain requests to one hub about one model: which addresses, with which token, and what its errors mean.

Errors are ``huggingface_hub``'s own, made of the answer's status, its headers and the beginning of its body. Its
``hf_hub_download`` and ``HfApi`` are not used. The former answers a 503 with seven requests over 23 s, and sleeps
through a 429. Both may first ask ``HF_ENDPOINT`` for ``/api/agent-harnesses``, to fill in their user agent, whichever
hub they were given. Waiting and retrying is the caller's business, who knows what else there is to do.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, get_token, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError, OIDCError

from mistral_operator.hub.bounded_http import MAX_ERROR_BYTES, Answer, BoundedHttp, HttpFailed, HttpUnexpected
from mistral_operator.hub.errors import BadTokenError, InvalidEndpointError
from mistral_operator.hub.json_stream import Bounds, JsonInvalid, JsonStream
from mistral_operator.hub.listing import MAX_LISTING_BYTES

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    from huggingface_hub.utils import httpx  # as in bounded_http

_USER_AGENT: Final = "mistral-operator"
# what huggingface_hub looks at in an error, and what this package does; the rest of a server's words stays out of logs
_TOLD: Final = ("content-type", "ratelimit", "ratelimit-policy", "retry-after", "x-error-code", "x-error-message")
_ERROR_BOUNDS: Final = Bounds(value_bytes=MAX_ERROR_BYTES, containers=1000)


@dataclass(frozen=True, slots=True)
class HubSession:
    """One hub, asked about one model with one token."""

    endpoint: str = field(repr=False)  # may hold a password
    model: str
    _http: BoundedHttp = field(repr=False)
    _headers: Mapping[str, str] = field(repr=False)  # holds the token

    @classmethod
    def open(cls, endpoint: str, model: str, token: str | bool | None, http: BoundedHttp) -> "HubSession":
        """Settle what is asked and which token is sent; asks nothing.

        Raises
        ------
        InvalidEndpointError
            When the endpoint is no address of a web server.
        BadTokenError
            When the token cannot be read, or cannot be sent in a header.
        """
        headers = {"user-agent": _USER_AGENT}
        chosen = _token(model, token)
        if chosen is not None:
            headers["authorization"] = f"Bearer {chosen}"
        return cls(endpoint, model, http, headers)

    @contextmanager
    def listing(self, revision: str) -> Generator[Answer]:
        """Give, within the block, what the hub says about the model at a revision, sizes of files included, as JSON."""
        url = f"{self.endpoint}/api/models/{self.model}/revision/{quote(revision, safe='')}?blobs=true"
        with self._get(url, {}, MAX_LISTING_BYTES) as answer:
            yield answer

    def check_access(self, file: str, commit: str) -> None:
        """Ask for a file without its content: the listing of a gated model is public, its files are not."""
        with self._http.request("HEAD", self._url(file, commit), self._headers, limit_bytes=0, follow=False) as answer:
            _raise_for_status(answer, "HEAD")

    def stream(self, file: str, commit: str, length: int) -> Iterator[bytes]:
        """Yield the first ``length`` bytes of a file, fewer where it ends before."""
        with self._get(self._url(file, commit), {}, length) as answer:
            yield from _window(answer.chunks, 0, length)

    def stream_range(self, file: str, commit: str, start: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` bytes of a file; of what a server that ignores Range sends, no more is read."""
        headers = {"range": f"bytes={start}-{start + length - 1}"}
        with self._get(self._url(file, commit), headers, start + length) as answer:
            part = answer.status == 206
            if part and not answer.headers.get("content-range", "").strip().startswith(f"bytes {start}-"):
                raise HttpUnexpected("it answers with another part of a file than was asked for")
            yield from _window(answer.chunks, 0 if part else start, length)

    def _url(self, file: str, commit: str) -> str:
        return hf_hub_url(self.model, file, revision=commit, endpoint=self.endpoint)

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str], limit_bytes: int) -> Generator[Answer]:
        sent = {**self._headers, **headers}
        with self._http.request("GET", url, sent, limit_bytes=max(limit_bytes, MAX_ERROR_BYTES)) as answer:
            _raise_for_status(answer, "GET")
            if answer.status not in (200, 206):
                raise HttpUnexpected(f"HTTP status {answer.status}")
            yield answer


def refuse_endpoint(model: str, endpoint: str, shown: str) -> None:
    """Refuse what is no address of a web server.

    Raises
    ------
    InvalidEndpointError
        Which shows the endpoint as ``shown``.
    """
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in ("http", "https") and bool(httpx.URL(endpoint).host)
    except (ValueError, httpx.InvalidURL):
        valid = False
    if not valid:
        raise InvalidEndpointError(model, shown)


def _window(chunks: Iterator[bytes], skipped: int, length: int) -> Iterator[bytes]:
    for chunk in chunks:
        part = chunk[skipped : skipped + length]
        skipped = max(0, skipped - len(chunk))
        length -= len(part)
        if part:
            yield part
        if length <= 0:
            return


def _raise_for_status(answer: Answer, method: str) -> None:
    if answer.status < 400:
        return
    response = httpx.Response(
        answer.status,
        headers=[(name.encode(), answer.headers[name].encode("latin-1")) for name in _TOLD if name in answer.headers],
        content=_words(answer),
        request=httpx.Request(method, answer.url, headers=dict(answer.sent)),
    )
    try:
        hf_raise_for_status(response)
    except HfHubHTTPError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        # it takes an error's body for a JSON object in UTF-8, which a proxy's need not be
        raise HfHubHTTPError(f"HTTP status {answer.status}", response=response) from error


def _words(answer: Answer) -> bytes:
    """Return the body of an error, where it is the hub's own and harmless to parse."""
    if not answer.same_origin:
        return b""
    try:
        content = answer.read(MAX_ERROR_BYTES)
        JsonStream([content], _ERROR_BOUNDS).skip()
    except (HttpFailed, HttpUnexpected):
        return b""  # the status counts
    except JsonInvalid:
        return b"" if content[:1] in (b"[", b"{") else content
    return content


def _token(model: str, token: str | bool | None) -> str | None:
    if token is False or (token is None and constants.HF_HUB_DISABLE_IMPLICIT_TOKEN):
        return None
    if isinstance(token, str):
        chosen: str | None = token.strip()  # a mounted Secret often ends with a newline
    else:
        try:
            chosen = get_token()
        except (OSError, ValueError, OIDCError):
            # the error may quote the token's bytes: neither its words nor the error itself may be passed on
            raise BadTokenError(
                model, "the token of this machine (HF_TOKEN, or the file of hf auth login) cannot be read"
            ) from None
    if chosen is not None and not (chosen and chosen.isascii() and chosen.isprintable() and " " not in chosen):
        raise BadTokenError(model, "the token is empty or holds characters that no token has")
    return chosen
