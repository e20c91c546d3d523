"""Plain requests to one hub: one try each, bounded in time and size.

The requests go through ``huggingface_hub``'s own client, so that its proxies, certificates and offline switch hold,
and their errors are its errors. ``hf_hub_download`` and ``HfApi`` are not used. The former answers a 503 with seven
requests over 23 s, and sleeps through a 429. Both may first ask ``HF_ENDPOINT`` for ``/api/agent-harnesses``, to fill
in their user agent, whichever hub they were given. Waiting and retrying is the caller's business, who knows what else
there is to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from huggingface_hub import constants, get_session, get_token, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError, OIDCError

from mistral_operator.hub.errors import BadTokenError

if TYPE_CHECKING:
    import httpx2 as httpx

_USER_AGENT: Final = "mistral-operator"
MAX_LISTING_BYTES: Final = 2 << 20
"""How long a listing may be: some 9,000 weight files; a model has dozens of files, rarely thousands. It takes up to
eight times as much to read, and several are read at once."""


@dataclass(frozen=True, slots=True)
class HubSession:
    """One hub, asked about one model with one token."""

    endpoint: str = field(repr=False)  # may hold a password
    model: str
    timeout_seconds: float
    _headers: Mapping[str, str] = field(repr=False)  # holds the token

    @classmethod
    def open(cls, endpoint: str, model: str, token: str | bool | None, timeout_seconds: float) -> "HubSession":
        """Settle which token is sent; asks nothing.

        Raises
        ------
        BadTokenError
            When the token cannot be read, or cannot be sent in a header.
        """
        headers = {"user-agent": _USER_AGENT}
        chosen = _token(model, token)
        if chosen is not None:
            headers["authorization"] = f"Bearer {chosen}"
        return cls(endpoint, model, timeout_seconds, headers)

    def listing(self, revision: str) -> bytes:
        """Return what the hub says about the model at a revision, sizes of files included, as JSON.

        One byte more than ``MAX_LISTING_BYTES`` when it is longer.
        """
        url = f"{self.endpoint}/api/models/{self.model}/revision/{quote(revision, safe='')}?blobs=true"
        return self._get(url, {}, 0, MAX_LISTING_BYTES + 1)

    def check_access(self, file: str, commit: str) -> None:
        """Ask for a file without its content: the listing of a gated model is public, its files are not."""
        response = get_session().head(
            self._url(file, commit),
            headers=dict(self._headers),
            timeout=self.timeout_seconds,
            follow_redirects=False,
        )
        _raise_for_status(response)

    def read(self, file: str, commit: str, limit: int) -> bytes:
        """Return the first ``limit`` bytes of a file."""
        return self._get(self._url(file, commit), {}, 0, limit)

    def read_range(self, file: str, commit: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of a file; of what a server that ignores Range sends, no more is read."""
        headers = {"range": f"bytes={start}-{start + length - 1}", "accept-encoding": "identity"}
        return self._get(self._url(file, commit), headers, start, length)

    def _url(self, file: str, commit: str) -> str:
        return hf_hub_url(self.model, file, revision=commit, endpoint=self.endpoint)

    def _get(self, url: str, headers: Mapping[str, str], start: int, length: int) -> bytes:
        content = bytearray()
        with get_session().stream(
            "GET", url, headers={**self._headers, **headers}, timeout=self.timeout_seconds
        ) as response:
            _raise_for_status(response)
            skipped = 0 if response.status_code == 206 else start
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) >= skipped + length:
                    break
        return bytes(memoryview(content)[skipped : skipped + length])  # one copy instead of two


def _raise_for_status(response: "httpx.Response") -> None:
    try:
        hf_raise_for_status(response)
    except HfHubHTTPError:
        raise
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        # it takes an error's body for a JSON object in UTF-8, which a proxy's need not be
        raise HfHubHTTPError(f"HTTP status {response.status_code}", response=response) from error


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
